/** CloudEvents in each mode, and what in one is refused. */
import avro from 'avsc'
import { describe, expect, test } from 'vitest'
import { createDecoder } from '../../src/ingest/decode.ts'
import type { Entity, SourceEvent } from '../../src/model/model.ts'
import { changeOf } from './decode-one.ts'
import { column, entity, model } from './entities.ts'
import { framed, schemasOf } from './registered.ts'
import { recordOf } from './samples.ts'

const decode = (probe: Entity, value: unknown, more: Parameters<typeof recordOf>[1] = {}) =>
  createDecoder(model([probe])).decode(recordOf(value, more), 0)
const event = (type: string, op: SourceEvent['op'], more: Partial<SourceEvent> = {}): SourceEvent => ({
  type,
  op,
  map: new Map(),
  set: new Map(),
  ...more,
})

const columns = [
  column('id', 'ID!'),
  column('orderId', 'ID!', { path: ['orderId'] }),
  column('kind', 'String!'),
  column('detail', 'String'),
  column('at', 'DateTime!'),
]
const orderEvent = entity('OrderEvent', ['id'], columns, {
  format: 'CLOUDEVENTS',
  typeAt: ['type'],
  time: ['time'],
  events: [
    event('order.note.added', 'UPSERT', { at: ['data'], set: new Map([['kind', 'NOTE']]) }),
    event('order.moved', 'UPSERT', {
      at: ['data'],
      map: new Map([
        ['orderId', ['order', 'id']],
        ['at', ['time']],
      ]),
      set: new Map([['kind', 'STATUS']]),
    }),
    event('order.patched', 'PATCH', { at: ['data'] }),
    event('order.withdrawn', 'DELETE', { at: ['data'], map: new Map([['id', ['event', 'id']]]) }),
  ],
})
const envelope = (type: string, data: unknown, more: object = {}) => ({
  specversion: '1.0',
  id: 'event-1',
  source: '/shop',
  type,
  time: '2026-11-21T09:30:00.5Z',
  data,
  ...more,
})
const note = { id: 'n1', orderId: 'o1', detail: 'call back', at: '2026-11-21T09:29:00Z' }

describe('an event', () => {
  test('structured: fields come from the data, set values from the declaration, the time from the envelope', () => {
    const change = changeOf(decode(orderEvent, envelope('order.note.added', note)))
    expect(change).toMatchObject({
      op: 'upsert',
      row: { ...note, kind: 'NOTE' },
      eventTime: '2026-11-21T09:30:00.5Z',
    })
  })

  test('binary: attributes are headers and the value is the data', () => {
    const { data, ...attributes } = envelope('order.note.added', note)
    const headers = Object.fromEntries(
      Object.entries(attributes).map(([name, value]) => [`ce_${name}`, Buffer.from(String(value))]),
    )
    expect(changeOf(decode(orderEvent, data, { headers }))).toEqual(
      changeOf(decode(orderEvent, envelope('order.note.added', note))),
    )
  })

  test('a mapped path starts at the data, else at the envelope', () => {
    const change = changeOf(decode(orderEvent, envelope('order.moved', { id: 'm1', order: { id: 'o9' } })))
    expect(change.row).toMatchObject({
      id: 'm1',
      orderId: 'o9',
      kind: 'STATUS',
      at: '2026-11-21T09:30:00.5Z',
      detail: null,
    })
  })

  test('PATCH leaves absent fields alone, and a null is a null', () => {
    const change = changeOf(decode(orderEvent, envelope('order.patched', { id: 'n1', detail: null })))
    expect(change).toMatchObject({ op: 'upsert', row: { id: 'n1', detail: null }, absent: ['orderId', 'kind', 'at'] })
  })

  test('DELETE takes the key from the data, by the mapping, and not from what the record is partitioned by', () => {
    const withdrawn = envelope('order.withdrawn', { event: { id: 'n1' } })
    expect(changeOf(decode(orderEvent, withdrawn, { key: 'o1' }))).toMatchObject({ op: 'delete', row: { id: 'n1' } })
    const bare = envelope('order.withdrawn', null)
    expect(changeOf(decode(orderEvent, bare, { key: 'n2' }))).toMatchObject({ op: 'delete', row: { id: 'n2' } })
  })

  test('other types and tombstones are skipped, what is no CloudEvent is bad', () => {
    expect(decode(orderEvent, envelope('order.exploded', {}))).toEqual([
      { kind: 'skipped', reason: 'other event type' },
    ])
    expect(decode(orderEvent, null, { key: 'n1' })).toEqual([{ kind: 'skipped', reason: 'tombstone' }])
    expect(decode(orderEvent, { id: 'n1' })).toMatchObject([
      { kind: 'bad', reason: expect.stringMatching(/is not a CloudEvent/) },
    ])
    expect(decode(orderEvent, envelope('order.moved', 'text'))).toMatchObject([
      { kind: 'bad', reason: 'has no object at data' },
    ])
  })

  test('without declared events the data is a row, also in base64', () => {
    const signal = entity('Signal', ['id'], [column('id', 'ID!'), column('score', 'Decimal!', { scale: 4 })], {
      format: 'CLOUDEVENTS',
    })
    const text = '{"id":"s1","score":0.8700}'
    const structured = `{"specversion":"1.0","type":"t","data":${text}}`
    expect(changeOf(decode(signal, structured)).row).toEqual({ id: 's1', score: '0.8700' })
    const { data: _data, ...bytes } = envelope('t', null, { data_base64: Buffer.from(text).toString('base64') })
    expect(changeOf(decode(signal, bytes)).row).toEqual({ id: 's1', score: '0.8700' })
    expect(changeOf(decode(signal, null, { key: 's1' }))).toMatchObject({ op: 'delete', row: { id: 's1' } })
  })
})

