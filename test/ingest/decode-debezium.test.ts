/** Records captured from a real Debezium, decoded. */
import { describe, expect, test } from 'vitest'
import type { Change, Decoded } from '../../src/ingest/change.ts'
import { createDecoder } from '../../src/ingest/decode.ts'
import type { Entity } from '../../src/model/model.ts'
import { changeOf } from './decode-one.ts'
import { column, entity, model } from './entities.ts'
import { recordOf, sampleRecords } from './samples.ts'
import { typed } from './typed.ts'

const decodeAll = (
  file: string,
  probe: Entity,
  epoch = 0,
): { offset: bigint; decoded: Decoded; partition: number }[] => {
  const decoder = createDecoder(model([probe]))
  return sampleRecords(file).map((record) => ({
    offset: record.offset,
    partition: record.partition,
    decoded: decoder.decode(record, epoch)[0]!,
  }))
}
const changesOf = (file: string, probe: Entity): Change[] =>
  decodeAll(file, probe).flatMap(({ decoded }) => (decoded.kind === 'changes' ? decoded.changes : []))
const types = (topic: string) => typed({ topic })

const keychg = (topic: string) => entity('KeyChange', ['id'], [column('id', 'Int!'), column('v', 'String!')], { topic })

describe('keys', () => {
  for (const [folder, topic] of [
    ['debezium', 'odd.public.keychg'],
    ['debezium-schema', 'odds.public.keychg'],
  ] as const) {
    test(`${folder}: a key change is a delete of the old key and an upsert of the new, and the last state is the source's`, () => {
      const found = changesOf(`${folder}/public.keychg.jsonl`, keychg(topic))
      expect(found.some(({ op }) => op === 'delete')).toBe(true)
      for (const { op, row } of found) expect(Object.keys(row)).toEqual(op === 'delete' ? ['id'] : ['id', 'v'])
      const state = new Map<unknown, Change>()
      for (const change of found) {
        const known = state.get(change.row.id)
        if (!known || majorOf(known) < majorOf(change)) state.set(change.row.id, change)
      }
      const live = [...state.values()].filter(({ op }) => op === 'upsert')
      expect(new Map(live.map(({ row }) => [row.id, row.v])).get(2) ?? 'gone').toMatch(/reborn|gone/)
    })
  }

  test('a composite key is found by name, whatever its order, and a delete needs nothing but the key', () => {
    const probe = entity(
      'OrderItem',
      ['lineNo', 'orderId'],
      [
        column('orderId', 'Int!', { path: ['Order Id'] }),
        column('lineNo', 'Int!', { path: ['lineNo'] }),
        column('quantity', 'Decimal', { path: ['Qty'], scale: 3 }),
      ],
      { topic: 'odd.Mixed_Case.Order_Items' },
    )
    const found = changesOf('debezium/Mixed_Case.Order_Items.jsonl', probe)
    expect(found.map(({ op, row }) => [op, row.orderId, row.lineNo, row.quantity])).toEqual(
      expect.arrayContaining([
        ['upsert', 1, 1, '1.500'],
        ['upsert', 1, 2, '9.250'],
        ['delete', 1, 1, undefined],
      ]),
    )
  })

  test('a record that no connector wrote may leave its key to the row', () => {
    const probe = entity('Keyless', ['a'], [column('a', 'Int!'), column('b', 'String')])
    const record = (source: object) => recordOf({ op: 'd', before: { a: 2, b: null }, source: { lsn: 1, ...source } })
    const decoder = createDecoder(model([probe]))
    expect(changeOf(decoder.decode(record({}), 0)).row).toEqual({ a: 2 })
    expect(decoder.decode(record({ connector: 'postgresql' }), 0)).toMatchObject([{ kind: 'stopped' }])
  })
})

const majorOf = ({ version }: Change): bigint => (version.kind === 'ordered' ? version.major : -1n)

