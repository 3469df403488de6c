/**
 * Which generation of each view this gateway answers from, worked out anew with each snapshot: the one that the view's pointer names.
 *
 * A gateway whose folder is newer than that serves its table as far as what is asked stands there and means the same for whoever may see
 * it. One whose folder is older goes on with its own definition while it is kept up.
 */
import type { Model } from '../../model/model.ts'
import type { StoredView } from '../../model/stored-view.ts'
import type { ViewBasis } from './freshness.ts'
import { type Gap, gapOf } from './gap.ts'
import type { Kept, Registered } from './registered.ts'

/** `gap`: what the folder declares and this generation doesn't have. `build`: the generation that has it, while it is built. */
export type Served = {
  readonly generation: number
  readonly basis: ViewBasis
  readonly gap?: Gap
  readonly build?: Kept
}
/** By view; what is kept by nobody is missing. `outdated`: views of which this folder's definition was kept once and is not any more. */
export type Serving = {
  readonly catalog: number
  readonly views: ReadonlyMap<string, Served>
  readonly outdated: readonly string[]
}

/** What a view is answered from; undefined: nothing keeps it. */
const choose = (own: Pick<ViewBasis, 'view' | 'table'>, { kept }: Pick<Registered, 'kept'>): Kept | undefined => {
  const all = kept.filter(({ view }) => view === own.view.name)
  const mine = all.filter(({ declared }) => declared === own.table.hash).at(-1)
  const pointed = all.find((one) => one.pointed)
  if (pointed === undefined || pointed.declared === own.table.hash) return pointed ?? mine
  const older = mine !== undefined && mine.generation < pointed.generation && !mine.rolledBack
  return older ? mine : pointed
}

/** `load` reads the definition of a generation that this folder doesn't have; undefined: it is gone by now. */
export const createServing = (
  model: Model,
  bases: ReadonlyMap<string, ViewBasis>,
  load: (generation: number) => Promise<StoredView | undefined>,
): ((registered: Registered) => Promise<Serving>) => {
  type Found = Pick<Served, 'basis' | 'gap'>
  /** By view. What it is of doesn't change, and bounds and loaders are kept by the basis. */
  const known = new Map<string, { readonly generation: number; readonly found: Found }>()

  const find = async (own: ViewBasis, { generation, hash }: Kept): Promise<Found | undefined> => {
    if (hash === own.table.hash) return { basis: own }
    const last = known.get(own.view.name)
    if (last?.generation === generation) return last.found
    const stored = await load(generation)
    if (!stored) return undefined
    const gap = gapOf(model, own, stored)
    const found: Found = { basis: basisOf(own, stored), ...(gap && { gap }) }
    known.set(own.view.name, { generation, found })
    return found
  }

  return async ({ catalog, kept, retired }) => {
    const views = new Map<string, Served>()
    const outdated: string[] = []
    for (const [name, own] of bases) {
      const of = (one: { readonly view: string; readonly declared: string }) =>
        one.view === name && one.declared === own.table.hash
      const chosen = choose(own, { kept })
      const found = chosen && (await find(own, chosen))
      if (!chosen || !found) continue
      if (retired.some(of) && !kept.some(of)) outdated.push(name)
      const build = found.gap && kept.filter((one) => of(one) && one.generation !== chosen.generation).at(-1)
      views.set(name, { generation: chosen.generation, ...found, ...(build && { build }) })
    }
    return { catalog, views, outdated }
  }
}

/** Who may see a row, and what is promised of it, is this folder's to say; what is in the table, and what it depends on, the stored definition's. */
const basisOf = (own: ViewBasis, { table, reads, touched }: StoredView): ViewBasis => {
  const { claim: _, ...rest } = table
  return {
    view: own.view,
    table: { ...rest, ...(own.table.claim === undefined ? {} : { claim: own.table.claim }) },
    topics: [...new Set(Object.values(reads).map(({ topic }) => topic))],
    entities: Object.keys(reads),
    touched,
  }
}
