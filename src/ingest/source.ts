/**
 * The port between a partitioned log (Kafka, or the built-in journal) and the applier. A source reads; where it reads from is not its
 * own to say: the positions in Postgres say that, because they move in the same transaction as the rows.
 *
 * What a source promises the sink:
 * - Of each partition, batches arrive one at a time, each starting where the last one ended (`from` = previous `to`, the first one at
 *   the position that `assigned` answered). A fetch that starts anywhere else is dropped and asked for again.
 * - `to` is the offset after the batch, past control, aborted and compacted records too, so `to - from` may exceed the records
 *   and `records` may be empty.
 * - Nothing is delivered of a partition that is not assigned, is stuck, or whose position is not known.
 * - A partition whose position lies outside its log is stuck: said so by `stuck`, never read from anywhere else instead.
 *
 * What the sink promises: `deliver` settles when it can take more, which may be before the batch is applied (so awaiting it is the
 * back-pressure); when it rejects, the same batch comes again. Batches are applied in order with a compare-and-set on the position.
 */
import type { LogRecord, Position } from './change.ts'

export type Partition = { readonly topic: string; readonly partition: number }

/**
 * All that the source had at `at` (the primary's clock, milliseconds) lies before `end`. SOURCE: all that was committed there; LOG: all that the
 * feed's way of asking finds. `lsn`: of the source's own log, where that is known: all commits up to there are among it.
 */
export type Seen = {
  readonly at: number
  readonly end: bigint
  readonly basis: 'SOURCE' | 'LOG'
  readonly lsn?: bigint
}

/**
 * `start`: the first offset that the log still has. `end`: the offset after its last committed record. `topicId`: of this topic and no
 * other of its name; absent where the log gives none.
 */
export type Extent = Partition & {
  readonly start: bigint
  readonly end: bigint
  readonly topicId?: string
  /**
   * Of a topic that a feed fills, what its source was last asked; null: nothing is known. Absent: `end` is the log's own, asked for now, and
   * speaks of the log alone.
   */
  readonly seen?: Seen | null
}

/** Where to go on reading. `until`: records from there on wait for other partitions (C16): at it nothing is to be read. */
export type Claim = Position & { readonly until?: bigint; readonly topicId?: string }
export const mayRead = ({ offset, until }: Claim): boolean => until === undefined || offset < until

export type Batch = Partition & {
  readonly from: bigint
  readonly to: bigint
  readonly records: readonly LogRecord[]
}

/** A stretch of a partition to be read once more: `until` is the offset after its last. */
export type Range = Partition & { readonly from: bigint; readonly until: bigint }

export type Sink = {
  /**
   * From now on exactly these partitions are this process's; called again with the whole set whenever it changes. `log`: extents of all
   * partitions of their topics, where that is more. Drops what is buffered of partitions that are no longer in the set and waits for
   * what is already in a transaction; creates missing positions at the log's start; answers with the next offset of each that may be
   * read: of one that was read already, where its last delivery ended.
   */
  assigned(extents: readonly Extent[], log?: readonly Extent[]): Promise<readonly Claim[]>
  deliver(batch: Batch): Promise<void>
  /** The partition stops here until somebody acts: store the reason where operators see it. */
  stuck(partition: Partition, reason: string): Promise<void>
}

export type LogSource = {
  readonly kind: 'kafka' | 'journal'
  /** Resolves at once; a broker that is away or a topic that doesn't exist yet is waited for, for ever. */
  start(sink: Sink): Promise<void>
  /**
   * Continue from these offsets: the next batch of each partition starts exactly there. For a lost compare-and-set, and for a partition
   * of the assignment that `assigned` left out or that was stuck or waited, and that may be read now. None of `stopped` need be read.
   */
  rewind(positions: readonly Claim[], stopped?: readonly Partition[]): void
  /**
   * Asks the log itself, now, for every partition of every topic that exists (an unknown topic is left out). Which partitions those are
   * is asked anew as well, so that none that was there when the call began is missing. Throws when the log can't be asked.
   */
  extents(): Promise<readonly Extent[]>
  /** Why the last asking left topics out, by topic. */
  refusals?(): ReadonlyMap<string, string>
  /**
   * The first offset of each partition of the topic whose record the log stamped at this time (milliseconds since 1970) or later; the
   * partition's end where there is none. Throws when the log can't be asked.
   */
  offsetsAt(topic: string, at: number): Promise<readonly Position[]>
  /**
   * Reads ranges once more, apart from what the sink is given and without a trace on it. Of each range, batches begin where its last
   * one ended, none goes beyond its `until`, and the next is read when it is asked for. Ends when every range has been read, or at
   * the signal. Throws `Gone` where a range's records aren't in the log, and else when the log can't be read.
   */
  reread(ranges: readonly Range[], signal: AbortSignal): AsyncIterable<Batch>
  /** What keeps it from reading now, for readiness and operators; undefined: nothing. */
  status(): string | undefined
  /** Ends every delivery, fetch and connection; a `deliver` in flight is not waited for. */
  stop(): Promise<void>
}

/** Records that were asked for are no longer, or not yet, in the log: asking again doesn't help. */
export class Gone extends Error {}

/** `orders-2`: how a partition is named in logs, and as a key of maps. */
export const partitionName = (at: Partition): string => `${at.topic}-${at.partition}`
