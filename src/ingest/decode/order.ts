/**
 * What orders the changes of one key, and when a change happened.
 *
 * | source | major | minor |
 * |---|---|---|
 * | conflict: EVENT_TIME, FIELD_CLOCK | event time, microseconds | the record's place |
 * | declared version | that: an integer, or a time in microseconds | the record's place |
 * | Debezium's source with an order | see native-order.ts | |
 * | any other | offset | 0 |
 *
 * A Debezium incremental read has no order, and a delete by null value carries no declared version: they are `incremental`, ordered by
 * the offset alone. A record's place is its partition and offset in one number, so that no two records are equal: of equally late ones
 * the same wins whatever comes first.
 */
import type { Entity } from '../../model/model.ts'
import type { LogRecord, Version } from '../change.ts'
import { type Document, isNumber, numberText } from './document.ts'
import { DecodeFault } from './fault.ts'
import { instantOfText, instantOfUnits, microsOf } from './instant.ts'
import type { NativeOrder } from './native-order.ts'
import { walk } from './row.ts'
import { type Convert, compileValue } from './value.ts'

export type Order = {
  /** `keyOnly`: a delete of which nothing but the key is known. */
  version(native: NativeOrder, eventTime: string, keyOnly: boolean, at: Origin): Version
  /** Reads of one initial snapshot have one version, or one event time. */
  readonly snapshots: boolean
  /** By the source's log, which going back says that the source was restored (C14). */
  readonly byLog: boolean
  /** The declared event time; undefined where the record doesn't carry it. */
  eventTime(at: Origin): string | undefined
}
/** `roots`: where declared paths start, the first that has them. */
export type Origin = {
  readonly record: LogRecord
  readonly epoch: number
  readonly document: Document
  readonly roots: readonly unknown[]
}

export const compileOrder = (entity: Entity): Order => {
  const { version, time } = entity.source
  const toInstant = instantOf(entity)
  const byTime = entity.conflict === 'EVENT_TIME' || entity.conflict === 'FIELD_CLOCK'
  return {
    byLog: !byTime && version === undefined,
    snapshots: time === undefined || (!byTime && version === undefined),
    version(native, eventTime, keyOnly, { record, epoch, document, roots }) {
      // Of all epochs: a source that was replaced, or a topic that got partitions, does not set time back.
      if (byTime) return { kind: 'ordered', epoch: 0, major: microsOf(eventTime), minor: placeOf(record) }
      if (version === undefined) return nativeVersion(native, record, epoch)
      const value = firstAt(roots, version)
      if (value === undefined || value === null) {
        if (keyOnly) return { kind: 'incremental', epoch }
        throw new DecodeFault(`carries no version at ${version.join('.')}`)
      }
      return { kind: 'ordered', epoch, major: majorOf(value, document, toInstant, version), minor: placeOf(record) }
    },
    eventTime({ roots, document }) {
      const value = time === undefined ? undefined : firstAt(roots, time)
      if (value === undefined || value === null || time === undefined) return undefined
      return named(`the event time at ${time.join('.')}`, () => toInstant(value, document, ignore) as string)
    },
  }
}

/** Offsets have 48 bits and partitions 15: a topic of a million records a second reaches that in nine years a partition. */
const placeOf = ({ partition, offset }: LogRecord): bigint => (BigInt(partition % 2 ** 15) << 48n) | offset

export const nativeVersion = (native: NativeOrder, record: LogRecord, epoch: number): Version => {
  switch (native.kind) {
    case 'log':
      return { kind: 'ordered', epoch, major: native.major, minor: native.minor }
    case 'missing':
      throw new DecodeFault(
        'carries no position of its source (lsn, or binlog file and pos): declare `version` of the source, a path to what orders changes',
      )
    case 'incremental':
      return { kind: 'incremental', epoch }
    case 'offset':
      return { kind: 'ordered', epoch, major: record.offset, minor: 0n }
  }
}

const majorOf = (value: unknown, document: Document, toInstant: Convert, path: readonly string[]): bigint => {
  const text = isNumber(value) ? numberText(value, document) : value
  if (typeof text !== 'string')
    throw new DecodeFault(`the version at ${path.join('.')} is neither an integer nor a time`)
  if (!/^-?\d{1,20}$/.test(text)) {
    return named(`the version at ${path.join('.')}`, () => microsOf(toInstant(text, document, ignore) as string))
  }
  const major = BigInt(text)
  if (BigInt.asIntN(64, major) !== major) throw new DecodeFault(`the version at ${path.join('.')} is beyond 64 bits`)
  return major
}

const instantOf = (entity: Entity): Convert => {
  const column = {
    name: 'time',
    type: { kind: 'scalar', scalar: 'DateTime' },
    list: false,
    nonNull: true,
    path: [],
    encoding: 'AUTO',
    place: entity.place,
  } as const
  return compileValue(column, entity.source, new Map(), undefined)
}

const firstAt = (roots: readonly unknown[], path: readonly string[]): unknown => {
  for (const root of roots) {
    const value = walk(root, path)
    if (value !== undefined) return value
  }
  return undefined
}

const named = <T>(what: string, read: () => T): T => {
  try {
    return read()
  } catch (error) {
    if (error instanceof DecodeFault) throw new DecodeFault(`${what} ${error.message}`)
    throw error
  }
}

const ignore = (): void => {}
const utc = { zone: 'UTC', wall: false }

/** When the log stamped the record. */
export const recordTime = (record: LogRecord): string =>
  instantOfUnits(Math.max(0, Math.trunc(record.timestamp)), 'MILLIS', utc)

/** An envelope's own time: Debezium's `ts_us` or `ts_ms`, CloudEvents' `time`. Undefined where it isn't one. */
export const envelopeTime = (value: unknown, unit: 'MICROS' | 'MILLIS'): string | undefined => {
  try {
    if (typeof value === 'number' && Number.isSafeInteger(value)) return instantOfUnits(value, unit, utc)
    if (typeof value === 'string') return instantOfText(value, utc)
  } catch (error) {
    if (!(error instanceof DecodeFault)) throw error
  }
  return undefined
}
