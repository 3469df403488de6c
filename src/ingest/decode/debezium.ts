/**
 * Debezium's change events: in JSON, with and without the schema wrapper, and in Avro.
 */
import type { Column, Entity, EnumType } from '../../model/model.ts'
import type { Decoded, LogRecord } from '../change.ts'
import { type Document, isNumber, isObject, type JsonObject, numberText } from './document.ts'
import { DecodeFault } from './fault.ts'
import type { ReadKey } from './key.ts'
import { fittedCells, type Needed } from './misfit.ts'
import { envelopeTime, type NativeOrder } from './order.ts'
import type { Place } from './row.ts'
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
  return (record, document, epoch, keys) => {
    const payload = document?.payload
    // After a delete comes a record without value, so that compaction drops the key: the delete itself said all.
    if (document === undefined || payload === null) return skipped('tombstone')
    if (!isObject(payload)) throw new DecodeFault('is not a Debezium change event')
    const { op, before, after, source } = payload
    if (typeof op !== 'string') return withoutOp(payload)
    switch (op) {
      case 'c':
      case 'u':
      case 'r': {
        if (!isObject(after)) throw new DecodeFault(`a change with op ${op} has no after`)
        const reading = readingOf(record, document, epoch, op, after, payload, source)
        return shape.upsert(reading, cells(document))
      }
      case 'd':
        return shape.remove(readingOf(record, document, epoch, op, before, payload, source), keys)
      case 't':
        throw new DecodeFault('truncate is not applied yet: delete the rows at the source instead, or rebuild')
      case 'm':
        return skipped('logical message')
      default:
        throw new DecodeFault('has an op that is none of c, u, d, r, t, m')
    }
  }
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
  const native = orderOf(op, from, document)
  return {
    record,
    epoch,
    document,
    row,
    envelope,
    roots: [row, envelope],
    native,
    time: envelopeTime(from.ts_us, 'MICROS') ?? envelopeTime(from.ts_ms, 'MILLIS'),
    live: op !== 'r' && native.kind === 'lsn',
    missing: 'absent',
    placeholders: true,
    ownKey: false,
  }
}

/** Incremental snapshot reads of a source with lsns come with a null one; sources without lsns have no such field. */
export const orderOf = (op: string, source: JsonObject, document: Document): NativeOrder => {
  const { lsn } = source
  if (isNumber(lsn)) {
    const place = BigInt(Number.isSafeInteger(lsn) ? (lsn as number) : numberText(lsn, document))
    return { kind: 'lsn', lsn: place, commit: commitOf(source.sequence), snapshot: op === 'r' }
  }
  return { kind: op === 'r' && lsn === null ? 'incremental' : 'offset' }
}

/** A commit that is known to come before the change counts, or its own: `["213275600","213275984"]`. */
const commitOf = (sequence: unknown): bigint => {
  const match = typeof sequence === 'string' ? /^\["(\d{1,19})",/.exec(sequence) : null
  return BigInt(match?.[1] ?? 0)
}
