/**
 * Every type as a real Debezium writes it, by JSON without a schema (`string` decimals, `isostring` times), JSON with one (`precise`, `connect`)
 * and Avro (`precise`, `adaptive`), from snapshot and stream. Facts 23 to 28. A value comes to the source's own, or is refused; what the
 * connector has lost before it is sent is named here.
 */
import { describe, expect, test } from 'vitest'
import type { LogRecord } from '../../src/ingest/change.ts'
import { createDecoder } from '../../src/ingest/decode.ts'
import type { Source } from '../../src/model/model.ts'
import { column, entity, model } from '../ingest/entities.ts'
import { capturedRecords, capturedSchemas, schemasOf } from '../ingest/registered.ts'
import { sampleRecords } from '../ingest/samples.ts'
import { openWorld } from './world.ts'

const avro = schemasOf(capturedSchemas())
const formats = {
  json: { topic: 'odd.public.types_t', format: 'DEBEZIUM', records: sampleRecords('debezium/public.types_t.jsonl') },
  schema: {
    topic: 'odds.public.types_t',
    format: 'DEBEZIUM',
    records: sampleRecords('debezium-schema/public.types_t.jsonl'),
  },
  avro: { topic: 'odda.public.types_t', format: 'DEBEZIUM_AVRO', records: capturedRecords('public.types_t.jsonl') },
} as const
type Format = keyof typeof formats
const all = Object.keys(formats) as Format[]

