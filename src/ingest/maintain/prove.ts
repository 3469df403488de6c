/**
 * Whether rows are what their definition says, told by their owner (C8): in one REPEATABLE READ transaction it takes every entry of the
 * generation that it owns, works them as a round does, and only then compares. Nothing of its own is pending in that snapshot, so
 * a row that differs either is wrong, or waits for what another owner still has in the log.
 *
 * Of the latter it is found out, in the same snapshot, which rows they lead to. That is exact: a change since a row was last
 * computed is either in an entry that has led, or now leads, to its key, or it comes through a row above that has changed itself.
 */
import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { shardOf } from '../../model/sql/key.ts'
import type { Difference, Proof } from '../../model/sql/proof.ts'
import { codeOf, isDataError, type Sql } from '../../platform/postgres.ts'
import type { Tx } from '../apply/fence.ts'
import type { Generation } from '../generations.ts'
import type { Announce, Announced } from './change-feed.ts'
import { wide } from './fanout-entry.ts'
import { pathOf } from './log-keys.ts'
import { type Round, roundIn, shardsOf } from './round.ts'

export type Question = {
  readonly generation: Generation
  readonly proof: Proof
  readonly keys: readonly string[]
  /** By the totals that are kept, for rows that are too much to be computed from all that they count. */
  readonly near?: boolean
}
export type Differing = { readonly k: string; readonly kind: Difference }
/**
 * Of the keys that were asked for and are this connection's. `unsure`: they may wait for what another owner has not worked yet. `excused`:
 * keys of the view are parked, which is said wherever it is read, so what differs is no news.
 */
export type Verdict = {
  readonly equal: readonly string[]
  readonly wrong: readonly Differing[]
  readonly unsure: readonly Differing[]
  readonly excused: readonly string[]
}
/** What is done about it, in the same transaction. True: something was written to the dirty log. */
export type Settle = (tx: Tx, verdict: Verdict) => Promise<boolean>
/** Undefined: too much is pending, or others write the same rows all along; ask later. */
export type Proven = {
  readonly verdict: Verdict | undefined
  readonly logged: boolean
  readonly announced: readonly Announced[]
}

/** Keys that a round of a proof takes, and such rounds: more means that maintenance is behind. */
const budget = 5_000
const mostRounds = 8
const mostTries = 5
const longestMs = 2_000
/** Values of others that are followed. */
const mostFollowed = 2_000

export type Means = {
  /** The maintainer's own connection. */
  readonly sql: Sql
  /** A round as they come. */
  readonly live: () => Promise<Round>
  readonly announce: Announce
}

export const prove = async ({ sql, live, announce }: Means, question: Question, settle: Settle): Promise<Proven> => {
  const announced: Announced[] = []
  for (let tries = 0; tries < mostTries; tries++) {
    // Most of it in rounds of their own: they wait for rows that several owners add to, where a snapshot that is held has to begin anew.
    for (let rounds = 0; rounds < mostRounds; rounds++) {
      const round = await live()
      announced.push(...round.announced)
      if (round.entries === 0) break
    }
    try {
      const proven = (await sql.begin('isolation level repeatable read', (tx) =>
        proveIn(tx, announce, question, settle),
      )) as Proven
      return { ...proven, announced: [...announced, ...proven.announced] }
    } catch (error) {
      // A key that fails is the next round's to find.
      if (error instanceof Failing) break
      if (!/^40/.test(codeOf(error))) throw error
      await sleep(Math.random() * 20 * 2 ** tries)
    }
  }
  return { verdict: undefined, logged: false, announced }
}

class Failing extends Error {}

