/**
 * A round of maintenance, one transaction: take visible entries, follow them to view keys, rewrite those rows.
 *
 * Why it is right: an entry becomes visible with its change and is worked in snapshots taken later, which include that change and
 * everything that committed before it. Of two concurrent changes the one worked later sees both. Exactly the entries seen are
 * taken (`DELETE … RETURNING`, C5); keys of other owners go back into the log for them (C6), and so does what exceeds the
 * round (C10), with its origin kept (C22).
 *
 * Keys are handled as jsonb's own text throughout: parsing them would cost 64-bit numbers their last digits.
 */
import { shardOf } from '../../model/sql/key.ts'
import type { Sql } from '../../platform/postgres.ts'
import type { Tx } from '../apply/fence.ts'
import { markHeldAgain } from '../apply/mark-held.ts'
import { currentSlot } from '../dirty-log.ts'
import type { Generation } from '../generations.ts'
import { earliest, type Origin } from './origin.ts'
import { ownedShards } from './shards.ts'

/**
 * The log's path number for keys of groups; 0 is for root keys, others are the view's own paths. Below: root keys that one of these has led to,
 * so that what still waits of a fan-out delays the fields that it touches and no others (C22).
 */
const GROUP_PATH = -1
const rootsBy = (path: number): number => (path === 0 ? 0 : -path - 1)
const leadingTo = (path: number): number => (path < GROUP_PATH ? -path - 1 : path)

export type ChangedRow = {
  readonly generation: Generation
  /** The values of its view's `table.key`, as callers write them. */
  readonly key: readonly (string | null)[]
  readonly tenant: string | null
  readonly version: string
  readonly gone: boolean
}
/** `entries`: taken from the log; 0: there was nothing to do. `full`: the log held more than was taken. `keys`: rows recomputed. */
export type Round = {
  readonly entries: number
  readonly full: boolean
  readonly keys: number
  readonly changed: readonly ChangedRow[]
}

type Entry = Origin & { readonly generation: number; readonly path: number; readonly keys: readonly string[] }

/** `budget`: about how many keys to work. Entries of generations that are not given stay where they are. */
export const runRound = (sql: Sql, generations: readonly Generation[], budget: number): Promise<Round> =>
  sql.begin(async (tx) => {
    const [shards, entries] = await Promise.all([
      tx.unsafe<{ shard: number }[]>(ownedShards, [], { prepare: true }),
      takeEntries(tx, generations, budget),
    ])
    const owned = new Set(shards.map(({ shard }) => shard))
    const taken = Map.groupBy(entries, ({ generation }) => generation)
    const done = await Promise.all(
      generations
        .filter(({ generation }) => taken.has(generation))
        .map((generation) => workGeneration(tx, generation, taken.get(generation.generation)!, owned, budget)),
    )
    await markHeldAgain(
      tx,
      generations.filter(({ generation }) => taken.has(generation)),
    )
    return {
      entries: entries.length,
      full: entries.reduce((total, { keys }) => total + keys.length, 0) >= budget,
      keys: done.reduce((total, { keys }) => total + keys, 0),
      changed: done.flatMap(({ changed }) => changed),
    }
  }) as Promise<Round>

const takeEntries = async (tx: Tx, generations: readonly Generation[], budget: number): Promise<readonly Entry[]> =>
  tx.unsafe<Entry[]>(
    `with owned as materialized (${ownedShards}),
    seen as materialized (
      select slot, id, sum(n) over (order by id) - n as before from (
        select slot, id, n from forebay.dirty
        where shard in (select shard from owned) and generation = any($1::int[]) order by id limit 5000) d)
    delete from forebay.dirty d using seen s where d.slot = s.slot and d.id = s.id and s.before < $2::int
    returning d.generation, d.path, array(select k::text from jsonb_array_elements(d.keys) k) as keys, d.origin, d.offsets::text as offsets`,
    [generations.map(({ generation }) => generation), budget],
    { prepare: true },
  )