/** As binary mode has it. `named`: how the producer writes names of headers. */
const binary = (type: string, more: Readonly<Record<string, string>> = {}, named = (name: string) => name) => ({
  headers: Object.fromEntries(
    Object.entries({ ce_specversion: '1.0', ce_id: '1', ce_source: '/shop', ce_type: type, ...more }).map(
      ([name, value]) => [named(name), Buffer.from(value)],
    ),
  ),
})
const bad = (reason: RegExp, key?: object) => [
  { kind: 'bad', reason: expect.stringMatching(reason), told: key && expect.objectContaining({ key }) },
]

describe('the type of the data', () => {
  for (const type of [
    'application/json',
    'text/json; charset=utf-8',
    'application/vnd.shop.note+json',
    'Application/JSON',
  ])
    test(`${type} is JSON, in either mode`, () => {
      const structured = envelope('order.note.added', note, { datacontenttype: type })
      expect(changeOf(decode(orderEvent, structured)).row).toMatchObject(note)
      expect(
        changeOf(decode(orderEvent, note, binary('order.note.added', { 'content-type': type }))).row,
      ).toMatchObject(note)
    })

  for (const type of ['application/xml', 'application/avro', 'text/plain', 'no type'])
    test(`${type} makes a record bad, of the key that its own key names`, () => {
      const key = { id: 'n1' }
      const shown = type === 'no type' ? 'a type that is none' : type
      const reason = new RegExp(`^has data of ${shown}, which is not read: send JSON$`)
      const headers = binary('order.note.added', { 'content-type': type })
      expect(decode(orderEvent, '<note id="n1"/>', { ...headers, key })).toMatchObject(bad(reason, key))
      const structured = envelope('order.note.added', '<note/>', { datacontenttype: type })
      expect(decode(orderEvent, structured, { key })).toMatchObject(bad(reason, key))
    })

  test('of an event that the entity does not read it may be anything', () => {
    const skipped = [{ kind: 'skipped', reason: 'other event type' }]
    expect(decode(orderEvent, Buffer.from([0xff, 0]), binary('order.seen', { 'content-type': 'image/png' }))).toEqual(
      skipped,
    )
    expect(decode(orderEvent, envelope('order.seen', undefined, { data_base64: '%' }))).toEqual(skipped)
  })

  test('an event without data has none to judge', () => {
    const headers = binary('order.withdrawn', { 'content-type': 'application/xml' })
    expect(changeOf(decode(orderEvent, null, { ...headers, key: { id: 'n1' } }))).toMatchObject({
      op: 'delete',
      row: { id: 'n1' },
    })
  })
})

describe('data in base64', () => {
  const signal = entity('Signal', ['id'], [column('id', 'ID!'), column('big', 'Long'), column('name', 'String')], {
    format: 'CLOUDEVENTS',
    version: ['rev'],
  })
  const encoded = (text: string) => Buffer.from(text).toString('base64')
  const read = (data_base64: unknown, more: object = {}, rev = '7') =>
    decode(signal, `{"specversion":"1.0","type":"t","rev":${rev},${JSON.stringify({ data_base64, ...more }).slice(1)}`)

  test('fact 23 its numbers are exact, and those beside it', () => {
    const change = changeOf(read(encoded('{"id":"s1","big":9007199254740993}'), {}, '9007199254740995'))
    expect(change.row).toMatchObject({ big: '9007199254740993' })
    expect(change.version).toMatchObject({ major: 9_007_199_254_740_995n })
  })

  test('what no column can hold is found in it', () => {
    expect(read(encoded('{"id":"s1","name":"a\\u0000"}'))).toMatchObject(
      bad(/Signal\.name holds a NUL character/, { id: 's1' }),
    )
  })

  for (const [what, data, reason] of [
    ['unpadded', encoded('{"id":"s1"}  ').replaceAll('=', ''), /has data_base64 that is not base64/],
    ['broken by a line', `${encoded('{"id":"s1"}').slice(0, 4)}\n${encoded('{"id":"s1"}').slice(4)}`, /is not base64/],
    ['url-safe', '-_-_', /is not base64/],
    ['a number', 12, /is not base64/],
    ['of no text', Buffer.from([0xff, 0xfe, 0xfd]).toString('base64'), /has data_base64 that is not UTF-8 text/],
    ['of no JSON', encoded('{'), /has data_base64 that is not valid JSON/],
  ] as const)
    test(`${what} is refused`, () => expect(read(data)).toMatchObject(bad(reason)))

  test('beside data it is refused', () => {
    expect(read(encoded('{"id":"s1"}'), { data: { id: 's2' } })).toMatchObject(bad(/^has data twice/))
  })
})

