/**
 * publish, where there is a Redis: rows that changed are dropped from the shared row cache, those that were there are put back in their new
 * version, and only then are they told in the stream of their feed; all of it after the commit that changed them is on disk (C31). Each drop
 * leaves its version, so that a gateway that read the row before the change can't put it back (C30).
 */
import { partsOf } from '../platform/change-message.ts'
import { changeStream, mostKept, streamLastsMs } from '../platform/change-stream.ts'
import { type KeyHash, readKeyHash } from '../platform/key-hash.ts'
import { counter } from '../platform/metrics.ts'
import type { Sql } from '../platform/postgres.ts'
import type { RedisClient } from '../platform/redis.ts'
import { fillRow, invalidateRows, rowLastsMs } from '../platform/row-cache.ts'
import { readHotRows } from './hot-rows.ts'
import { type Announced, groupsOf } from './maintain/change-feed.ts'
import type { ChangedRow } from './maintain/work-generation.ts'

const missed = counter({
  name: 'forebay_row_cache_drops_missed_total',
  help: 'Changed rows that Redis could not be told of.',
})
const pushed = counter({
  name: 'forebay_row_cache_pushed_total',
  help: 'Changed rows that Redis held, and was given in their new version.',
})

/** Of a transaction: they are read once more, and what is told waits for that. */
const mostPushed = 200

/**
 * Never throws. Rows that Redis couldn't be told of leave a gap in their feed, at which gateways drop what they keep; those in Redis itself are
 * refused by who knows that they changed, and served no longer than their time to live, for what they are.
 */
export const publisher = (redis: RedisClient, sql: Sql): ((announced: Announced) => Promise<void>) => {
  let known: KeyHash | undefined

  const drop = async (rows: readonly ChangedRow[], nameOf: (row: ChangedRow) => string): Promise<ChangedRow[]> => {
    const dropped = await redis.attempt((client) =>
      invalidateRows(
        client,
        rows.map((row) => ({ name: nameOf(row), version: row.version })),
      ),
    )
    if (!dropped.ok) missed.inc(rows.length)
    const held = dropped.ok ? dropped.value : new Set<string>()
    return held.size === 0 ? [] : rows.filter((row) => !row.gone && held.has(nameOf(row)))
  }
  const push = async (rows: readonly ChangedRow[], feeds: string, nameOf: (row: ChangedRow) => string) => {
    const hot = await readHotRows(sql, rows.slice(0, mostPushed), feeds).catch(() => [])
    const filled = await redis.attempt((client) =>
      Promise.all(hot.map(({ of, row }) => fillRow(client, nameOf(of), row, rowLastsMs))),
    )
    if (filled.ok) pushed.inc(hot.length)
  }
  return async ({ feed, sequence, feeds, changed }) => {
    known ??= await readKeyHash(sql).catch(() => undefined)
    const names = known
    if (names === undefined) return
    const nameOf = ({ generation, tenant, key }: ChangedRow): string => names.row(generation.table.hash, tenant, key)
    const hot = await drop(changed, nameOf)
    if (hot.length > 0) await push(hot, feeds, nameOf)
    await redis.attempt((client) => {
      const stream = changeStream(feed)
      const added = partsOf(groupsOf(changed, names)).map((part) =>
        client.xadd(stream, 'MAXLEN', '~', mostKept, '*', 'm', `${feed} ${sequence} ${part}`),
      )
      return Promise.all([...added, client.pexpire(stream, streamLastsMs)])
    })
  }
}