describe('order', () => {
  const rows = (topic: string) => entity('Row', ['id'], [column('id', 'Int!'), column('v', 'String')], { topic })

  test('C12 a live change has its lsn and wins ties, an initial read has the lsn of the snapshot and loses them', () => {
    const found = changesOf('debezium/public.types_t.jsonl', types('odd.public.types_t'))
    const read = found.find(({ row }) => row.id === '1')!
    expect(read.version).toEqual({ kind: 'ordered', epoch: 0, major: 197_961_784n, minor: 0n })
    expect(read.live).toBe(false)
    const live = found.find(({ row }) => row.id === '10')!
    expect(live.version).toEqual({ kind: 'ordered', epoch: 0, major: 198_953_216n, minor: 198_953_216n })
    expect(live).toMatchObject({ live: true, eventTime: '2026-11-21T03:26:13.22701Z' })
  })

  test('C12 an incremental read has no version of its own', () => {
    const [first] = decodeAll('debezium/snapshot-incremental.jsonl', rows('odd.public.snaprows'), 3)
    expect(changeOf([first!.decoded])).toMatchObject({ version: { kind: 'incremental', epoch: 3 }, live: false })
  })

  test('C12 the epoch is the partition’s', () => {
    const [first] = decodeAll('debezium/public.keychg.jsonl', keychg('odd.public.keychg'), 7)
    expect(changeOf([first!.decoded]).version.epoch).toBe(7)
  })

  test('an lsn beyond 2^53 is exact', () => {
    const decoder = createDecoder(model([rows('topic')]))
    const text = '{"op":"u","after":{"id":1,"v":"x"},"source":{"lsn":9223372036854775807,"ts_ms":1795231419917}}'
    const change = changeOf(decoder.decode(recordOf(text), 0))
    expect(change.version).toMatchObject({ major: 9_223_372_036_854_775_807n, minor: 9_223_372_036_854_775_807n })
    expect(change.eventTime).toBe('2026-11-21T03:23:39.917Z')
  })
})

describe('rows', () => {
  test('values that were not sent are absent, in every form of the placeholder', () => {
    const columns = [
      column('id', 'Int!'),
      column('v', 'Int!'),
      column('big', 'String!'),
      column('bigj', 'JSON'),
      column('bigb', 'String'),
      column('biga', '[String!]'),
    ]
    const probe = entity('Toast', ['id'], columns, { topic: 'odd.public.toast_t' })
    const found = changesOf('debezium/public.toast_t.jsonl', probe)
    expect(found.find(({ row }) => row.id === 102)).toMatchObject({
      absent: ['big', 'bigj', 'bigb', 'biga'],
      row: { id: 102, v: 1 },
    })
    const short = found.find(({ row }) => row.id === 101 && 'big' in row)!
    expect(short).toMatchObject({ absent: ['bigj', 'bigb', 'biga'], row: { big: 'short now' } })
  })

  test('what lies within a null is null, not left out', () => {
    const columns = [column('id', 'Int!'), column('x', 'Float', { path: ['pt', 'x'] }), column('y', 'Float')]
    const decoder = createDecoder(model([entity('Pointed', ['id'], columns)]))
    const of = (after: object) => changeOf(decoder.decode(recordOf({ op: 'u', after, source: { lsn: 1 } }), 0))
    expect(of({ id: 1, pt: null, y: null })).toMatchObject({ row: { x: null, y: null }, absent: [] })
    expect(of({ id: 1, y: null })).toMatchObject({ absent: ['x'] })
  })

  test('a generated column that the stream leaves out is absent, not null', () => {
    const columns = [column('id', 'Int!'), column('a', 'Int'), column('twice', 'Int!')]
    const found = changesOf(
      'debezium/public.gen_t.jsonl',
      entity('Generated', ['id'], columns, { topic: 'odd.public.gen_t' }),
    )
    expect(new Set(found.map(({ absent }) => absent.join()))).toEqual(new Set(['twice']))
  })

  test('columns that come, go and change type in the middle of the topic are absent or converted', () => {
    const columns = [column('id', 'Int!'), column('a', 'String'), column('b', 'Int'), column('c', 'String')]
    const probe = entity('Evolve', ['id'], columns, { topic: 'odd.public.evolve' })
    const byId = new Map(changesOf('debezium/public.evolve.jsonl', probe).map((change) => [change.row.id, change]))
    expect(byId.get(2)?.absent).toEqual(['c'])
    expect(byId.get(3)?.row).toMatchObject({ a: 'after add', b: 3, c: '1.25' })
    expect(byId.get(4)?.absent).toEqual(['b'])
    expect(byId.get(5)?.absent).toEqual(['a', 'b'])
    expect(byId.get(6)?.row).toMatchObject({ c: 't' })
  })

  test('of several schemas in one topic each record is read by its own', () => {
    const record = (type: string, value: unknown, offset: bigint) => {
      const field = {
        type,
        name: type === 'int64' ? 'io.debezium.time.NanoTimestamp' : 'io.debezium.time.ZonedTimestamp',
        field: 'at',
      }
      const after = { type: 'struct', field: 'after', fields: [{ type: 'int32', field: 'id' }, field] }
      const payload = { op: 'c', after: { id: 1, at: value }, source: { lsn: 1 } }
      return recordOf({ schema: { type: 'struct', fields: [after] }, payload }, { offset })
    }
    const probe = entity('Two', ['id'], [column('id', 'Int!'), column('at', 'DateTime!')])
    const decoder = createDecoder(model([probe]))
    for (let round = 0n; round < 3n; round++) {
      const numbers = changeOf(decoder.decode(record('int64', 1_000_000_000, round), 0))
      const texts = changeOf(decoder.decode(record('string', '1970-01-01T00:00:02Z', round), 0))
      expect([numbers.row.at, texts.row.at]).toEqual(['1970-01-01T00:00:01Z', '1970-01-01T00:00:02Z'])
    }
  })
})

