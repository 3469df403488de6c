/** Settings of the engine's own connections. */

/** The engine's statements always mean the same work, whatever their parameters, so planning them anew each time is time lost. */
export const plans = { plan_cache_mode: 'force_generic_plan', jit: 'off' }
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
