/** Keys that requests ask for in one turn of the event loop, gathered so that they are read together. */
import DataLoader from 'dataloader'
import type { RowKey } from '../../platform/row-cache.ts'
import { later, type Sequences } from '../feed/sequences.ts'
import type { ViewBasis } from '../freshness/freshness.ts'
import type { StoredRow } from './row-sql.ts'

/** `asOf`: a bound that holds for whole rows that are read from now on; null: none is known. */
export type Asked = {
  readonly key: RowKey
  readonly asOf: number | null
  /** What a kept row's bound must satisfy. */
  readonly floor: number | null
  /**
   * How far the change feeds are in the snapshot that the request stands on: what is as new as that is as good as read now. Undefined: only what is
   * read now will do.
   */
  readonly feeds?: Sequences | undefined
}
/** `asOf`: the bound of a row that is older than the snapshot. */
export type Loaded = { readonly row: StoredRow; readonly asOf?: number }
export type Loader = { load(asked: Asked): Promise<Loaded | undefined> }
/** A generation of a view, which must be kept up and filled. */
export type Loadable = { readonly generation: number; readonly basis: ViewBasis }

/** Who needs less is content with more. */
const higher = (one: number | null, other: number | null): number | null =>
  one === null ? other : other === null ? one : Math.max(one, other)

const maxKeys = 1_000

/** One call of `load` a turn of the event loop, in which each key is asked for once, for whoever needs most of it. */
export const batched = <Found>(load: (asked: readonly Asked[]) => Promise<readonly Found[]>) =>
  new DataLoader<Asked, Found>(
    async (asked) => {
      // With the latest bound that anyone knew before it is read.
      const distinct = new Map<string, Asked>()
      const names = asked.map(({ key }) => JSON.stringify(key))
      for (const [i, one] of asked.entries()) {
        const known = distinct.get(names[i]!)
        if (!known) {
          distinct.set(names[i]!, one)
          continue
        }
        const latest = (one.asOf ?? 0) > (known.asOf ?? 0) ? one : known
        distinct.set(names[i]!, {
          ...latest,
          floor: higher(known.floor, one.floor),
          feeds: later(known.feeds, one.feeds),
        })
      }
      const found = await load([...distinct.values()])
      const byName = new Map([...distinct.keys()].map((name, i) => [name, found[i]!]))
      return names.map((name) => byName.get(name)!)
    },
    { cache: false, maxBatchSize: maxKeys, batchScheduleFn: (dispatch) => setImmediate(dispatch) },
  )
