/**
 * Rows by key from Redis. Only whole rows by full key (C29). Each says how far the change feed was where it
 * was read: if it hasn't changed since then as far as this process was told, it is as good as read now. Else it is served for what it was, with the
 * bound that held then, while that keeps the promise. So an answer is the same with and without it, but for its asOf. Redis away: every read is a
 * miss. Once it is back, nothing counts for its own bound that was read before: a drop may have missed it, and who has seen the row from Postgres
 * meanwhile would see it go back.
 */
import { counter } from '../../platform/metrics.ts'
import type { RedisClient } from '../../platform/redis.ts'
import { fillRow, type RowKey, readRows, rowLastsMs } from '../../platform/row-cache.ts'
import type { Sequences } from '../feed/sequences.ts'
import type { Basis } from '../freshness/freshness.ts'
import type { StoredRow } from './row-sql.ts'

/** `basis`: what the bounds of its rows are about; one that is about something else says nothing. `name`: a row's keyed hash. */
export type CacheScope = {
  readonly maxLagMs: number
  readonly basis: Basis
  readonly name: (key: RowKey) => string
}
/** `asOf`: of the moment it was read; undefined: too old to be served for what it was. */
export type Hit = { readonly row: StoredRow; readonly asOf: number | undefined; readonly feeds: Sequences }
export type RowCache = {
  get(scope: CacheScope, keys: readonly RowKey[]): Promise<readonly (Hit | undefined)[]>
  /**
   * Under the row's own key, by which a change drops it. `asOf`: the bound that held when it was read, `feeds`: how far the change feed was in its
   * snapshot. Goes on in the background.
   */
  fill(scope: CacheScope, row: StoredRow, asOf: number, feeds: Sequences): void
}

const reads = counter({ name: 'forebay_row_cache_reads_total', help: 'Rows asked of Redis.', labels: ['result'] })

/** So long after Redis was last away here, every other process has found it again too: its client probes each second. */
const settledMs = 2_000
const jitter = (ms: number): number => ms * (0.9 + 0.1 * Math.random())

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
      const answer = await attempt((client) => readRows(client, keys.map(scope.name)))
      const oldest = Math.max(now() - scope.maxLagMs, trusted)
      return keys.map((_, i) => {
        const cached = answer.ok ? answer.value[i] : undefined
        const found = cached && (JSON.parse(cached.row) as StoredRow & { readonly basis: Basis })
        reads.inc({ result: found ? 'hit' : 'miss' })
        if (!cached || !found) return undefined
        const { basis, ...row } = found
        return {
          row: { ...row, version: cached.version },
          asOf: cached.asOf >= oldest && basis === scope.basis ? cached.asOf : undefined,
          feeds: JSON.parse(cached.feeds) as Sequences,
        }
      })
    },
    fill: (scope, { version, fields, key, incomplete, classes, finalAt }, asOf, feeds) => {
      const row = JSON.stringify({ fields, key, incomplete, classes, finalAt, basis: scope.basis })
      const name = scope.name(JSON.parse(key) as RowKey)
      const value = { version, asOf, feeds: JSON.stringify(feeds), row }
      void attempt((client) => fillRow(client, name, value, jitter(rowLastsMs)))
    },
  }
}
