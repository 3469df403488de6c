/**
 * Who recomputes which keys: a shard belongs to the maintainer that holds its advisory lock, on the very connection that works
 * (C6). Without an owner an older snapshot could overwrite a newer. A lost connection loses its shards; they are taken again, by
 * whoever comes first.
 */
import { SHARDS } from '../../model/sql/key.ts'
import type { Sql } from '../../platform/postgres.ts'
import { locks } from '../locks.ts'
import { openFeed } from './open-feed.ts'

/**
 * SQL that yields this connection's shards. The session itself remembers them, and dies with its locks. To ask `pg_locks` takes every lock
 * partition's own, and rounds ask often.
 */
export const ownedShards = `select s::int as shard from unnest(string_to_array(current_setting('forebay.shards', true), ',')) s`

const heldLocks = `select objid::int as shard from pg_locks
  where locktype = 'advisory' and pid = pg_backend_pid() and classid = ${locks.shard} and objsubid = 2 and granted order by shard`
/** Before a lock is let go and after it was taken: what a session remembers it holds. */
const remember = (sql: Sql, shards: Iterable<number>): Promise<unknown> =>
  sql`select set_config('forebay.shards', ${[...shards].join()}, false)`

/**
 * Takes free shards up to a fair share of them, and lets go of what is beyond it. `sql` is the maintainer's one connection. Must not
 * run inside a transaction: a shard may only change hands between rounds. Answers with the number owned.
 */
export const balanceShards = async (sql: Sql): Promise<number> => {
  // Before any shard is its own: what it changes is told (C31).
  await openFeed(sql)
  await sql`select pg_try_advisory_lock_shared(${locks.maintainer}, 0)
    where not exists (select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid() and classid = ${locks.maintainer})`
  const [{ maintainers } = { maintainers: 1 }] = await sql<{ maintainers: number }[]>`
    select greatest(count(distinct pid), 1)::int as maintainers from pg_locks
    where locktype = 'advisory' and classid = ${locks.maintainer} and granted
      and database = (select oid from pg_database where datname = current_database())`
  const share = Math.ceil(SHARDS / maintainers)
  const held = (await sql.unsafe<{ shard: number }[]>(heldLocks)).map(({ shard }) => shard)
  const owned = new Set(held.slice(0, share))
  await remember(sql, owned)
  for (const shard of held.slice(share)) await sql`select pg_advisory_unlock(${locks.shard}, ${shard})`
  for (let shard = 0; shard < SHARDS && owned.size < share; shard++) {
    if (owned.has(shard)) continue
    const [row] = await sql<{ taken: boolean }[]>`select pg_try_advisory_lock(${locks.shard}, ${shard}) as taken`
    if (row?.taken) owned.add(shard)
  }
  if (owned.size > Math.min(held.length, share))
    await remember(
      sql,
      (await sql.unsafe<{ shard: number }[]>(heldLocks)).map(({ shard }) => shard),
    )
  return owned.size
}

/** Lets every shard go, and is counted no longer. */
export const releaseShards = async (sql: Sql): Promise<void> => {
  await remember(sql, [])
  await sql`select pg_advisory_unlock_all()`
}
