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
}

/**
 * No statement on the way from the log to the tables takes this long. One that waits for a lock for longer is tried again; one whose
 * answer never comes, since the network swallows it, would else hang for a quarter of an hour.
 */
export const statementMs = 60_000
