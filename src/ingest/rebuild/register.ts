/** What a folder that a process starts with moves: what is new is built, what is known is returned to, what is gone stands by. */
import type { Model } from '../../model/model.ts'
import { decodeView, encodeView, renamedView, type StoredView, unfollowable } from '../../model/stored-view.ts'
import { log } from '../../platform/log.ts'
import type { Tx } from '../apply/fence.ts'
import { markHeldAgain } from '../apply/mark-held.ts'
import { runningDefinitions } from './running.ts'
import { activate, addGeneration, type Known, keptGenerations, retire, unpoint } from './states.ts'

/**
 * Under `lockEverything`. True where anything moved. Throws where this folder can't keep up what a running process declares, though it brings
 * nothing that is newer.
 */
export const register = async (tx: Tx, model: Model, declared: ReadonlyMap<string, StoredView>): Promise<boolean> => {
  const known = await keptGenerations(tx)
  const running = await runningDefinitions(tx)
  const lost = known.filter((one) => !declared.has(one.declared) && lostBy(model, one))
  const isNews = [...declared.keys()].some((hash) => known.every((one) => one.declared !== hash))
  const barred = lost.find((one) => running(one.declared))
  if (barred && !isNews)
    throw new Error(
      `a running process declares a definition of ${barred.view} that this folder can't keep up: start this one with the same schema folder, or stop that one first`,
    )
  for (const { view, hash, definition } of lost)
    log.warn('generation.lost', {
      view,
      hash,
      reason: definition ? unfollowable(model, decodeView(definition)) : 'it is not kept as such',
    })
  await retireAll(tx, lost)
  const left = known.filter((one) => !lost.includes(one))
  let changed = lost.length > 0
  for (const [hash, stored] of declared) {
    const { view } = stored.table
    const own = left.filter((one) => one.view === view)
    const same = own.filter((one) => one.declared === hash)
    const last = Math.max(...same.map(({ generation }) => generation))
    const isNewer = (one: Known): boolean =>
      one.declared !== hash && same.length > 0 && one.generation > last && running(one.declared)
    const other = own.filter((one) => one.declared !== hash && isBuilt(one) && !isNewer(one))
    await retireAll(tx, other)
    changed ||= other.length > 0
    if (same.length > 0) {
      for (const one of same) await adopt(tx, one, stored)
      const hot = same.find(({ state, rolledBack }) => state === 'STANDBY' && !rolledBack)
      if (same.some(({ state }) => state === 'ACTIVE') || !hot) continue
      const newer = own.find((one) => one.state === 'ACTIVE' && isNewer(one))
      if (newer) {
        log.warn('generation.older', {
          view,
          generation: hot.generation,
          serves: newer.generation,
          reason: older(view),
        })
        await tx`update forebay.generations set reason = ${older(view)} where generation = ${hot.generation}`
        continue
      }
      await activate(tx, view, hot.generation)
      changed = true
      continue
    }
    const serves = own.some(({ state }) => state === 'ACTIVE')
    const filled = await isEmpty(tx, stored)
    const generation = await addGeneration(tx, stored, {
      declared: hash,
      state: serves ? 'BUILDING' : 'ACTIVE',
      filled,
    })
    await markHeldAgain(tx, [{ generation, held: stored.held }])
    changed = true
  }
  const views = new Set([...declared.values()].map(({ table }) => table.view))
  const foreign = left.filter((one) => !views.has(one.view))
  for (const { view, declared } of foreign.filter(({ state }) => state === 'ACTIVE')) {
    if (running(declared)) {
      log.warn('generation.older', { view, reason: 'a running process declares the view, and this folder does not' })
      continue
    }
    await unpoint(tx, view)
    changed = true
  }
  const builds = foreign.filter((one) => isBuilt(one) && !running(one.declared))
  await retireAll(tx, builds)
  return changed || builds.length > 0
}

const isBuilt = ({ state }: Known): boolean => state === 'BUILDING' || state === 'PROVEN'
const older = (view: string): string =>
  `a running process declares a newer definition: this one serves again once none does, or at once by forebay rebuild --rollback ${view}`

const retireAll = (tx: Tx, some: readonly Known[]): Promise<void> =>
  some.length === 0
    ? Promise.resolve()
    : retire(
        tx,
        some.map(({ generation }) => generation),
      )

/** What it reads is gone with the columns that this folder no longer has, or nothing says what that was: it can't be kept up. */
const lostBy = (model: Model, { definition }: Known): boolean =>
  definition === null || unfollowable(model, decodeView(definition)) !== undefined

/**
 * What is kept of it and is no part of its hash is as this folder has it: which fields are searchable, an enum's values. One that was
 * registered before definitions were kept gets its own.
 */
const adopt = async (
  tx: Tx,
  { generation, definition, view, hash, declared }: Known,
  stored: StoredView,
): Promise<void> => {
  const own = encodeView(hash === declared ? stored : renamedView(stored, hash))
  await tx`
    update forebay.generations set definition = ${own}::text::jsonb, declared = ${declared}
    where generation = ${generation} and definition is distinct from ${own}::text::jsonb`
  if (definition === null)
    await tx`insert into forebay.pointers (view, generation) values (${view}, ${generation}) on conflict do nothing`
}

/** Where there is nothing to fill with, what is registered is whole from the start. */
const isEmpty = async (tx: Tx, { fill }: StoredView): Promise<boolean> => {
  for (const { any } of fill) {
    const [row] = await tx.unsafe<{ any: boolean }[]>(any)
    if (row!.any) return false
  }
  return true
}
