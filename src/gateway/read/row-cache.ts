/**
 * Rows by key from Redis. Only whole rows by full key (C29), kept for half of the view's `maxLag` and served only while they keep
 * the promise, so an answer is the same with and without it, but for its asOf. Redis away: every read is a miss. Once it is back, nothing
 * counts that was read before: a drop may have missed it, and who has seen the row from Postgres meanwhile would see it go back.
 */
import { counter } from '../../platform/metrics.ts'
import type { RedisClient } from '../../platform/redis.ts'
import { fillRow, type RowKey, type RowScope, readRows } from '../../platform/row-cache.ts'
import type { Basis } from '../freshness/freshness.ts'
import type { StoredRow } from './row-sql.ts'

/** `basis`: what the bounds of its rows are about; one that is about something else says nothing. */
export type CacheScope = RowScope & { readonly maxLagMs: number; readonly basis: Basis }
export type Hit = { readonly row: StoredRow; readonly asOf: number }
export type RowCache = {
  get(scope: CacheScope, keys: readonly RowKey[]): Promise<readonly (Hit | undefined)[]>
  /** Under the row's own key, by which a change drops it. `asOf`: the bound that held when it was read. Goes on in the background. */
  fill(scope: CacheScope, row: StoredRow, asOf: number): void
}

const reads = counter({ name: 'forebay_row_cache_reads_total', help: 'Rows asked of Redis.', labels: ['result'] })

/** So long after Redis was last away here, every other process has found it again too: its client probes each second. */
const settledMs = 2_000

/** `now`: the upper bound of the primary's clock, in milliseconds. */
export const createRowCache = (redis: RedisClient, now: () => number): RowCache => {
  let trusted = 0
  const attempt: RedisClient['attempt'] = async (commands) => {
    const answer = await redis.attempt(commands)
    if (!answer.ok) trusted = now() + settledMs
    return answer
  }
  return {
    get: async (scope, keys) => {
      const answer = await attempt((client) => readRows(client, scope, keys))
      const oldest = Math.max(now() - scope.maxLagMs, trusted)
      return keys.map((_, i) => {
        const cached = answer.ok ? answer.value[i] : undefined
        const { basis, ...row } =
          cached !== undefined && cached.asOf >= oldest
            ? (JSON.parse(cached.row) as StoredRow & { readonly basis: Basis })
            : { basis: undefined }
        const fit = cached !== undefined && basis === scope.basis
        reads.inc({ result: fit ? 'hit' : 'miss' })
        return fit ? { row: { ...(row as StoredRow), version: cached.version }, asOf: cached.asOf } : undefined
      })
    },
    fill: (scope, { version, fields, key, incomplete, classes, finalAt }, asOf) => {
      const row = JSON.stringify({ fields, key, incomplete, classes, finalAt, basis: scope.basis })
      const own = JSON.parse(key) as RowKey
      void attempt((client) => fillRow(client, scope, own, { version, asOf, row }, scope.maxLagMs / 2))
    },
  }
}
