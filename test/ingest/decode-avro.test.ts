/** Avro in Confluent's framing, as a real registry's converter wrote it, and what a converter doesn't write. */
import avro from 'avsc'
import { describe, expect, test } from 'vitest'
import type { Change, Decoded, LogRecord } from '../../src/ingest/change.ts'
import { createDecoder } from '../../src/ingest/decode.ts'
import type { Entity } from '../../src/model/model.ts'
import { encodeAvro } from './avro-encoder.ts'
import { changeOf } from './decode-one.ts'
import { column, entity, model } from './entities.ts'
import { capturedRecords, capturedSchemas, framed, schemasOf } from './registered.ts'
import { recordOf, sampleRecords } from './samples.ts'
import { everyType, typed } from './typed.ts'

const captured = schemasOf(capturedSchemas())
const changesIn = (records: readonly LogRecord[], probe: Entity): Change[] => {
  const decoder = createDecoder(model([probe]), captured)
  return records.flatMap((record) =>
    decoder.decode(record, 0).flatMap((decoded) => (decoded.kind === 'changes' ? decoded.changes : [])),
  )
}

describe('what Debezium wrote', () => {
  test('every type comes to the same row as from JSON, row by row', () => {
    const probe = typed({ topic: 'odda.public.types_t', format: 'DEBEZIUM_AVRO' })
    const rows = changesIn(capturedRecords('public.types_t.jsonl'), probe).map(({ row }) => row)
    expect(rows.find(({ id }) => id === '1')).toEqual(everyType)
    const fromJson = changesIn(sampleRecords('debezium/public.types_t.jsonl'), typed({ topic: 'odd.public.types_t' }))
    const json = new Map(fromJson.map(({ row }) => [row.id, row]))
    const both = rows.filter(({ id }) => json.has(id ?? null))
    expect(both.length).toBeGreaterThanOrEqual(4)
    for (const row of both) expect(row).toEqual(json.get(row.id ?? null))
  })

  test('fact 16 names that Avro can not hold are found as its converter wrote them', () => {
    const columns = [
      column('orderId', 'Int!', { path: ['Order Id'] }),
      column('lineNo', 'Int!', { path: ['lineNo'] }),
      column('quantity', 'Decimal', { path: ['Qty'], scale: 3 }),
    ]
    const source = { topic: 'odda.Mixed_Case.Order_Items', format: 'DEBEZIUM_AVRO' } as const
    const probe = entity('OrderItem', ['orderId', 'lineNo'], columns, source)
    expect(changesIn(capturedRecords('Mixed_Case.Order_Items.jsonl'), probe).map(({ row }) => row)).toEqual([
      { orderId: 1, lineNo: 2, quantity: '9.250' },
    ])
  })

  test('fact 6 keys are Avro too: the deletes of a key change are those of the JSON capture', () => {
    const columns = [column('id', 'Int!'), column('v', 'String!')]
    const of = (topic: string, format: 'DEBEZIUM' | 'DEBEZIUM_AVRO') =>
      entity('KeyChange', ['id'], columns, { topic, format })
    const fromAvro = changesIn(capturedRecords('public.keychg.jsonl'), of('odda.public.keychg', 'DEBEZIUM_AVRO'))
    expect(fromAvro.filter(({ op }) => op === 'delete').map(({ row }) => Object.keys(row))).not.toEqual([])
    const fromJson = changesIn(sampleRecords('debezium/public.keychg.jsonl'), of('odd.public.keychg', 'DEBEZIUM'))
    const live = (changes: readonly Change[]) => {
      const rows = new Map<unknown, unknown>()
      const ordered = changes.filter(({ live }) => live).sort((a, b) => Number(major(a) - major(b)))
      for (const { op, row } of ordered) op === 'delete' ? rows.delete(row.id) : rows.set(row.id, row.v)
      return rows
    }
    for (const [id, v] of live(fromAvro)) expect(live(fromJson).get(id)).toEqual(v)
  })

  test('columns that come, go and change type are read by each record’s own schema', () => {
    const columns = [column('id', 'Int!'), column('a', 'String'), column('b', 'Int'), column('c', 'String')]
    const source = { topic: 'odda.public.evolve', format: 'DEBEZIUM_AVRO' } as const
    const records = capturedRecords('public.evolve.jsonl')
    const found = changesIn(records, entity('Evolve', ['id'], columns, source))
    expect(found).toHaveLength(records.length)
    expect(new Set(found.map(({ absent }) => absent.join()))).toEqual(new Set(['a,b']))
  })

  test('the transaction topic means no change', () => {
    const source = { topic: 'odda.transaction', format: 'DEBEZIUM_AVRO' } as const
    const decoder = createDecoder(model([entity('Any', ['id'], [column('id', 'ID!')], source)]), captured)
    for (const record of capturedRecords('transaction.jsonl'))
      expect(decoder.decode(record, 0)).toEqual([{ kind: 'skipped', reason: 'transaction boundary' }])
  })
})

