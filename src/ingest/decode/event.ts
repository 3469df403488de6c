/**
 * Plain JSON rows, domain events by declared mapping, and CloudEvents (structured, or binary with `ce_` headers).
 */
import type { Column, Entity, EnumType, SourceEvent } from '../../model/model.ts'
import type { LogRecord } from '../change.ts'
import type { ReadRecord } from './debezium.ts'
import { type Document, isNumber, isObject, type JsonObject, numberText } from './document.ts'
import { DecodeFault } from './fault.ts'
import { headerText } from './header.ts'
import { fittedCells, type Needed } from './misfit.ts'
import { envelopeTime } from './order.ts'
import { provenanceOf } from './provenance.ts'
import { type Place, walk } from './row.ts'
import type { Reading, Shape } from './shape.ts'
import { parseJsonText } from './text.ts'

export const eventReader = (
  entity: Entity,
  enums: ReadonlyMap<string, EnumType>,
  shape: Shape,
  needed: Needed,
): ReadRecord => {
  const { format, events, typeAt } = entity.source
  const cloud = format === 'CLOUDEVENTS'
  const cellsOf = (event?: SourceEvent) =>
    fittedCells({ entity, enums, ...rowInEvent(event), missing: event?.op === 'PATCH' ? 'absent' : 'null', needed })
  const rowCells = cellsOf()
  const byType = new Map(events?.map((event) => [event.type, { ...event, cells: cellsOf(event) }]))
  const typePath = typeAt ?? ['type']
  return (record, given, epoch, keys) => {
    const document = given ?? nothing
    const envelope = cloud ? cloudEnvelope(record, document.payload) : document.payload
    const read = (row: unknown) => readingOf(record, document, epoch, row, envelope, cloud)
    if (!events && document.payload === null) return shape.remove(read(undefined), keys)
    if (envelope === null) return { kind: 'skipped', reason: 'tombstone' }
    if (!isObject(envelope)) throw new DecodeFault('is not a JSON object')
    if (!events) {
      const row = cloud ? envelope.data : envelope
      if (!isObject(row)) throw new DecodeFault('has no data object')
      return shape.upsert(read(row), rowCells(document), keys)
    }
    const type = walk(envelope, typePath)
    const event = byType.get(isNumber(type) ? numberText(type, document) : String(type))
    if (event === undefined) return { kind: 'skipped', reason: 'other event type' }
    const row = event.at ? walk(envelope, event.at) : cloud ? (envelope.data ?? envelope) : envelope
    if (event.op === 'DELETE')
      return shape.remove(read(isObject(row) && mapped(row, envelope, event.map, entity)), keys)
    if (!isObject(row)) throw new DecodeFault(`has no object at ${event.at?.join('.') ?? 'data'}`)
    const reading = read(row)
    return shape.upsert(event.op === 'PATCH' ? { ...reading, missing: 'absent' } : reading, event.cells(document), keys)
  }
}

/** Where an event has its row; without one, a record that is the row. */
export const rowInEvent = (event?: SourceEvent) => ({ at: event?.at ?? [], placeOf: placeIn(event) })

/** A mapped path starts at the object that holds the fields, else at the record. */
export const placeIn =
  (event: SourceEvent | undefined) =>
  ({ name, path }: Column): Place => {
    const value = event?.set.get(name)
    if (value !== undefined) return { kind: 'literal', value }
    const at = event?.map.get(name)
    return at ? { kind: 'path', roots: [0, 1], path: at } : { kind: 'path', roots: [0], path }
  }

/** The row with mapped key columns where their own paths look for them. */
const mapped = (row: JsonObject, envelope: JsonObject, map: SourceEvent['map'], entity: Entity): JsonObject => {
  const out: Record<string, unknown> = { ...row }
  for (const { name, path } of entity.columns) {
    const at = entity.key.includes(name) ? map.get(name) : undefined
    if (at && path.length === 1) out[path[0]!] = walk(row, at) ?? walk(envelope, at)
  }
  return out
}

const readingOf = (
  record: LogRecord,
  document: Document,
  epoch: number,
  row: unknown,
  envelope: unknown,
  cloud: boolean,
): Reading => ({
  record,
  epoch,
  document,
  row,
  envelope,
  roots: [envelope, row],
  native: { kind: 'offset' },
  time: cloud && isObject(envelope) ? envelopeTime(envelope.time, 'MILLIS') : undefined,
  live: false,
  missing: 'null',
  placeholders: false,
  ownKey: true,
  writer: cloud && isObject(envelope) && typeof envelope.source === 'string' ? envelope.source : undefined,
  provenance: provenanceOf(record, isObject(envelope) ? envelope.traceparent : undefined, undefined),
})

const nothing: Document = { payload: null, schema: undefined, exact: true, escapes: false, text: '', wrapped: false }

/** Binary mode: attributes are `ce_` headers and the value is the data. Structured: the value holds both. */
export const cloudEnvelope = (record: LogRecord, payload: unknown): unknown => {
  if (headerText(record, 'ce_specversion') === undefined) {
    if (payload === null) return null
    if (!isObject(payload) || typeof payload.specversion !== 'string') {
      throw new DecodeFault('is not a CloudEvent: it has neither ce_ headers nor a specversion')
    }
    const { data, data_base64: bytes } = payload
    if (data === undefined && typeof bytes === 'string') {
      return { ...payload, data: parseJsonText(Buffer.from(bytes, 'base64').toString('utf8')) }
    }
    return payload
  }
  const envelope: Record<string, unknown> = { data: payload }
  for (const name of Object.keys(record.headers)) {
    if (name.startsWith('ce_')) envelope[name.slice(3)] = headerText(record, name)
  }
  return envelope
}