const workGeneration = async (
  tx: Tx,
  generation: Generation,
  entries: readonly Entry[],
  owned: ReadonlySet<number>,
  budget: number,
): Promise<Pick<Round, 'keys' | 'changed'>> => {
  const forwards: Promise<unknown>[] = []
  const forward = (path: number, keys: readonly string[], origin: Origin) => {
    if (keys.length) forwards.push(log(tx, generation.generation, path, keys, origin))
  }
  /** As many as a round may take; the rest waits in the log. */
  const take = (path: number, keys: ReadonlySet<string>, origin: Origin): readonly string[] => {
    const all = [...keys]
    forward(path, all.slice(budget), origin)
    return all.slice(0, budget)
  }

  const origins = new Map<number, Origin>()
  /** With the paths that led to each. */
  const roots = new Map<string, Set<number>>()
  const reached = (keys: readonly string[], path: number): void => {
    for (const key of keys) roots.set(key, (roots.get(key) ?? new Set()).add(path))
  }
  const groups = new Set<string>()
  for (const [path, group] of Map.groupBy(entries, (entry) => entry.path)) {
    const origin = earliest(group)
    const from = leadingTo(path)
    origins.set(from, earliest([origin, ...(origins.has(from) ? [origins.get(from)!] : [])]))
    const keys = take(path, new Set(group.flatMap((entry) => entry.keys)), origin)
    const expand = path > 0 ? generation.paths[path]!.expand : undefined
    if (path === GROUP_PATH) for (const key of keys) groups.add(key)
    else if (expand === undefined) reached(keys, from)
    else {
      const { own, foreign } = await follow(tx, expand, keys, owned)
      reached(own, from)
      forward(rootsBy(from), foreign, origin)
    }
  }

  const all = [...roots.keys()]
  const rest = all.slice(budget)
  // A key that was reached in two ways waits for each; rows that changed themselves come before what others lead to.
  for (const [path, origin] of [...origins].sort(([a], [b]) => a - b))
    forward(
      rootsBy(path),
      rest.filter((key) => roots.get(key)!.has(path)),
      origin,
    )
  const now = all.slice(0, budget)
  const origin = earliest(entries)
  if (generation.regroup && now.length) {
    const { own, foreign } = await follow(tx, generation.regroup, now, owned)
    for (const key of own) groups.add(key)
    forward(GROUP_PATH, foreign, origin)
  }
  const keys = generation.regroup ? take(GROUP_PATH, groups, origin) : now
  const changed = keys.length ? await recompute(tx, generation, keys) : []
  await Promise.all(forwards)
  return { keys: keys.length, changed }
}

const jsonArray = (keys: readonly string[]): string => `[${keys.join(',')}]`

/** Keys that a statement yields, by whether their shard is this connection's. */
const follow = async (tx: Tx, statement: string, keys: readonly string[], shards: ReadonlySet<number>) => {
  const rows = await tx.unsafe<{ k: string; shard: number }[]>(statement, [jsonArray(keys)], { prepare: true })
  const { own = [], foreign = [] } = Object.groupBy(rows, ({ shard }) => (shards.has(shard) ? 'own' : 'foreign'))
  return { own: own.map(({ k }) => k), foreign: foreign.map(({ k }) => k) }
}

const recompute = async (tx: Tx, generation: Generation, keys: readonly string[]): Promise<ChangedRow[]> => {
  const rows = await tx.unsafe<{ key: (string | null)[]; tenant: string | null; version: string; gone: boolean }[]>(
    generation.recompute,
    [jsonArray(keys)],
    { prepare: true },
  )
  return rows.map((row) => ({ generation, ...row }))
}

/** Puts keys into the log for whoever owns them, with the origin of what they came from. */
const log = (
  tx: Tx,
  generation: number,
  path: number,
  keys: readonly string[],
  { origin, offsets }: Origin,
): Promise<unknown> =>
  tx.unsafe(
    `insert into forebay.dirty (slot, generation, path, shard, keys, n, origin, offsets)
    select $1::smallint, $2::int, $3::int, shard, jsonb_agg(k), count(*), $5::timestamptz, $6::text::jsonb
    from (select k, ${shardOf('k')} as shard from jsonb_array_elements($4::text::jsonb) k) s group by shard`,
    [currentSlot(), generation, path, jsonArray(keys), origin, offsets],
    { prepare: true },
  )
