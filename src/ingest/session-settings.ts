/** Settings of the engine's own connections. */

/** The engine's statements always mean the same work, whatever their parameters, so planning them anew each time is time lost. */
export const plans = { plan_cache_mode: 'force_generic_plan', jit: 'off' }
/**
 * A process that stands still (stopped, swapped out, its machine frozen) keeps its connections, and with them the position rows of the
 * transaction it was in. The server ends such a transaction, as the broker ends the membership after the same time.
 */
export const frozen = { idle_in_transaction_session_timeout: '10s' }
/** The same where the session itself holds shards: its owner never rests for longer than some milliseconds. */
export const frozenOwner = { ...frozen, idle_session_timeout: '10s' }
/**
 * Maintenance reads by key and index alone; a plan made while a table was small must not read all of it once it is large. Without
 * the last one a small table is read whole once, kept, and compared with every row.
 */
export const byKey = {
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  enable_material: 'off',
  // A list's first rows come from its index in their order: a bitmap has to be filled with all of a key's rows before the first is read.
  enable_bitmapscan: 'off',
  // Nor from another index that has the order's beginning: a key's rows may all be alike in that, and would all be read and sorted.
  enable_incremental_sort: 'off',
  // Keys are looked up once each, so what is remembered of one is of no use.
  enable_memoize: 'off',
}
/**
 * A round of maintenance that is lost leaves its entries in the log, so its commit need not wait for the disk, but where what it changed is
 * told through Redis (C31; src/ingest/maintain/change-feed.ts says why NOTIFY doesn't ask for it).
 */
export const unpublished = { synchronous_commit: 'off' }

/**
 * No statement on the way from the log to the tables takes this long. One that waits for a lock for longer is tried again; one whose
 * answer never comes, since the network swallows it, would else hang for a quarter of an hour.
 */
export const statementMs = 60_000
