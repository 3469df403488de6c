/**
 * A round of maintenance, one transaction: take visible entries, follow them to view keys, rewrite those rows.
 *
 * Why it is right: an entry becomes visible with its change and is worked in snapshots taken later, which include that change and
 * everything that committed before it. Of two concurrent changes the one worked later sees both. Exactly the entries seen are
 * taken (`DELETE … RETURNING`, C5); keys of other owners go back into the log for them (C6), and so does what exceeds the
 * round (C10), with its origin kept (C22).
 */
import { SHARDS } from '../../model/sql/key.ts'
import type { Sql } from '../../platform/postgres.ts'
import type { Tx } from '../apply/fence.ts'
import { markHeldAgain } from '../apply/mark-held.ts'
import type { Generation } from '../generations.ts'
import { alone, type Caution, keyTimeoutMs, lockTimeoutMs, together } from './attempt.ts'
import type { Announce, Announced } from './change-feed.ts'
import { allBegun, notBegun } from './not-begun.ts'
import { dueKeys, type Parked, type ParkedOf, parkedOf, releaseKeys } from './park-keys.ts'
import { settle } from './settle.ts'
import { ownedShards } from './shards.ts'
import { type Entry, type Limits, type Work, workGeneration } from './work-generation.ts'

/**
 * `entries`: taken from the log, or tried again; 0: there was nothing to do. `full`: the log held more than was taken. `keys`: rows recomputed.
 * `due`: generations with parked keys that can be tried again. `failed`: keys that were parked. `fanouts`: there are some to be worked.
 */
export type Round = {
  readonly entries: number
  readonly full: boolean
  readonly keys: number
  /** One a transaction that changed rows. */
  readonly announced: readonly Announced[]
  readonly due: readonly number[]
  readonly failed: number
  readonly fanouts: boolean
}

/** Entries of generations that are not given stay where they are. `all`: whose fan-outs are told of. */
export const runRound = (
  sql: Sql,
  generations: readonly Generation[],
  limits: Limits,
  all: readonly Generation[],
  announce: Announce,
): Promise<Round> => sql.begin((tx) => roundIn(tx, generations, limits, all, announce, notBegun)) as Promise<Round>

/** The same within a transaction. `begun`: which nodes are still to be filled, where the transaction's snapshot isn't older than that. */
export const roundIn = async (
  tx: Tx,
  generations: readonly Generation[],
  limits: Limits,
  all: readonly Generation[],
  announce: Announce,
  begun: typeof notBegun = async () => allBegun,
): Promise<Round> => {
  const [{ shards, parked, fanouts }, entries, filling] = await Promise.all([
    openingOf(tx, generations, all),
    takeEntries(tx, generations, limits.budget),
    begun(tx, generations),
    announce.ready(tx),
  ])
  const taken = Map.groupBy(entries, ({ generation }) => generation)
  const concerned = generations.filter(({ generation }) => taken.has(generation))
  const work = (generation: Generation) =>
    workGeneration(tx, generation, taken.get(generation.generation)!, {
      attempt: together(tx),
      owned: shards,
      limits,
      parked: parked.some((one) => one.generation === generation.generation),
      notBegun: filling(generation),
      pipelined: true,
    })
  const done: Work[] = []
  // Pipelined by one owner. Several meet on the rows of groups, so they go by one order and don't wait for each other in a circle.
  if (shards.size === SHARDS) done.push(...(await Promise.all(concerned.map(work))))
  else for (const generation of concerned) done.push(await work(generation))
  return {
    ...summed(entries, limits.budget, done),
    announced: await close(tx, announce, done, concerned),
    due: parked.filter(({ due }) => due).map(({ generation }) => generation),
    failed: 0,
    fanouts,
  }
}

/** A round may try so many parked keys again. */
const mostRetries = 8
const longestRetriesMs = 2_000