describe('modes', () => {
  test('names of headers are taken in any case, and an event in structured mode says so', () => {
    const shouted = binary('order.note.added', { 'content-type': 'application/json' }, (name) => name.toUpperCase())
    expect(changeOf(decode(orderEvent, note, shouted)).row).toMatchObject(note)
    const headers = { 'Content-Type': 'application/cloudevents+json; charset=UTF-8' }
    expect(changeOf(decode(orderEvent, envelope('order.note.added', note), { headers })).row).toMatchObject(note)
  })

  test('a batch is refused, whether its type says so or its array', () => {
    const events = [envelope('order.note.added', note)]
    const headers = { 'content-type': 'application/cloudevents-batch+json' }
    expect(decode(orderEvent, events, { headers })).toMatchObject(
      bad(/^is a batch of CloudEvents.*send each as a record$/),
    )
    expect(decode(orderEvent, events)).toMatchObject(bad(/^is a batch of CloudEvents/))
  })

  test('an event in another event format is refused by name', () => {
    const headers = { 'content-type': 'application/cloudevents+avro' }
    expect(decode(orderEvent, Buffer.from([2, 4]), { headers })).toMatchObject(
      bad(/^is a CloudEvent in application\/cloudevents\+avro/),
    )
  })

  test('the trace of an extension is kept, in either mode; a traceparent header of the record goes first', () => {
    const trace = (n: number) => `00-${String(n).repeat(32)}-00f067aa0ba902b7-01`
    const provenanceOf = (value: unknown, more = {}) => changeOf(decode(orderEvent, value, more)).provenance
    const structured = envelope('order.note.added', note, { traceparent: trace(1) })
    expect(provenanceOf(structured)).toEqual({ trace: trace(1) })
    const { headers } = binary('order.note.added', { ce_traceparent: trace(2) })
    expect(provenanceOf(note, { headers })).toEqual({ trace: trace(2) })
    expect(provenanceOf(note, { headers: { ...headers, traceparent: trace(3) } })).toEqual({ trace: trace(3) })
  })
})

describe('format CLOUDEVENTS_AVRO: the data in Avro by a registry’s schema', () => {
  const schema = {
    type: 'record',
    name: 'Note',
    fields: ['id', 'orderId', 'detail', 'at'].map((name) => ({ name, type: 'string' })),
  }
  const probe = { ...orderEvent, source: { ...orderEvent.source, format: 'CLOUDEVENTS_AVRO' as const } }
  const decoder = createDecoder(
    model([probe]),
    schemasOf({ 4: schema, 5: { ...schema, fields: schema.fields.slice(1) } }),
  )
  const data = avro.Type.forSchema(schema as avro.Schema).toBuffer(note)
  const read = (value: unknown, more: Parameters<typeof recordOf>[1]) => decoder.decode(recordOf(value, more), 0)
  const added = binary('order.note.added', { 'content-type': 'application/avro' })

  test('is read by the schema before the data or in the header, attributes from headers', () => {
    const row = { ...note, kind: 'NOTE' }
    expect(changeOf(read(framed(4, data), added))).toMatchObject({ row, eventTime: '2026-11-18T11:06:40Z' })
    const headers = { ...added.headers, __value_schema_id: framed(4, Buffer.alloc(0)), ce_time: '2026-11-21T09:30:00Z' }
    expect(changeOf(read(data, { headers }))).toMatchObject({ row, eventTime: '2026-11-21T09:30:00Z' })
  })

  test('waits for a schema that is not at hand, and takes JSON as it is', () => {
    expect(read(framed(9, data), added)).toEqual([{ kind: 'unprepared', schema: '9' }])
    expect(changeOf(read(note, binary('order.note.added'))).row).toMatchObject(note)
    expect(read(data, added)).toMatchObject(bad(/^has data of application\/avro/))
  })

  test('a schema of the data that lacks a key column stops the entity', () => {
    expect(read(framed(5, data.subarray(3)), added)).toMatchObject([
      { kind: 'stopped', reason: expect.stringMatching(/^OrderEvent\.id has no field/) },
    ])
  })
})
