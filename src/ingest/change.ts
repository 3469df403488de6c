/**
 * What a source's record means: the vocabulary between decode and apply.
 */
import type { Literal } from '../model/condition.ts'

/** A place in a partitioned log. `offset` is the record's own. */
export type Position = { readonly topic: string; readonly partition: number; readonly offset: bigint }

/**
 * Orders the changes of one key: the later tuple wins, an equal one is a duplicate. `epoch` is the source's (partition's) epoch.
 * - Postgres by Debezium: major = the later of the change's lsn and of the last commit before its transaction's, minor = the change's
 *   lsn. A transaction that was open while a snapshot was taken has changes with lsns before the snapshot's and commits after it.
 * - MySQL by Debezium: major = binlog file and position, minor = 1 + row.
 * - declared version, or event time (microseconds): major = that, minor = the record's place in the log.
 * - neither: major = offset, minor = 0.
 * An initial snapshot read has minor = 0, so it loses ties against the stream.
 * `incremental`: an incremental-snapshot read, which has no version: it wins by offset over what came earlier from the same
 * partition, and the row keeps its version.
 */
export type Version = OrderedVersion | { readonly kind: 'incremental'; readonly epoch: number }
export type OrderedVersion = {
  readonly kind: 'ordered'
  readonly epoch: number
  readonly major: bigint
  readonly minor: bigint
}

/** What a row says of its last change. `trace`: W3C traceparent. `tx`: the source's id of its transaction. */
export type Provenance = { readonly trace?: string; readonly tx?: string }

/**
 * Why a change was not applied. `truncated`: a truncate came after it. `not-owner`: conflict OWNER, and somebody else wrote it.
 * `older-fields`: conflict FIELD_CLOCK, and some of its fields were written or deleted later; the others were applied.
 */
export type DropReason = 'older' | 'duplicate' | 'truncated' | 'not-owner' | 'older-fields'

/** A column's value in JSON form: bigint-exact numbers as text, DateTime as ISO UTC, list columns as arrays, JSON columns as JSON text. */
export type CellValue = Literal | readonly Literal[] | { readonly json: string }

/**
 * The source changed a row's key: it sent a delete under the old key and an upsert under the new one, often on two partitions. What the
 * upsert lacks is in the row under the old key (C15). `id`: the source's place of the change, the same for both. `key`: columns of the
 * other one's key.
 */
export type KeyChange = {
  readonly side: 'old' | 'new'
  readonly id: string
  readonly key: Readonly<Record<string, CellValue>>
}

/**
 * One create, update or delete of one row. `row` holds key columns always; on `delete` nothing else is needed.
 * `absent`: columns whose value the record does not carry (PATCH, Debezium's unavailable placeholder): the stored value stays.
 * `raw`: source text of enum values that no declared value takes, by column.
 */
export type Change = {
  readonly entity: string
  readonly op: 'upsert' | 'delete'
  readonly row: Readonly<Record<string, CellValue>>
  readonly absent: readonly string[]
  readonly raw?: Readonly<Record<string, string>>
  readonly version: Version
  /** ISO 8601 UTC. */
  readonly eventTime: string | null
  /** A live change of a source whose order is its log's: an older one with a later event time means the source was restored. */
  readonly live: boolean
  readonly position: Position
  readonly provenance?: Provenance
  /** Read by an initial snapshot; `last`: with it the snapshot has read all of the entity (C13). */
  readonly snapshot?: 'read' | 'last'
  readonly keyChange?: KeyChange
}

/** Every row of the entity that is no later than this is gone (C17). */
export type Truncate = {
  readonly entity: string
  readonly version: OrderedVersion
  readonly eventTime: string | null
  readonly position: Position
  readonly provenance?: Provenance
}

/** An entity whose rows are the elements of an array in a record: all rows of one record, replacing those it had before. */
export type ReplaceSet = {
  readonly entity: string
  /** The key columns that come from the record itself rather than the element. */
  readonly parent: Readonly<Record<string, CellValue>>
  readonly rows: readonly Change[]
  readonly version: Version
  readonly eventTime: string | null
  readonly position: Position
  readonly snapshot?: Change['snapshot']
}

/**
 * What could be told of a row that could not be decoded or stored. `key` holds its key columns, of an array's entity its parent's.
 * `row`: the columns that could be read, `absent`: those that keep their stored value; a column in neither may be anything, unless
 * the row is `gone`, since the record takes it away. `major`: as a version has it, where it could be read.
 */
export type Told = {
  readonly key: Readonly<Record<string, CellValue>>
  readonly row: Readonly<Record<string, CellValue>>
  readonly absent: readonly string[]
  readonly gone: boolean
  readonly major: bigint | null
}

/** A record that could not be decoded or applied. Key and value are the record's bytes, untouched. `told`: undefined where not even the key could be told. */
export type BadRecord = {
  readonly record: LogRecord
  readonly entity: string
  readonly reason: string
  readonly epoch: number
  readonly told: Told | undefined
}

/** A record as a log carries it. `timestamp`: milliseconds since 1970, as the log stamped it. */
export type LogRecord = {
  readonly topic: string
  readonly partition: number
  readonly offset: bigint
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Readonly<Record<string, Buffer | string | readonly (Buffer | string)[] | undefined>>
}

/**
 * What a record came to. `skipped` counts by reason: tombstone, heartbeat, other event type, … `unprepared`: it can't be read without a
 * schema that isn't at hand; once that is fetched, decode it again. `stopped`: its own schema doesn't give what the entity needs, so that
 * nothing more of the entity can be read; otherwise as `bad`.
 */
export type Decoded =
  | {
      readonly kind: 'changes'
      readonly changes: readonly Change[]
      readonly sets: readonly ReplaceSet[]
      /** Columns of its one change that a new row should have brought. */
      readonly lacking?: readonly string[]
    }
  | { readonly kind: 'truncate'; readonly truncate: Truncate }
  | { readonly kind: 'skipped'; readonly reason: string }
  /** A change that does not count. */
  | { readonly kind: 'dropped'; readonly entity: string; readonly reason: DropReason }
  | {
      readonly kind: 'bad' | 'stopped'
      readonly entity: string
      readonly reason: string
      readonly epoch: number
      readonly told: Told | undefined
    }
  | { readonly kind: 'unprepared'; readonly schema: string }
