/**
 * A view against its definition. The walk compares a page of keys in one statement on a connection of its own: rows that are equal
 * in any snapshot are right, so most of the work needs no owner and holds up no round. What differs is judged by its owner.
 */

import type { Proof } from '../../model/sql/proof.ts'
import { log } from '../../platform/log.ts'
import { codeOf, isDataError, type Sql } from '../../platform/postgres.ts'
import type { Tx } from '../apply/fence.ts'
import type { Generation } from '../generations.ts'
import type { Maintainer } from '../maintain/maintainer.ts'
import { type Differing, differences } from '../maintain/prove.ts'
import {
  markDirty,
  noteSeen,
  type Open,
  openInShards,
  report,
  reportUnrepaired,
  settleEqual,
  settleWrong,
} from './drift.ts'
import { mostRepairs, movePass, type Pass } from './pass.ts'

/** `after`: the last key that was compared by this proof; null: none yet. */
type Cursor = { readonly proof: number; readonly after: string | null }

/** Compares the next page of at most `size` keys. Throws what Postgres throws, and then has done nothing. */
export const stepView = async (sql: Sql, generation: Generation, pass: Pass, size: number): Promise<void> => {
  const { proof, after } = (pass.cursor as Cursor | null) ?? { proof: 0, after: null }
  const by = generation.proofs[proof]
  const page = !by
    ? []
    : after === null
      ? await sql.unsafe<{ k: string }[]>(by.first, [size], { prepare: true })
      : await sql.unsafe<{ k: string }[]>(by.next, [size, after], { prepare: true })
  const keys = page.map(({ k }) => k)
  const differing = by ? await compare(sql, generation, by, keys) : []
  const last = keys.length < size ? null : (keys.at(-1) ?? null)
  const next: Cursor = last === null ? { proof: proof + 1, after: null } : { proof, after: last }
  await sql.begin(async (tx) => {
    await noteSeen(
      tx,
      pass,
      differing.map(({ k, kind, shard }) => ({ key: k, kind, shard, proof })),
    )
    await movePass(tx, pass, next.proof < generation.proofs.length ? next : undefined, keys.length)
  })
}

/** A key that even alone can't be compared is passed over, and that is said: its view's own SQL fails on it, or takes too long. */
const compare = async (sql: Sql, { table }: Generation, proof: Proof, keys: readonly string[]) => {
  try {
    return await differences(sql, proof, keys, keys.length === 1)
  } catch (error) {
    if (keys.length > 1 || !mayBeTooMuch(error)) throw error
    log.warn('reconcile.passed-over', { view: table.view, sqlstate: codeOf(error) })
    return []
  }
}

/** A statement that fewer keys may be the cure for: it took too long, or one of them fails. */
export const mayBeTooMuch = (error: unknown): boolean => codeOf(error) === '57014' || isDataError(error)

export type JudgeOptions = {
  readonly sql: Sql
  readonly maintainer: Pick<Maintainer, 'owned' | 'prove'>
  readonly generations: () => readonly Generation[]
}

/** What was seen to differ in shards that are this process's own, at most `limit`, judged and repaired. True: there may be more. */
export const judgeViews = async (options: JudgeOptions, limit: number): Promise<boolean> => {
  const { sql, maintainer, generations } = options
  const known = new Map(generations().map((one) => [one.generation, one]))
  const open = await openInShards(sql, [...known.keys()], await maintainer.owned(), limit)
  const wrong = new Set<number>()
  const groups = [...Map.groupBy(open, ({ generation, proof }) => `${generation} ${proof}`).values()]
  for (const of of groups.sort(([a], [b]) => a!.proof - b!.proof)) {
    const generation = known.get(of[0]!.generation!)!
    // What is made of totals that are being repaired is looked at when they are.
    if (wrong.has(generation.generation)) continue
    const proof = generation.proofs[of[0]!.proof]
    if (proof !== undefined && (await judge(options, generation, proof, of))) wrong.add(generation.generation)
  }
  return open.length === limit && wrong.size === 0
}

/** True where something is wrong, or may be. */
const judge = async (
  { sql, maintainer }: JudgeOptions,
  generation: Generation,
  proof: Proof,
  open: readonly Open[],
): Promise<boolean> => {
  // Most of what was seen to differ was on its way, and has come by now: no owner is needed to tell.
  const still = new Set((await compare(sql, generation, proof, distinctKeys(open))).map(({ k }) => k))
  const come = open.filter(({ key }) => !still.has(key))
  if (come.length > 0)
    await sql.begin((tx) =>
      settleEqual(
        tx,
        come.map(({ id }) => id),
      ),
    )
  const left = open.filter(({ key }) => still.has(key))
  if (left.length === 0) return false
  const keys = distinctKeys(left)
  let found: readonly Differing[] = []
  let tried: readonly Open[] = []
  const question = { generation, proof, keys, near: keys.length === 1 }
  const verdict = await maintainer.prove(question, async (tx, { equal, wrong, excused }) => {
    const of = (keys: readonly string[]): readonly Open[] => left.filter(({ key }) => keys.includes(key))
    const kinds = new Map(wrong.map(({ k, kind }) => [k, kind]))
    tried = of([...kinds.keys()])
    found = wrong.filter(({ k }) => tried.some((one) => one.key === k && !one.found))
    await settleEqual(
      tx,
      of([...equal, ...excused]).map(({ id }) => id),
    )
    await settleWrong(
      tx,
      tried.map(({ id, key }) => ({ id, kind: kinds.get(key)! })),
    )
    if (wrong.length > 0) await repair(tx, generation, proof, [...kinds.keys()])
    return wrong.length > 0
  })
  report('VIEW', generation.table.view, found)
  for (const { tries, key } of tried) if (tries + 1 >= mostRepairs) reportUnrepaired(generation.table.view, key)
  return verdict === undefined || verdict.wrong.length > 0 || verdict.unsure.length > 0
}

const distinctKeys = (open: readonly Open[]): readonly string[] => [...new Set(open.map(({ key }) => key))]

/** Totals are added to where they are; all else is work for the log. */
const repair = async (
  tx: Tx,
  { generation, nodes, reads }: Generation,
  proof: Proof,
  keys: readonly string[],
): Promise<void> => {
  const moved =
    proof.repair === undefined
      ? keys
      : (await tx.unsafe<{ k: string }[]>(proof.repair, [`[${keys.join(',')}]`], { prepare: true })).map(({ k }) => k)
  const purge = proof.repair === undefined ? undefined : nodes[proof.node]!.rollup?.purge
  if (purge !== undefined) await tx.unsafe(purge, [`[${moved.join(',')}]`], { prepare: true })
  const topics = [...new Set(Object.values(reads).map(({ topic }) => topic))]
  for (const path of proof.marks) await markDirty(tx, generation, path, moved, topics)
}
