/**
 * One stretch of one fan-out, one transaction: its next keys are worked as if they had been in the log, those of other owners go there, and
 * the entry says how far it is. A process that dies leaves the entry as it was.
 */
import type { Sql } from '../../platform/postgres.ts'
import type { Tx } from '../apply/fence.ts'
import type { Generation } from '../generations.ts'
import { alone, type Caution, together } from './attempt.ts'
import type { Announce } from './change-feed.ts'
import { moveFanout, type Progress } from './fanout-entry.ts'
import { keysBy, logKeys } from './log-keys.ts'
import { notBegun } from './not-begun.ts'
import type { Origin } from './origin.ts'
import { boundKeys, close, type Round, shardsOf } from './round.ts'
import { settle } from './settle.ts'
import { ownedShards } from './shards.ts'
import { byOwner, type Limits, workGeneration } from './work-generation.ts'

type Taken = Origin & {
  readonly slot: number
  readonly id: string
  readonly generation: number
  readonly path: number
  readonly value: string
  readonly fanout: string
}
type Stretch = { readonly k: string; readonly shard: number; readonly cursor: string }

/** A stretch of `budget` keys at most. `caution`: keys of the generation fail; they are found and parked. Undefined: there is no fan-out. */
export const runFanout = (
  sql: Sql,
  generations: readonly Generation[],
  limits: Limits,
  announce: Announce,
  caution?: Caution,
): Promise<Round | undefined> =>
  sql.begin(async (tx) => {
    const [owned, taken, filling] = await Promise.all([
      shardsOf(tx),
      takeFanout(tx, generations),
      notBegun(tx, generations),
      announce.ready(tx),
    ])
    if (taken === undefined) return undefined
    const generation = generations.find((one) => one.generation === taken.generation)!
    const progress = JSON.parse(taken.fanout) as Progress
    if (caution) await boundKeys(tx)
    const one = caution && alone(tx, caution)
    const attempt = one?.attempt ?? together(tx)
    const place = { node: generation.paths[taken.path]!.node, number: taken.path }
    const rows = await attempt(place, [taken.value], (inner) =>
      stretch(inner, generation, taken, progress, limits.budget),
    )
    const { own, foreign } = byOwner(rows, owned)
    const work = await workGeneration(
      tx,
      generation,
      [{ ...taken, path: keysBy(taken.path), keys: [...new Set(own)] }],
      { attempt, owned, limits, parked: true, notBegun: filling(generation), pipelined: one === undefined },
    )
    if (foreign.length) await logKeys(tx, taken.generation, keysBy(taken.path), [...new Set(foreign)], taken)
    if (one) await settle(tx, generation, one, new Map([...work.origins, [taken.path, taken]]))
    await advance(tx, taken, progress, rows.length < limits.budget ? undefined : rows.at(-1)!.cursor)
    return {
      entries: 1,
      full: false,
      keys: work.keys,
      announced: await close(tx, announce, [work], [generation]),
      due: [],
      failed: one?.culprits.length ?? 0,
      fanouts: true,
    }
  }) as Promise<Round | undefined>

/** The one that has waited for longest. */
const takeFanout = async (tx: Tx, generations: readonly Generation[]): Promise<Taken | undefined> => {
  const [row] = await tx.unsafe<Taken[]>(
    `select slot, id, generation, path, (keys->0)::text as value, origin, offsets::text as offsets, fanout::text as fanout
    from forebay.dirty where fanout is not null and shard = any(array(${ownedShards})) and generation = any($1::int[])
    order by id limit 1 for update`,
    [generations.map(({ generation }) => generation)],
    { prepare: true },
  )
  return row
}

/** From the innermost step outwards: see FanoutSql. */
const stretch = async (
  tx: Tx,
  generation: Generation,
  { path, value }: Taken,
  { cursor }: Progress,
  keys: number,
): Promise<readonly Stretch[]> => {
  const { first, after } = generation.fanouts[path]!
  if (cursor === null) return tx.unsafe<Stretch[]>(first, [value, keys], { prepare: true })
  const found: Stretch[] = []
  for (const statement of after) {
    if (found.length >= keys) break
    found.push(...(await tx.unsafe<Stretch[]>(statement, [value, keys - found.length, cursor], { prepare: true })))
  }
  return found
}

/** `cursor`: of the last key; undefined: that was all. */
const advance = (tx: Tx, taken: Taken, { again }: Progress, cursor: string | undefined): Promise<unknown> => {
  if (cursor !== undefined) return moveFanout(tx, taken, taken, { cursor, again })
  if (again) return moveFanout(tx, taken, again, { cursor: null, again: null })
  return tx.unsafe('delete from forebay.dirty where slot = $1::smallint and id = $2::bigint', [taken.slot, taken.id], {
    prepare: true,
  })
}