const proveIn = async (tx: Tx, announce: Announce, question: Question, settle: Settle): Promise<Proven> => {
  const { generation, proof, keys, near = false } = question
  const announced: Announced[] = []
  for (let rounds = 0; ; rounds++) {
    const round = await roundIn(tx, [generation], { budget, wide }, [], announce).catch((error: unknown) => {
      throw isDataError(error) ? new Failing('a key fails', { cause: error }) : error
    })
    announced.push(...round.announced)
    if (round.entries === 0) break
    if (rounds === mostRounds) return { verdict: undefined, logged: false, announced }
  }
  const owned = [...(await shardsOf(tx))]
  const own = await tx.unsafe<{ k: string }[]>(
    `select k::text as k from (select k, ${shardOf('k')} as shard from jsonb_array_elements($1::text::jsonb) k) s where shard = any($2::int[])`,
    [`[${keys.join(',')}]`, owned],
    { prepare: true },
  )
  // Live rounds wait for this.
  await tx.unsafe(`set local statement_timeout = ${longestMs}`)
  const differing = await differences(
    tx,
    proof,
    own.map(({ k }) => k),
    near,
  )
  const different = new Set(differing.map(({ k }) => k))
  const parked = differing.length > 0 && (await anyParked(tx, generation))
  const left = parked ? [] : differing
  const reached = left.length > 0 ? await reachedByOthers(tx, question, owned) : new Set<string>()
  const isSure = ({ k }: Differing): boolean => reached !== 'any' && !reached.has(k)
  const verdict: Verdict = {
    equal: own.map(({ k }) => k).filter((k) => !different.has(k)),
    wrong: left.filter(isSure),
    unsure: left.filter((one) => !isSure(one)),
    excused: parked ? differing.map(({ k }) => k) : [],
  }
  return { verdict, logged: await settle(tx, verdict), announced }
}

/** Which of these keys have rows that are not as defined, in the snapshot of this one statement. */
export const differences = async (
  sql: Pick<Tx, 'unsafe'>,
  proof: Proof,
  keys: readonly string[],
  near = false,
): Promise<readonly (Differing & { readonly shard: number })[]> =>
  keys.length === 0
    ? []
    : sql.unsafe<(Differing & { readonly shard: number })[]>(
        (near ? proof.near : undefined) ?? proof.differences,
        [`[${keys.join(',')}]`, String(randomInt(2 ** 47))],
        { prepare: true },
      )

const anyParked = async (tx: Tx, { generation }: Generation): Promise<boolean> => {
  const [row] = await tx<{ any: boolean }[]>`
    select exists (select from forebay.parked_keys where generation = ${generation}) as any`
  return row!.any
}

/** Keys that what others own leads to; `any`: that can't be told. Keys that others own themselves are not asked for here. */
const reachedByOthers = async (
  tx: Tx,
  { generation, proof }: Question,
  owned: readonly number[],
): Promise<ReadonlySet<string> | 'any'> => {
  const entries = await tx<{ path: number; fanout: boolean; n: number; values: string }[]>`
    select path, fanout is not null as fanout, n, keys::text as values from forebay.dirty
    where generation = ${generation.generation} and (fanout is not null or shard <> all(${[...owned]}::int[])) limit ${mostFollowed}`
  if (entries.length === mostFollowed) return 'any'
  const { paths } = generation
  const below = feedersOf(generation, proof.node)
  const nodeOf = ({ path }: { readonly path: number }): number => paths[pathOf(path)]!.node
  // What moves totals first would have to be followed through what others keep of them, and a fan-out leads to too many.
  const far = ({ fanout }: { readonly fanout: boolean }): boolean => proof.grouped || fanout
  if (entries.some((entry) => below.has(nodeOf(entry)) || (nodeOf(entry) === proof.node && far(entry)))) return 'any'
  const raw = entries.filter((entry) => entry.path >= 0 && nodeOf(entry) === proof.node)
  if (raw.reduce((total, { n }) => total + n, 0) > mostFollowed) return 'any'
  const reached = new Set<string>()
  for (const { path, values } of raw) {
    const { expand } = paths[path]!
    if (expand === undefined) continue
    for (const { k } of await tx.unsafe<{ k: string }[]>(expand, [values], { prepare: true })) reached.add(k)
  }
  return reached
}

/** The nodes whose groups reach this one, in however many steps. */
const feedersOf = ({ nodes, paths }: Generation, node: number): ReadonlySet<number> => {
  const found = new Set<number>()
  const add = (to: number): void => {
    for (const [from, { feeds }] of nodes.entries())
      if (!found.has(from) && feeds.some((path) => paths[path]!.node === to)) {
        found.add(from)
        add(from)
      }
  }
  add(node)
  return found
}
