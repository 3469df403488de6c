/**
 * publish: what recompute changed goes to the shared row cache, after the commit that changed it is on disk (C31). Each key leaves a
 * versioned tombstone, so that a gateway that read the row before the change can't put it back (C30).
 */
import type { Redis } from '../platform/redis.ts'
import { invalidateRows } from '../platform/row-cache.ts'
import type { ChangedRow } from './maintain/round.ts'

/** Never throws: a cache that can't be told holds no row longer than its view's maxLag. */
export const publisher =
  (redis: Redis) =>
  async (rows: readonly ChangedRow[]): Promise<void> => {
    await invalidateRows(
      redis,
      rows.map(({ generation, tenant, key, version }) => ({ view: generation.table.hash, tenant, key, version })),
    )
  }