describe('what is no change', () => {
  const any = (topic: string) => entity('Any', ['id'], [column('id', 'ID!')], { topic })
  const cases = [
    ['debezium/tombstone.jsonl', 'odd.public.parted', 'skipped', 'tombstone'],
    ['debezium-schema/tombstone.jsonl', 'odds.public.keychg', 'skipped', 'tombstone'],
    ['debezium/heartbeat.jsonl', '__debezium-heartbeat.odd', 'skipped', 'heartbeat'],
    ['debezium/transaction.jsonl', 'odd.transaction', 'skipped', 'transaction boundary'],
    ['debezium/logical-message.jsonl', 'odd.message', 'skipped', 'logical message'],
  ] as const
  for (const [file, topic, kind, reason] of cases) {
    test(`${file} is ${kind}: ${reason}`, () => {
      const found = decodeAll(file, any(topic)).filter(({ decoded }) => decoded !== undefined)
      expect(found.length).toBeGreaterThan(0)
      for (const { decoded } of found) {
        expect(decoded).toMatchObject({ kind, reason: expect.stringContaining(reason) })
      }
    })
  }

  const broken = [
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), /not UTF-8/],
    ['text that is not JSON', '{"op":', /not valid JSON/],
    ['an empty value', '', /not valid JSON/],
    ['a bare number', '5', /not a Debezium change event/],
    ['a row without an envelope', '{"id":1}', /has no op/],
    ['an unknown op', '{"op":"x"}', /none of c, u, d, r, t, m/],
    ['an upsert without a row', '{"op":"u","after":null}', /has no after/],
    ['a delete of nobody', '{"op":"d","before":null}', /neither a key nor a row/],
    ['a broken wrapper', '{"schema":{"type":"struct"},"payload":', /not valid JSON/],
    [
      'too deep a nest',
      `{"op":"c","after":{"id":1,"j":${'['.repeat(200_000)}${']'.repeat(200_000)}}}`,
      /nested too deep|not valid JSON/,
    ],
  ] as const
  for (const [what, value, reason] of broken) {
    test(`${what} is bad, never thrown`, () => {
      const probe = entity('Any', ['id'], [column('id', 'ID!'), column('j', 'JSON')])
      const [decoded] = createDecoder(model([probe])).decode(recordOf(value), 0)
      expect(decoded).toMatchObject({ kind: 'bad', entity: 'Any', reason: expect.stringMatching(reason) })
    })
  }

  test('a record of a topic that nobody reads comes to nothing', () => {
    expect(createDecoder(model([any('other')])).decode(recordOf('{}'), 0)).toEqual([])
  })

  test('a column named as something that every object has is not taken for a value', () => {
    const probe = entity('Odd', ['id'], [column('id', 'ID!'), column('constructor', 'String')], { format: 'JSON' })
    const [decoded] = createDecoder(model([probe])).decode(recordOf('{"id":1}'), 0)
    expect(changeOf([decoded!]).row.constructor).toBeNull()
  })
})
