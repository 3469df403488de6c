/**
 * publish, where there is a Redis: rows that changed are dropped from the shared row cache, and only then told in the stream of their feed,
 * both after the commit that changed them is on disk (C31). Each drop leaves its version, so that a gateway that read the row before the change
 * can't put it back (C30).
 */
import { partsOf } from '../platform/change-message.ts'
import { changeStream, mostKept, streamLastsMs } from '../platform/change-stream.ts'
import { type KeyHash, readKeyHash } from '../platform/key-hash.ts'
import { counter } from '../platform/metrics.ts'
import type { Sql } from '../platform/postgres.ts'
import type { RedisClient } from '../platform/redis.ts'
import { invalidateRows } from '../platform/row-cache.ts'
import { type Announced, groupsOf } from './maintain/change-feed.ts'

const missed = counter({
  name: 'forebay_row_cache_drops_missed_total',
  help: 'Changed rows that Redis could not be told of.',
})

/**
 * Never throws. Rows that Redis couldn't be told of leave a gap in their feed, at which gateways drop what they keep; those in Redis itself are
 * refused by who knows that they changed, and served no longer than their time to live, for what they are.
 */
export const publisher = (redis: RedisClient, sql: Sql): ((announced: Announced) => Promise<void>) => {
  let known: KeyHash | undefined
  return async ({ feed, sequence, changed }) => {
    known ??= await readKeyHash(sql).catch(() => undefined)
    const names = known
    if (names === undefined) return
    const told = await redis.attempt(async (client) => {
      await invalidateRows(
        client,
        changed.map(({ generation, tenant, key, version }) => ({
          name: names.row(generation.table.hash, tenant, key),
          version,
        })),
      )
    })
    if (!told.ok) missed.inc(changed.length)
    await redis.attempt(async (client) => {
      const stream = changeStream(feed)
      const added = partsOf(groupsOf(changed, names)).map((part) =>
        client.xadd(stream, 'MAXLEN', '~', mostKept, '*', 'm', `${feed} ${sequence} ${part}`),
      )
      await Promise.all([...added, client.pexpire(stream, streamLastsMs)])
    })
  }
}