/** The same for one generation of which keys fail: they are found and parked, and those whose pause is over are tried again. */
export const runAlone = (
  sql: Sql,
  generation: Generation,
  limits: Limits,
  announce: Announce,
  caution: Caution,
): Promise<Round> =>
  sql.begin(async (tx) => {
    const number = generation.generation
    const [, owned, entries, due, filling] = await Promise.all([
      boundKeys(tx),
      shardsOf(tx),
      takeEntries(tx, [generation], limits.budget),
      dueKeys(tx, number, mostRetries),
      notBegun(tx, [generation]),
      announce.ready(tx),
    ])
    const one = alone(tx, caution)
    const means = { attempt: one.attempt, owned, limits, parked: true, notBegun: filling(generation), pipelined: false }
    const done: Work[] = []
    if (entries.length > 0) {
      done.push(await workGeneration(tx, generation, entries, means))
      await settle(tx, generation, one, done[0]!.origins)
    }
    const begun = performance.now()
    let failed = one.culprits.length
    let tried = 0
    for (const key of due) {
      if (tried > 0 && performance.now() - begun > longestRetriesMs) break
      tried += 1
      const again = alone(tx, { size: Number.POSITIVE_INFINITY })
      const work = await workGeneration(tx, generation, [entryOf(number, key)], {
        ...means,
        attempt: again.attempt,
        parked: false,
      })
      const fails = again.culprits.some((culprit) => culprit.number === key.path && culprit.key === key.key)
      await settle(tx, generation, again, work.origins)
      if (!fails) await releaseKeys(tx, number, [key.id])
      failed += again.culprits.length
      done.push(work)
    }
    return {
      ...summed(entries, limits.budget, done),
      announced: await close(tx, announce, done, [generation]),
      entries: entries.length + tried,
      due: [],
      failed,
      fanouts: false,
    }
  }) as Promise<Round>

const entryOf = (generation: number, { path, key, origin, offsets }: Parked): Entry => ({
  generation,
  path,
  keys: [key],
  origin,
  offsets,
})

const summed = (entries: readonly Entry[], budget: number, done: readonly Work[]) => ({
  entries: entries.length,
  full: entries.reduce((total, { keys }) => total + keys.length, 0) >= budget,
  keys: done.reduce((total, { keys }) => total + keys, 0),
})
/** What a transaction does last. Announced first: what marks may go back to a savepoint, and would take it along. */
export const close = async (
  tx: Tx,
  announce: Announce,
  done: readonly Work[],
  generations: readonly Generation[],
): Promise<readonly Announced[]> => {
  const changed = done.flatMap((work) => work.changed)
  const [announced] = await Promise.all([announce.rows(tx, changed), markHeldAgain(tx, generations)])
  return announced ? [announced] : []
}
const numbersOf = (generations: readonly Generation[]): readonly number[] =>
  generations.map(({ generation }) => generation)

/** What takes too long is one key's fault, and has to be found in a bounded time. The connection's own limit holds where it is lower. */
export const boundKeys = (tx: Tx): Promise<unknown> =>
  tx.unsafe(
    `select set_config('statement_timeout', least(nullif(setting::int, 0), ${keyTimeoutMs})::text, true),
      set_config('lock_timeout', '${lockTimeoutMs}', true)
    from pg_settings where name = 'statement_timeout'`,
    [],
    { prepare: true },
  )

export const shardsOf = async (tx: Tx): Promise<ReadonlySet<number>> => {
  const rows = await tx.unsafe<{ shard: number }[]>(ownedShards, [], { prepare: true })
  return new Set(rows.map(({ shard }) => shard))
}

/** What a round must know before it works, in one statement. */
const openingOf = async (
  tx: Tx,
  generations: readonly Generation[],
  all: readonly Generation[],
): Promise<{ shards: ReadonlySet<number>; parked: readonly ParkedOf[]; fanouts: boolean }> => {
  const [row] = await tx.unsafe<{ shards: readonly number[]; parked: readonly ParkedOf[]; fanouts: boolean }[]>(
    `select array(${ownedShards}) as shards, (select coalesce(json_agg(p), '[]') from (${parkedOf('$1')}) p) as parked,
      exists (select from forebay.dirty where fanout is not null and shard = any(array(${ownedShards})) and generation = any($2::int[])) as fanouts`,
    [numbersOf(generations) as number[], numbersOf(all) as number[]],
    { prepare: true },
  )
  return { ...row!, shards: new Set(row!.shards) }
}

/** A round this large takes so many values for each key: what has gathered leads to the same keys over and over, and is followed only once. */
const gathered = { from: 10_000, values: 8 }

const takeEntries = async (tx: Tx, generations: readonly Generation[], budget: number): Promise<readonly Entry[]> =>
  tx.unsafe<Entry[]>(
    `with owned as materialized (${ownedShards}),
    seen as materialized (
      select slot, id, sum(n) over (order by id) - n as before from (
        select slot, id, n from forebay.dirty
        where fanout is null and shard in (select shard from owned) and generation = any($1::int[]) order by id limit 5000) d)
    delete from forebay.dirty d using seen s where d.slot = s.slot and d.id = s.id and s.before < $2::int
    returning d.generation, d.path, array(select k::text from jsonb_array_elements(d.keys) k) as keys, d.origin, d.offsets::text as offsets`,
    [numbersOf(generations) as number[], budget < gathered.from ? budget : budget * gathered.values],
    { prepare: true },
  )