type Options = Parameters<typeof column>[2]
/** What one column comes to, by the row's id; of a row that was sent several times, the last. A text in brackets: it is refused, for that reason. */
const read = (format: Format, name: string, type: string, options: Options = {}, source: Partial<Source> = {}) => {
  const { topic, format: kind, records } = formats[format]
  const probe = entity('T', ['id'], [column('id', 'Int!'), column(name, type, options)], {
    topic,
    format: kind,
    ...source,
  })
  const decoder = createDecoder(model([probe]), avro)
  return Object.fromEntries(
    records.map((record: LogRecord) => {
      const [decoded] = decoder.decode(record, 0)
      if (decoded?.kind === 'changes') return [decoded.changes[0]!.row.id, decoded.changes[0]!.row[name]]
      if (decoded?.kind === 'stopped')
        return ['all', `[${decoded.reason.replace(/^T\.\w+ | in the schema.*| in schema.*/g, '')}]`]
      if (decoded?.kind !== 'bad') throw new Error(`${format} ${record.offset}: ${decoded?.kind}`)
      return [decoded.told!.key.id, `[${decoded.reason.replace(`T.${name} `, '')}]`]
    }),
  )
}
const outside = '[is outside the years 0001 to 9999]'
const notFinite = '[is not a finite number]'
const shifted = expect.stringMatching(
  /^\[is before 1582-10-15, which a snapshot may have shifted .* write the row once more at the source/,
)

test('fact 23 an int8 beyond 2^53 is exact in every format', () => {
  for (const format of all)
    for (const type of ['Long', 'ID', 'Decimal', 'JSON'])
      expect(read(format, 'bi', type)).toMatchObject(
        type === 'JSON'
          ? { 1: { json: '9223372036854775807' }, 5: { json: '-9007199254740993' } }
          : { 0: null, 1: '9223372036854775807', 5: '-9007199254740993', 300: '9223372036854775807' },
      )
})

describe('fact 24 numeric', () => {
  const digits = { 1: '12345678901234567890.123456789', 3: '0', 4: '1000000000000000000000000000000', 5: '1.1' }

  test('fact 24 every digit, as text, as bytes and as { scale, value }', () => {
    for (const format of all) {
      expect(read(format, 'num', 'Decimal')).toMatchObject(digits)
      expect(read(format, 'num', 'String')).toMatchObject({ 1: digits[1], 5: expect.stringMatching(/^1\.10?$/) })
      expect(read(format, 'num2', 'Decimal', { scale: 4 })).toMatchObject({ 1: '10.5000', 4: '-0.0001', 5: '0.0000' })
      expect(read(format, 'mon', 'Decimal', { scale: 2 })).toMatchObject({ 0: null, 1: '1234.56' })
    }
  })

  test('fact 24 NaN is refused where it is sent as text; `precise` has made it null before it comes', () => {
    expect(read('json', 'num', 'Decimal')).toMatchObject({ 2: notFinite, 12: notFinite, 302: notFinite })
    for (const format of ['schema', 'avro'] as const) {
      expect(read(format, 'num', 'Decimal')).toMatchObject({ 2: null, 302: null })
      expect(read(format, 'num', 'Decimal!')).toMatchObject({ 302: '[is null, but declared non-null]' })
    }
  })
})

describe('fact 25 times without and with a zone', () => {
  test('fact 25 a timestamp to the microsecond from isostring and adaptive, to the millisecond from connect; a day without its Z', () => {
    const local = { json: '123456Z', schema: '123Z', avro: '123456Z' }
    for (const format of all) {
      expect(read(format, 'ts', 'DateTime')).toMatchObject({ 1: `2024-03-10T02:30:00.${local[format]}` })
      expect(read(format, 'ts0', 'DateTime')).toMatchObject({ 1: '2024-03-10T02:30:01Z' })
      expect(read(format, 'ts3', 'DateTime')).toMatchObject({ 1: '2024-03-10T02:30:00.123Z' })
      expect(read(format, 'da', 'Date')).toMatchObject({ 1: '2024-02-29', 300: '2024-02-29' })
      expect(read(format, 'tstz', 'DateTime')).toMatchObject({ 1: '2024-03-10T00:30:00.123456Z' })
      expect(read(format, 'tsa', '[DateTime!]')).toMatchObject({ 1: ['2024-01-01T00:00:00Z'] })
      expect(read(format, 'titz', 'String')).toMatchObject({ 1: '18:29:59.123456Z' })
    }
  })

  test('fact 25 a declared zone is that of what has none, by its schema; without one the Z of isostring has to be called LOCAL', () => {
    const berlin = { zone: 'Europe/Berlin' }
    expect(read('schema', 'ts', 'DateTime', {}, berlin)).toMatchObject({ 1: '2024-03-10T01:30:00.123Z' })
    expect(read('avro', 'ts', 'DateTime', {}, berlin)).toMatchObject({ 1: '2024-03-10T01:30:00.123456Z' })
    expect(read('json', 'ts', 'DateTime', { encoding: 'LOCAL' }, berlin)).toMatchObject({
      1: '2024-03-10T01:30:00.123456Z',
    })
    for (const format of all)
      expect(read(format, 'tstz', 'DateTime', {}, berlin)).toMatchObject({ 1: '2024-03-10T00:30:00.123456Z' })
  })
})

describe('fact 26 what no calendar has', () => {
  test('fact 26 infinities are refused, though they come as other garbage from snapshot and stream', () => {
    for (const format of all) {
      expect(read(format, 'da', 'Date')).toMatchObject({
        2: outside,
        3: outside,
        4: outside,
        12: outside,
        302: outside,
      })
      expect(read(format, 'ts', 'DateTime')).toMatchObject({ 2: outside, 3: outside, 12: outside, 302: outside })
      expect(read(format, 'tstz', 'DateTime')).toMatchObject({ 2: outside, 3: outside, 12: outside, 302: outside })
    }
  })

  test('fact 26 a time before 1582 is right from the stream and refused from a snapshot, which reads it by another calendar', () => {
    // At the source: 1000-01-01 00:00:00.000001, and in row 5 the year 1 BC.
    expect(read('json', 'ts', 'DateTime')).toMatchObject({
      4: shifted,
      14: '1000-01-01T00:00:00.000001Z',
      304: '1000-01-01T00:00:00.000001Z',
    })
    expect(read('schema', 'ts', 'DateTime')).toMatchObject({ 4: shifted, 14: shifted, 304: '1000-01-01T00:00:00Z' })
    expect(read('avro', 'ts', 'DateTime')).toMatchObject({ 4: shifted, 14: shifted, 304: shifted })
    for (const format of all) expect(read(format, 'da', 'Date')).toMatchObject({ 5: shifted })
    expect(read('json', 'ts', 'DateTime')).toMatchObject({ 5: '1969-12-31T23:59:59.999999Z' })
  })

  test('fact 26 a time of day has no type of its own and is what the connector writes, which tells 24:00 from 00:00 only by a number', () => {
    expect(read('json', 'ti', 'String')).toMatchObject({ 1: '23:59:59.999Z', 2: '00:00:00Z', 3: '00:00:00Z' })
    for (const format of ['schema', 'avro'] as const)
      expect(read(format, 'ti', 'String')).toMatchObject({ 1: '86399999', 2: '86400000', 3: '0' })
    expect(read('json', 'ti', 'DateTime')).toMatchObject({ 1: '[is not an ISO 8601 date or time]' })
  })
})

test('fact 27 NaN and infinite floats are refused, whatever writes them', () => {
  for (const format of all) {
    expect(read(format, 'r', 'Float')).toMatchObject({
      0: null,
      1: 1.1,
      2: notFinite,
      3: expect.closeTo(0),
      302: notFinite,
    })
    expect(read(format, 'd', 'Float')).toMatchObject({ 1: 0.1, 2: notFinite, 3: notFinite })
  }
})

test('fact 27 what a declared type can not hold is refused by name, and where a schema says so, before any value comes', () => {
  const refused: readonly [name: string, type: string, json: string, schema: string, avro?: unknown][] = [
    ['ia', '[Int!]', '[holds a null element]', '[holds a null element]'],
    [
      'pt',
      'String',
      '[is an object, expected text]',
      '[is String, which pt as struct (io.debezium.data.geometry.Point) never converts to]',
    ],
    ['bt', 'Boolean', '[is text, expected true or false]', '[is text, expected true or false]'],
    ['js', 'Long', '[is not a decimal number]', '[is not a decimal number]'],
    ['ts', 'Date', '[is a time of day, expected a day]', '[is a time of day, expected a day]'],
    ['by', 'JSON', '[is not valid JSON text]', '[is not valid JSON text]', { json: '"AP8="' }],
    ['tsr', 'DateTime', '[is not an ISO 8601 date or time]', '[is not an ISO 8601 date or time]'],
    ['bi', 'Int', '[is out of the range of a 32-bit integer]', '[is out of the range of a 32-bit integer]'],
  ]
  const found = refused.map(([name, type]) => [
    name,
    type,
    ...all.map((format) => {
      const got = read(format, name, type)
      return got.all ?? got[1]
    }),
  ])
  expect(found).toEqual(refused.map(([name, type, json, schema, avro = schema]) => [name, type, json, schema, avro]))
})

const TYPES = `
  id: Int! si: Int i: Int bi: Long num: Decimal num2: Decimal @column(scale: 4) mon: Decimal @column(scale: 2) r: Float d: Float b: Boolean
  t: String vc: String ch: String ci: String by: String u: ID js: JSON jb: JSON da: Date titz: String ts0: DateTime tstz: DateTime iv: Long
  ip: String cd: String mac: String mo: Mood dom: Int ia: JSON ta: JSON tsa: [DateTime!] hs: JSON lt: String x: String tsr: String nr: String
  bt: String bt1: Boolean vb: String pt: JSON ptY: Float @column(name: "pt.y") tsv: String mos: [Mood!]`
const types = (format: Format) =>
  `enum Mood { SAD OK FINE @value(of: "it's \\"fine\\"") }
  type Typed @entity(domain: "odd", key: "id", source: { topic: "${formats[format].topic}", format: ${formats[format].format} }) { ${TYPES} }`

describe('fact 27 every type that the language can hold is the source’s in the table', () => {
  const expected = {
    si: -32768,
    i: 2147483647,
    bi: '9223372036854775807',
    num: '12345678901234567890.123456789',
    num2: '10.5000',
    mon: '1234.56',
    r: 1.1,
    d: 0.1,
    b: true,
    t: 'a\tbé😀',
    vc: 'vc',
    ch: 'ab   ',
    ci: 'CiTeXt',
    by: 'AP8=',
    u: 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
    js: { a: 2 },
    jb: { b: null, big: expect.any(Number) },
    da: '2024-02-29',
    titz: '18:29:59.123456Z',
    ts0: '2024-03-10T02:30:01Z',
    tstz: '2024-03-10T00:30:00.123456Z',
    iv: '37091106789000',
    ip: '10.1.2.3/8',
    cd: '10.0.0.0/8',
    mac: '08:00:2b:01:02:03',
    mo: 'FINE',
    dom: 5,
    ia: [1, null, 3],
    ta: ['a', 'b,c', null, 'd"e'],
    tsa: ['2024-01-01T00:00:00Z'],
    hs: { a: '1', b: null },
    lt: 'top.sub',
    x: '<a>1</a>',
    tsr: '["2024-01-01 00:00:00+00","2024-02-01 00:00:00+00")',
    nr: '[1,10)',
    bt: 'Cg==',
    bt1: true,
    vb: 'BQ==',
    pt: { x: 1.5, y: 2.5, wkb: 'AQEAAAAAAAAAAAD4PwAAAAAAAARA', srid: null },
    ptY: 2.5,
    tsv: "'cat' 'fat'",
    mos: ['SAD', 'OK'],
  }

  for (const format of all) {
    test(`fact 27 ${format}: read by the snapshot and sent by the stream, fact 28 with the connector's own headers`, async () => {
      const world = await openWorld(types(format), avro)
      await world.deliver(formats[format].records)
      const rows = await world.rows('Typed')
      const of = (id: number) => rows.find((row) => row.id === id)
      expect(of(1)).toEqual({ id: 1, ...expected })
      expect(of(10)).toEqual({ id: 10, ...expected, t: null, num: null })
      expect(of(300)).toEqual({ id: 300, ...expected })
      const { id, ...nothing } = of(0)!
      expect(id).toBe(0)
      expect(new Set(Object.values(nothing))).toEqual(new Set([null]))
      expect([...(await world.sql`select jb->>'big' as big from odd.typed where id = 1`)]).toEqual([
        { big: '12345678901234567890' },
      ])
      // Each refusal is its own key's, and names no value.
      const parked = await world.parked()
      expect(rows.map((row) => row.id)).toEqual([0, 1, 10, 300])
      expect(new Set(parked.map(({ key }) => key))).toEqual(
        new Set(['[2]', '[3]', '[4]', '[5]', '[12]', '[14]', '[302]', '[304]']),
      )
      for (const { reason } of parked)
        expect(reason).toMatch(
          /^Typed\.\w+ (is outside the years 0001 to 9999|is not a finite number|is before 1582-10-15)/,
        )
    })
  }
})

test('fact 28 every record carries headers of the connector, which mean nothing here; the keys of a moved row stand among them', () => {
  for (const record of [...formats.json.records, ...sampleRecords('debezium/public.keychg.jsonl')]) {
    const names = Object.keys(record.headers)
    expect(names.filter((name) => name.startsWith('__debezium.context.'))).toHaveLength(4)
    expect(names.filter((name) => !/^__debezium\.(context\.\w+|newkey|oldkey)$/.test(name))).toEqual([])
  }
  const probe = entity('KeyChange', ['id'], [column('id', 'Int!'), column('v', 'String!')], {
    topic: 'odd.public.keychg',
  })
  const decoder = createDecoder(model([probe]))
  const changes = sampleRecords('debezium/public.keychg.jsonl').flatMap((record) =>
    decoder.decode(record, 0).flatMap((one) => (one.kind === 'changes' ? one.changes : [])),
  )
  const moves = changes.filter(({ keyChange }) => keyChange)
  expect(moves).toHaveLength(10)
  for (const { provenance } of changes) expect(Object.keys(provenance!)).toEqual(['tx'])
})
