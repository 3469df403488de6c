/**
 * Keys that could not be recomputed: taken out of the log, tried again with growing pauses and whenever they are touched, gone from here
 * once they succeed. Meanwhile forebay.degraded names the rows that depend on them; asOf leaves them out.
 *
 * A key stands here under the number by which its node's own keys are logged, so that it is one however it was reached; a raw value that
 * can't be followed stands under its path's.
 */
import { shardOf } from '../../model/sql/key.ts'
import type { Tx } from '../apply/fence.ts'
import type { Culprit } from './attempt.ts'
import { jsonArray } from './log-keys.ts'
import type { Origin } from './origin.ts'
import { ownedShards } from './shards.ts'

/** What takes too long is not tried whenever it is touched, and more seldom. */
const timeout = '57014'
const pauses = {
  touched: '100 milliseconds',
  first: '1 second',
  longest: '10 minutes',
  timeout: { first: '30 seconds', longest: '1 hour' },
}
/** A view of which more keys than this fail rests as a whole. */
export const mostParked = 10_000
/** Longer ones are no key of an index. */
const longestKey = 2_000

const pause = (first: string, longest: string, attempts: string): string =>
  `least(interval '${first}' * power(2, least(${attempts} - 1, 20)), interval '${longest}')`
const next = (attempts: string): string =>
  `clock_timestamp() + case when excluded.sqlstate = '${timeout}' then ${pause(pauses.timeout.first, pauses.timeout.longest, attempts)} else ${pause(pauses.first, pauses.longest, attempts)} end`

/** `every`: rows of the view that depend on the key can't be told, so all of them may. Answers with the number of the generation's parked keys. */
export const parkKeys = async (
  tx: Tx,
  generation: number,
  culprits: readonly (Culprit & Origin & { readonly every: boolean })[],
): Promise<number> => {
  const [row] = await tx.unsafe<{ n: number }[]>(
    `with culprits as materialized (
      select c.*, md5(c.key) as digest from jsonb_to_recordset($2::text::jsonb)
        as c (number int, key text, sqlstate text, reason text, "every" boolean, origin timestamptz, offsets text)),
    parked as (
      insert into forebay.parked_keys as p (generation, path, shard, key, digest, sqlstate, reason, next_attempt_at, origin, offsets)
      select $1::int, number, ${shardOf('key::jsonb')}, key, digest, sqlstate, reason,
        clock_timestamp() + case when sqlstate = '${timeout}' then interval '${pauses.timeout.first}' else interval '${pauses.first}' end, origin, offsets::jsonb
      from culprits order by number, digest
      on conflict (generation, path, digest) do update
      set sqlstate = excluded.sqlstate, reason = excluded.reason, attempts = p.attempts + 1, next_attempt_at = ${next('p.attempts + 1')}
      returning id, path, digest),
    marked as (
      insert into forebay.degraded (parked, generation, key)
      select p.id, $1::int, case when not c.every and length(c.key) <= ${longestKey} then c.key end
      from parked p join culprits c on c.number = p.path and c.digest = p.digest
      where not exists (select from forebay.degraded d where d.parked = p.id))
    select (select count(*) from forebay.parked_keys where generation = $1::int)::int + (select count(*) from parked)::int as n`,
    [generation, JSON.stringify(culprits)],
    { prepare: true },
  )
  return row!.n
}

/** Keys that have succeeded. */
export const releaseKeys = (tx: Tx, generation: number, ids: readonly string[]): Promise<unknown> =>
  tx.unsafe(
    `with released as (delete from forebay.parked_keys where generation = $1::int and id = any($2::bigint[]) returning id)
    delete from forebay.degraded d using released r where d.parked = r.id`,
    [generation, ids as string[]],
    { prepare: true },
  )

/** Those of the keys that are parked, which are tried again soon, since they were touched. */
export const touchParked = async (
  tx: Tx,
  generation: number,
  number: number,
  keys: readonly string[],
): Promise<ReadonlySet<string>> => {
  const rows = await tx.unsafe<{ key: string }[]>(
    `update forebay.parked_keys p
    set next_attempt_at = case when p.sqlstate = '${timeout}' then p.next_attempt_at else least(p.next_attempt_at, clock_timestamp() + interval '${pauses.touched}') end
    where p.id = any(array(
      select x.id from jsonb_array_elements($3::text::jsonb) k
      cross join lateral (select p.id from forebay.parked_keys p
        where p.generation = $1::int and p.path = $2::int and p.digest = md5(k::text) offset 0) x))
    returning p.key`,
    [generation, number, jsonArray(keys)],
    { prepare: true },
  )
  return new Set(rows.map(({ key }) => key))
}

export type Parked = Origin & { readonly id: string; readonly path: number; readonly key: string }

/** Of the shards that this connection owns, those whose pause is over. */
export const dueKeys = (tx: Tx, generation: number, limit: number): Promise<readonly Parked[]> =>
  tx.unsafe<Parked[]>(
    `select id, path, key, origin, offsets::text as offsets from forebay.parked_keys
    where generation = $1::int and shard in (${ownedShards}) and next_attempt_at <= clock_timestamp()
    order by next_attempt_at limit $2::int`,
    [generation, limit],
    { prepare: true },
  )

export type ParkedOf = { readonly generation: number; readonly due: boolean }
/** SQL: which of the generations have parked keys, and have some whose pause is over, of the shards that this connection owns. */
export const parkedOf = (generations: string): string =>
  `select g as generation, exists (select from (${ownedShards}) o cross join lateral (
      select from forebay.parked_keys p where p.generation = g and p.shard = o.shard and p.next_attempt_at <= clock_timestamp() limit 1) d) as due
  from unnest(${generations}::int[]) g where exists (select from forebay.parked_keys p where p.generation = g)`
