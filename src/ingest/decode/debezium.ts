/**
 * Debezium's change events: in JSON, with and without the schema wrapper, and in Avro.
 */
import type { Column, Entity, EnumType } from '../../model/model.ts'
import type { Decoded, LogRecord } from '../change.ts'
import { type Document, isObject, type JsonObject } from './document.ts'
import { DecodeFault } from './fault.ts'
import { headerBytes } from './header.ts'
import type { ReadKey } from './key.ts'
import { fittedCells, type Needed, SchemaMisfit } from './misfit.ts'
import { nativeOrder } from './native-order.ts'
import { refuseOldDays } from './old-days.ts'
import { envelopeTime } from './order.ts'
import { provenanceOf } from './provenance.ts'
import { type Place, schemaAt } from './row.ts'
import type { Reading, Shape } from './shape.ts'

export type ReadRecord = (record: LogRecord, document: Document | undefined, epoch: number, keys: ReadKey) => Decoded

const skipped = (reason: string): Decoded => ({ kind: 'skipped', reason })

/** Where a change event has its row. */
export const rowInEnvelope = {
  at: ['after'],
  placeOf: ({ path }: Column): Place => ({ kind: 'path', roots: [0], path }),
}

export const debeziumReader = (
  entity: Entity,
  enums: ReadonlyMap<string, EnumType>,
  shape: Shape,
  needed: Needed,
): ReadRecord => {
  const cells = fittedCells({ entity, enums, ...rowInEnvelope, missing: 'absent', needed })
  const refuseOld = refuseOldDays(entity)
  return (record, document, epoch, keys) => {
    const payload = document?.payload
    // After a delete comes a record without value, so that compaction drops the key: the delete itself said all.
    if (document === undefined || payload === null) return skipped('tombstone')
    if (!isObject(payload)) throw new DecodeFault('is not a Debezium change event')
    const { op, before, after, source } = payload
    if (typeof op !== 'string') return withoutOp(payload)
    if (op !== 't' && op !== 'm') requireKey(entity, record, source)
    switch (op) {
      case 'c':
      case 'u':
      case 'r': {
        if (!isObject(after)) throw new DecodeFault(`a change with op ${op} has no after`)
        const reading = readingOf(record, document, epoch, op, after, payload, source)
        const decoded = shape.upsert(reading, () => cells(document), keys)
        if (op === 'r' && isObject(source) && source.connector === 'postgresql' && decoded.kind === 'changes')
          for (const { row } of decoded.changes) refuseOld(row, schemaAt(document.schema, rowInEnvelope.at))
        const absent =
          op === 'c' && !reading.moved && decoded.kind === 'changes' ? decoded.changes[0]?.absent : undefined
        return absent?.length ? { ...decoded, lacking: absent } : decoded
      }
      case 'd':
        return shape.remove(readingOf(record, document, epoch, op, before, payload, source), keys)
      case 't':
        return shape.truncate(readingOf(record, document, epoch, op, undefined, payload, source))
      case 'm':
        return skipped('logical message')
      default:
        throw new DecodeFault('has an op that is none of c, u, d, r, t, m')
    }
  }
}

/**
 * A connector sends null keys for a table that has none: nothing tells its rows apart, a change of what would be their key comes without
 * a delete, and what is sent again would count twice. Records that no connector wrote may leave the key to the row.
 */
const requireKey = ({ name }: Entity, { topic, key }: LogRecord, source: unknown): void => {
  if (key !== null || !isObject(source) || typeof source.connector !== 'string') return
  throw new SchemaMisfit(
    `${name}: records of ${topic} have no key, as those of a table without one, whose rows can't be told apart: give the table a primary key, or name unique columns in the connector's message.key.columns, then have the topic made anew by a new snapshot and start again`,
  )
}

const withoutOp = (payload: JsonObject): Decoded => {
  const names = Object.keys(payload)
  if (names.every((name) => name.startsWith('ts_'))) return skipped('heartbeat')
  if (payload.status === 'BEGIN' || payload.status === 'END') return skipped('transaction boundary')
  throw new DecodeFault('has no op: for rows without an envelope declare format: JSON')
}

const readingOf = (
  record: LogRecord,
  document: Document,
  epoch: number,
  op: string,
  row: unknown,
  envelope: JsonObject,
  source: unknown,
): Reading => {
  const from = isObject(source) ? source : {}
  const native = nativeOrder(op, from, document)
  const last = from.snapshot === 'last' || from.snapshot === 'last_in_data_collection'
  return {
    record,
    epoch,
    document,
    row,
    envelope,
    roots: [row, envelope],
    native,
    time: envelopeTime(from.ts_us, 'MICROS') ?? envelopeTime(from.ts_ms, 'MILLIS'),
    live: op !== 'r' && native.kind === 'log',
    missing: 'absent',
    placeholders: true,
    ownKey: false,
    writer: typeof from.name === 'string' ? from.name : undefined,
    provenance: provenanceOf(record, isObject(row) ? row.tracingspancontext : undefined, from.txId ?? from.gtid),
    ...(native.kind === 'log' && native.snapshot ? { snapshot: last ? 'last' : 'read' } : {}),
    ...(native.kind === 'log' ? movedBy(record, op, native.id) : {}),
  }
}

/** A change of the key is a delete that names the new key, and an upsert that names the old one. */
const movedBy = (record: LogRecord, op: string, id: string): Pick<Reading, 'moved'> => {
  const side = op === 'd' ? 'old' : 'new'
  const key = headerBytes(record, side === 'old' ? '__debezium.newkey' : '__debezium.oldkey')
  return key === undefined ? {} : { moved: { side, id, record: { ...record, key: Buffer.from(key) } } }
}
