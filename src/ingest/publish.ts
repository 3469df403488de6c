/**
 * publish: what recompute changed is dropped from the shared row cache, after the commit that changed it is on disk (C31). Each drop
 * leaves its version, so that a gateway that read the row before the change can't put it back (C30).
 */
import { counter } from '../platform/metrics.ts'
import type { RedisClient } from '../platform/redis.ts'
import { invalidateRow } from '../platform/row-cache.ts'
import type { ChangedRow } from './maintain/work-generation.ts'

const missed = counter({
  name: 'forebay_row_cache_drops_missed_total',
  help: 'Changed rows that Redis could not be told of.',
})

/** Never throws: a row that Redis couldn't be told of is served no longer than its time to live, within its view's maxLag. */
export const publisher =
  (redis: RedisClient | undefined) =>
  async (rows: readonly ChangedRow[]): Promise<void> => {
    if (!redis) return
    const told = await redis.attempt((client) =>
      Promise.all(
        rows.map(({ generation, tenant, key, version }) =>
          invalidateRow(client, { hash: generation.table.hash, tenant }, key, version),
        ),
      ),
    )
    if (!told.ok) missed.inc(rows.length)
  }