const major = ({ version }: Change): bigint => (version.kind === 'ordered' ? version.major : -1n)

/** One value in a field `x` beside an id, written by Avro's own encoder, as an event. */
const cellOf = (schema: unknown, value: unknown, type: string, options: Parameters<typeof column>[2] = {}) => {
  const record = { type: 'record', name: 'Row', namespace: 'test', fields: [idField, { name: 'x', type: schema }] }
  const written = encodeAvro(record, { id: 'a', x: value })
  const probe = entity('T', ['id'], [column('id', 'ID!'), column('x', type, options)], { format: 'AVRO' })
  const [decoded] = createDecoder(model([probe]), schemasOf({ 7: record })).decode(recordOf(framed(7, written)), 0)
  return decoded?.kind === 'changes' ? decoded.changes[0]!.row.x : (decoded as { reason: string }).reason
}
const idField = { name: 'id', type: 'string' }
const decimal = (bytes: readonly number[]) => Buffer.from(bytes)

describe('what others write', () => {
  const cases: readonly [string, unknown, unknown, string, unknown, Parameters<typeof column>[2]?][] = [
    ['fact 23 the least long', 'long', -(2n ** 63n), 'Long', '-9223372036854775808'],
    ['fact 23 the greatest long', 'long', 2n ** 63n - 1n, 'Long', '9223372036854775807'],
    ['a long beyond 2^53', 'long', 2n ** 53n + 1n, 'ID', '9007199254740993'],
    ['a small negative long', 'long', -1n, 'Int', -1],
    ['a long of 49 bits', 'long', -(2n ** 48n), 'Long', '-281474976710656'],
    ['an optional long', ['null', 'long'], 5n, 'Long', '5'],
    ['null', ['null', 'long'], null, 'Long', null],
    ['a float as it was meant', 'float', Math.fround(0.1), 'Float', 0.1],
    ['a double', 'double', 0.1, 'Float', 0.1],
    ['NaN', 'double', Number.NaN, 'Float', 'T.x is not a finite number'],
    [
      'a decimal in bytes',
      { type: 'bytes', logicalType: 'decimal', precision: 9, scale: 2 },
      decimal([0xff, 0x85]),
      'Decimal',
      '-1.23',
    ],
    [
      'a decimal in fixed',
      { type: 'fixed', name: 'D', size: 4, logicalType: 'decimal', precision: 9, scale: 2 },
      decimal([0, 0, 1, 0x2c]),
      'Decimal',
      '3.00',
      { scale: 2 },
    ],
    [
      'an instant in milliseconds',
      { type: 'long', logicalType: 'timestamp-millis' },
      1_700_000_000_123,
      'DateTime',
      '2023-11-14T22:13:20.123Z',
    ],
    [
      'an instant in microseconds',
      { type: 'long', logicalType: 'timestamp-micros' },
      -1,
      'DateTime',
      '1969-12-31T23:59:59.999999Z',
    ],
    [
      'a local time in a zone',
      { type: 'long', logicalType: 'local-timestamp-millis' },
      0,
      'DateTime',
      '1970-01-01T00:00:00Z',
    ],
    ['a day', { type: 'int', logicalType: 'date' }, 19_782, 'Date', '2024-02-29'],
    [
      'a uuid in text',
      { type: 'string', logicalType: 'uuid' },
      'b51f9ebb-0a6b-4b3c-b1a6-0c0d8c2a2f11',
      'ID',
      'b51f9ebb-0a6b-4b3c-b1a6-0c0d8c2a2f11',
    ],
    [
      'a uuid in 16 bytes',
      { type: 'fixed', name: 'U', size: 16, logicalType: 'uuid' },
      Buffer.from('b51f9ebb0a6b4b3cb1a60c0d8c2a2f11', 'hex'),
      'ID',
      'b51f9ebb-0a6b-4b3c-b1a6-0c0d8c2a2f11',
    ],
    ['bytes as base64', 'bytes', Buffer.from([1, 2, 3]), 'String', 'AQID'],
    ['an enum', { type: 'enum', name: 'E', symbols: ['RED', 'BLUE'] }, 'BLUE', 'String', 'BLUE'],
    ['a list', { type: 'array', items: 'string' }, ['a', 'b'], '[String!]', ['a', 'b']],
    [
      'a list with a null',
      { type: 'array', items: ['null', 'string'] },
      ['a', null],
      '[String!]',
      'T.x holds a null element',
    ],
    ['a map', { type: 'map', values: 'long' }, { a: 1n }, 'JSON', { json: '{"a":1}' }],
    [
      'a nested record',
      { type: 'record', name: 'In', fields: [{ name: 'y', type: 'long' }] },
      { y: 2n ** 60n },
      'JSON',
      { json: '{"y":1152921504606846976}' },
    ],
    ['one of several types', ['null', 'string', 'int'], { int: 3 }, 'Int', 3],
    ['a text with NUL', 'string', 'a\0b', 'String', 'T.x holds a NUL character, which no text column can hold'],
  ]
  for (const [what, schema, value, type, expected, options] of cases) {
    test(what, () => {
      const several = Array.isArray(schema) && schema.length > 2
      const given = several ? Object.values(value as object)[0] : value
      expect(cellOf(schema, given, type, options)).toEqual(expected)
    })
  }

  test('a local time takes the declared zone, an instant does not', () => {
    const at = (logicalType: string) => {
      const type = { type: 'long', logicalType }
      const schema = { type: 'record', name: 'Row', fields: [idField, { name: 'x', type }] }
      const data = avro.Type.forSchema(schema as avro.Schema).toBuffer({ id: 'a', x: 0 })
      const columns = [column('id', 'ID!'), column('x', 'DateTime')]
      const probe = entity('T', ['id'], columns, { format: 'AVRO', zone: 'Europe/Berlin' })
      return changeOf(createDecoder(model([probe]), schemasOf({ 1: schema })).decode(recordOf(framed(1, data)), 0)).row
        .x
    }
    expect(at('local-timestamp-millis')).toBe('1969-12-31T23:00:00Z')
    expect(at('timestamp-millis')).toBe('1970-01-01T00:00:00Z')
  })

  test('named types are found by their names, in unions of several and within themselves', () => {
    const tree = {
      type: 'record',
      name: 'Node',
      namespace: 'a.b',
      fields: [
        idField,
        { name: 'tag', type: { type: 'enum', name: 'Tag', symbols: ['X', 'Y'] } },
        { name: 'other', type: ['null', 'a.b.Tag', 'Node', 'int'] },
      ],
    }
    const written = avro.Type.forSchema(tree as avro.Schema, { wrapUnions: true }).toBuffer({
      id: 'top',
      tag: 'Y',
      other: { 'a.b.Node': { id: 'below', tag: 'X', other: { int: 5 } } },
    })
    const columns = [
      column('id', 'ID!'),
      column('tag', 'String!'),
      column('below', 'ID', { path: ['other', 'id'] }),
      column('five', 'Int', { path: ['other', 'other'] }),
    ]
    const probe = entity('T', ['id'], columns, { format: 'AVRO' })
    const change = changeOf(
      createDecoder(model([probe]), schemasOf({ 3: tree })).decode(recordOf(framed(3, written)), 0),
    )
    expect(change.row).toEqual({ id: 'top', tag: 'Y', below: 'below', five: 5 })
  })
})

