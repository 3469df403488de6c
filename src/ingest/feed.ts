/**
 * The port for everything that brings changes and is no log itself: a table read by a slot or a poll, a file, somebody's endpoint. A feed
 * puts records into topics of the journal, and each append moves the feed's cursor in the same transaction. So positions, quarantine,
 * replay and frontiers are the journal's, and a feed needs to get right only this:
 * - What it appends and the cursor that says so go in one `append`. After a crash `run` begins at the last cursor: nothing is
 *   appended twice, nothing is left out.
 * - Records of one key are appended in the source's order, under the same key bytes. Each holds what the topic's format says; tables are
 *   Debezium's JSON envelopes, so one decoder serves.
 * - `bound` asks the source. It never answers from what the feed has seen before it was called.
 *
 * What the engine promises: of all processes one runs a feed at a time (an advisory lock), and one that lost that without noticing can't
 * append (a compare-and-set on the cursor).
 */
import type { TransactionSql } from '../platform/postgres.ts'
import type { JournalRecord } from './source/journal.ts'

export type FeedRecord = JournalRecord & { readonly topic: string }

/** `lsn`: of the source's own log, where it has one: every commit up to there was in that. */
export type Bound = { readonly topics: readonly string[]; readonly lsn?: bigint }

export type Feed = {
  /** Of the cursor and the lock; for good. */
  readonly name: string
  readonly topics: readonly string[]
  /** SOURCE: `bound` holds for every commit. LOG: for what the feed's way of asking finds (a poll misses who commits too late). */
  readonly basis: 'SOURCE' | 'LOG'
  /**
   * Streams until `stop`, or throws. It is called again after a pause, with the cursor as it stands; after `Stuck` only once an operator has
   * acted.
   */
  run(journal: FeedJournal): Promise<void>
  /**
   * Resolves once everything that the source had committed before the call is in the journal, with the topics for which that is so (not
   * those whose first snapshot is under way). Rejects when the source can't be asked. Called only while `run` is.
   */
  bound(): Promise<Bound>
}

export type FeedJournal = {
  /** What the last append left, as JSON gives it back; null: there was none. */
  readonly cursor: unknown
  /**
   * One transaction; on disk when it resolves. `also`: the feed's own rows in it. Rejects with the database's error or, for a process that
   * is no longer the feed's, with another: `run` lets either through.
   */
  append(
    records: readonly FeedRecord[],
    cursor: unknown,
    also?: (tx: TransactionSql) => Promise<unknown>,
  ): Promise<void>
  readonly stop: AbortSignal
}

/** Nothing but an operator helps: the topics' partitions stop with this reason, which says what to do. */
export class Stuck extends Error {
  constructor(reason: string) {
    super(reason)
    this.name = 'Stuck'
  }
}
