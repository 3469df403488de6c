/** Rows, domain events by declared mapping, and CloudEvents. */
import type { Column, Entity, EnumType, Format, SourceEvent } from '../../model/model.ts'
import type { LogRecord } from '../change.ts'
import { wholeEvent, withData } from './cloud-event.ts'
import type { ReadRecord } from './debezium.ts'
import { type Document, isNumber, isObject, type JsonObject, noDocument, numberText } from './document.ts'
import { DecodeFault } from './fault.ts'
import { fittedCells, type Needed } from './misfit.ts'
import { envelopeTime } from './order.ts'
import { provenanceOf } from './provenance.ts'
import { type Place, walk } from './row.ts'
import type { Reading, Shape } from './shape.ts'

export const eventReader = (
  entity: Entity,
  enums: ReadonlyMap<string, EnumType>,
  shape: Shape,
  needed: Needed,
): ReadRecord => {
  const { format, events, typeAt } = entity.source
  const cloud = isCloudEvents(format)
  const cellsOf = (event?: SourceEvent) =>
    fittedCells({
      entity,
      enums,
      ...rowInEvent(format, event),
      missing: event?.op === 'PATCH' ? 'absent' : 'null',
      needed,
    })
  const rowCells = cellsOf()
  const byType = new Map(events?.map((event) => [event.type, { ...event, cells: cellsOf(event) }]))
  const typePath = typeAt ?? ['type']
  const eventOf = (found: Document) => {
    const document = cloud && typePath[0] === 'data' ? withData(found) : found
    const type = walk(document.payload, typePath)
    return byType.get(isNumber(type) ? numberText(type, document) : String(type))
  }
  return (record, given = noDocument, epoch, keys) => {
    const found = cloud ? wholeEvent(given) : given
    if (!events && given.payload === null) return shape.remove(readingOf(record, found, epoch, undefined, cloud), keys)
    if (found.payload === null) return { kind: 'skipped', reason: 'tombstone' }
    if (!isObject(found.payload)) throw new DecodeFault('is not a JSON object')
    const event = events && eventOf(found)
    if (events && event === undefined) return { kind: 'skipped', reason: 'other event type' }
    const document = cloud ? withData(found) : found
    const envelope = document.payload as JsonObject
    const read = (row: unknown) => readingOf(record, document, epoch, row, cloud)
    if (event === undefined) {
      const row = cloud ? envelope.data : envelope
      if (!isObject(row)) throw new DecodeFault('has no data object')
      return shape.upsert(read(row), () => rowCells(document), keys)
    }
    const row = event.at ? walk(envelope, event.at) : cloud ? (envelope.data ?? envelope) : envelope
    if (event.op === 'DELETE')
      return shape.remove(read(isObject(row) && mapped(row, envelope, event.map, entity)), keys)
    if (!isObject(row)) throw new DecodeFault(`has no object at ${event.at?.join('.') ?? 'data'}`)
    const reading = read(row)
    const cells = () => event.cells(document)
    return shape.upsert(event.op === 'PATCH' ? { ...reading, missing: 'absent' } : reading, cells, keys)
  }
}

export const isCloudEvents = (format: Format): boolean => format === 'CLOUDEVENTS' || format === 'CLOUDEVENTS_AVRO'

/** Where an event has its row; without one, a record that is the row. */
export const rowInEvent = (format: Format, event?: SourceEvent) => ({
  at: event?.at ?? (isCloudEvents(format) ? ['data'] : []),
  placeOf: placeIn(event),
})

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

const readingOf = (record: LogRecord, document: Document, epoch: number, row: unknown, cloud: boolean): Reading => {
  const said: JsonObject = isObject(document.payload) ? document.payload : {}
  return {
    record,
    epoch,
    document,
    row,
    envelope: document.payload,
    roots: [document.payload, row],
    native: { kind: 'offset' },
    time: cloud ? envelopeTime(said.time, 'MILLIS') : undefined,
    live: false,
    missing: 'null',
    placeholders: false,
    ownKey: true,
    writer: cloud && typeof said.source === 'string' ? said.source : undefined,
    provenance: provenanceOf(record, said.traceparent, undefined),
  }
}