describe('framing', () => {
  const schema = { type: 'record', name: 'Row', fields: [idField] }
  const data = avro.Type.forSchema(schema as avro.Schema).toBuffer({ id: 'a' })
  const guid = '89791762-2336-4186-9674-299b90a802e2'
  const guidBytes = Buffer.concat([Buffer.from([1]), Buffer.from(guid.replaceAll('-', ''), 'hex')])
  const probe = entity('T', ['id'], [column('id', 'ID!')], { format: 'AVRO' })
  const decoder = createDecoder(model([probe]), schemasOf({ 7: schema, [guid]: schema }))
  const read = (value: Buffer | null, headers = {}, key: unknown = null): readonly Decoded[] =>
    decoder.decode(recordOf(value, { headers, key }), 0)

  for (const [how, value, headers] of [
    ['an id before the data', framed(7, data), {}],
    ['a GUID before the data', Buffer.concat([guidBytes, data]), {}],
    ['an id in the header', data, { __value_schema_id: framed(7, Buffer.alloc(0)) }],
    ['a GUID in the header', data, { __value_schema_id: [guidBytes] }],
  ] as const) {
    test(`${how} says the schema`, () => expect(changeOf(read(value, headers)).row).toEqual({ id: 'a' }))
  }

  test('a key by a schema of its own, in its own header, deletes its row', () => {
    expect(changeOf(read(null, { __key_schema_id: guidBytes }, data))).toMatchObject({ op: 'delete', row: { id: 'a' } })
    expect(changeOf(read(null, {}, framed(7, data)))).toMatchObject({ op: 'delete', row: { id: 'a' } })
  })

  test('a key in plain text beside an Avro value is read as text', () => {
    expect(changeOf(read(null, {}, 'a'))).toMatchObject({ op: 'delete', row: { id: 'a' } })
  })

  test('a schema that is not at hand is asked for, of the value and, where it is needed, of the key', () => {
    expect(read(framed(8, data))).toEqual([{ kind: 'unprepared', schema: '8' }])
    expect(read(null, {}, framed(9, data))).toEqual([{ kind: 'unprepared', schema: '9' }])
    expect(changeOf(read(framed(7, data), {}, framed(9, data))).row).toEqual({ id: 'a' })
  })

  for (const [what, value, reason] of [
    ['no frame', Buffer.from('{"id":"a"}'), /carries no schema id/],
    ['a frame cut short', Buffer.from([0, 0, 0]), /carries no schema id/],
    ['data cut short', framed(7, data.subarray(0, 1)), /does not hold what its schema says/],
    ['data too long', framed(7, Buffer.concat([data, data])), /does not hold what its schema says/],
  ] as const) {
    test(`${what} is a bad record`, () =>
      expect(read(value)).toMatchObject([{ kind: 'bad', entity: 'T', reason: expect.stringMatching(reason) }]))
  }

  test('JSON by a JSON Schema is framed likewise, its numbers exact and its names those of Connect', () => {
    const json = {
      type: 'object',
      properties: {
        id: { type: 'string' },
        big: { oneOf: [{ type: 'null' }, { type: 'integer', 'connect.type': 'int64' }] },
        at: { type: 'integer', title: 'org.apache.kafka.connect.data.Timestamp', 'connect.type': 'int64' },
        price: {
          type: 'string',
          title: 'org.apache.kafka.connect.data.Decimal',
          'connect.type': 'bytes',
          'connect.parameters': { scale: '2' },
        },
      },
    }
    const columns = [column('id', 'ID!'), column('big', 'Long'), column('at', 'DateTime'), column('price', 'Decimal')]
    const probe = entity('T', ['id'], columns, { format: 'JSON_SCHEMA' })
    const text = '{"id":"a","big":9007199254740993,"at":1700000000123,"price":"/4U="}'
    const value = framed(4, Buffer.from(text))
    expect(changeOf(createDecoder(model([probe]), schemasOf({ 4: { json } })).decode(recordOf(value), 0)).row).toEqual({
      id: 'a',
      big: '9007199254740993',
      at: '2023-11-14T22:13:20.123Z',
      price: '-1.23',
    })
  })
})
