/**
 * Nodes of a generation whose filling has not begun. All their keys are logged later, and worked in snapshots that include whatever was
 * visible before: until then nothing needs to be followed into them, and what waits in the log for them may be dropped (C8).
 *
 * That holds as long as the filling can't begin before this transaction is over: it takes the lock for itself, from before its first chunk is
 * read until that is committed. Who doesn't get the lock at once works everything, which is as right. A lock of its own, and no lock of the
 * row: those who share one would keep whoever waits for the row out for good.
 *
 * Only in READ COMMITTED: what is read here must be no older than the lock.
 */
import type { Tx } from '../apply/fence.ts'
import type { Generation } from '../generations.ts'
import { locks } from '../locks.ts'

export type NotBegun = (generation: Generation) => ReadonlySet<number>

const none: ReadonlySet<number> = new Set()
export const allBegun: NotBegun = () => none

export const notBegun = async (tx: Tx, generations: readonly Generation[]): Promise<NotBegun> => {
  const numbers = generations.filter(({ filled }) => !filled).map(({ generation }) => generation)
  if (numbers.length === 0) return allBegun
  const [taken, states] = await Promise.all([
    tx.unsafe<{ generation: number }[]>(
      `select g as generation from unnest($1::int[]) g where pg_try_advisory_xact_lock_shared(${locks.fill}, g)`,
      [numbers],
      { prepare: true },
    ),
    tx.unsafe<{ generation: number; begun: number }[]>(
      'select generation, begun from forebay.generations where generation = any($1::int[]) and filled_at is null',
      [numbers],
      { prepare: true },
    ),
  ])
  const known = new Map(states.map(({ generation, begun }) => [generation, begun]))
  const held = new Set(taken.map(({ generation }) => generation))
  return ({ generation, fill }) => {
    const begun = held.has(generation) ? known.get(generation) : undefined
    return begun === undefined ? none : new Set(fill.slice(begun).map(({ node }) => node))
  }
}
