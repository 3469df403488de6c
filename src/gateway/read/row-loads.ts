/**
 * Rows by key, of all requests at once: keys asked for in one turn of the event loop, of one view, tenant and set of fields, go
 * out as one statement. What is bound by row rules is asked for by its request alone.
 */
import DataLoader from 'dataloader'
import { LRUCache } from 'lru-cache'
import type { RowKey } from '../../platform/row-cache.ts'
import type { Basis, ViewBasis } from '../freshness/freshness.ts'
import { satisfies } from '../freshness/satisfies.ts'
import { asksRolling, readRows } from './rolling.ts'
import type { CacheScope, RowCache } from './row-cache.ts'
import { byKeysStatement, type Reading, type StoredRow } from './row-sql.ts'
import type { Run } from './statements.ts'

/** `asOf`: a bound that holds for whole rows that are read from now on; null: none is known. */
export type Asked = {
  readonly key: RowKey
  readonly asOf: number | null
  /** What a kept row's bound must satisfy. */
  readonly floor: number | null
}
/** `asOf`: the bound of a row that comes from the cache. */
export type Loaded = { readonly row: StoredRow; readonly asOf?: number }
type Loader = DataLoader<Asked, Loaded | undefined>

export type RowLoads = {
  /** For every request that reads so. */
  shared(basis: ViewBasis, about: Basis, reading: Reading): Loader
  /** For one request. */
  own(reading: Reading): Loader
}

/** Who needs less is content with more. */
const higher = (one: number | null, other: number | null): number | null =>
  one === null ? other : other === null ? one : Math.max(one, other)

const maxLoaders = 1_000
const maxKeys = 1_000

export const createRowLoads = (run: Run, cache: RowCache | undefined): RowLoads => {
  const select = async (reading: Reading, keys: readonly RowKey[]): Promise<readonly (StoredRow | undefined)[]> => {
    const rows: (StoredRow | undefined)[] = keys.map(() => undefined)
    if (keys.length === 0) return rows
    type Found = StoredRow & { position: number }
    const statementOf = (one: Reading) => byKeysStatement(one, keys)
    for (const row of await readRows<Found>(run, reading, statementOf, true)) rows[row.position - 1] = row
    return rows
  }
  const throughCache = async (
    to: RowCache,
    scope: CacheScope,
    reading: Reading,
    asked: readonly Asked[],
  ): Promise<readonly (Loaded | undefined)[]> => {
    const kept = await to.get(
      scope,
      asked.map(({ key }) => key),
    )
    const hits = kept.map((hit, i) => (hit && satisfies(asked[i]!.floor, hit.asOf) ? hit : undefined))
    const missing = asked.filter((_, i) => !hits[i])
    const rows = await select(
      reading,
      missing.map(({ key }) => key),
    )
    const found = new Map(missing.map((one, i) => [one, rows[i]]))
    for (const [{ asOf }, row] of found) if (row && asOf !== null) to.fill(scope, row, asOf)
    return asked.map((one, i) => {
      const row = found.get(one)
      return hits[i] ?? (row && { row })
    })
  }

  const loader = (load: (asked: readonly Asked[]) => Promise<readonly (Loaded | undefined)[]>): Loader =>
    new DataLoader<Asked, Loaded | undefined>(
      async (asked) => {
        // Each row once, with the latest bound that anyone knew before it is read.
        const distinct = new Map<string, Asked>()
        const names = asked.map(({ key }) => JSON.stringify(key))
        for (const [i, one] of asked.entries()) {
          const known = distinct.get(names[i]!)
          const floor = higher(known?.floor ?? null, one.floor)
          const latest = !known || (one.asOf ?? 0) > (known.asOf ?? 0) ? one : known
          distinct.set(names[i]!, { ...latest, floor })
        }
        const rows = await load([...distinct.values()])
        const byName = new Map([...distinct.keys()].map((name, i) => [name, rows[i]]))
        return names.map((name) => byName.get(name))
      },
      { cache: false, maxBatchSize: maxKeys, batchScheduleFn: (dispatch) => setImmediate(dispatch) },
    )
  const direct = (reading: Reading): Loader =>
    loader(async (asked) => {
      const keys = asked.map(({ key }) => key)
      return (await select(reading, keys)).map((row) => row && { row })
    })

  const known = new LRUCache<string, Loader>({ max: maxLoaders })
  return {
    own: direct,
    shared: ({ view, table }, about, reading) => {
      // A cached row can't say whether what it depends on is in quarantine by now, so then it is asked of Postgres, and not kept.
      // Nor can one hold what changes as time goes by, at a step's edge and between edges too, where rows come whose time was ahead (C25).
      const through = reading.held === 'none' && !asksRolling(reading) ? cache : undefined
      const fields = through ? [] : [...reading.fields]
      const signature = JSON.stringify([table.hash, about, reading.tenant, reading.held, ...fields])
      let found = known.get(signature)
      if (!found) {
        const scope = { hash: table.hash, tenant: reading.tenant, basis: about, maxLagMs: view.maxLagMs }
        const whole = { ...reading, fields: new Set(table.columns.map(({ field }) => field)) }
        found = through ? loader((asked) => throughCache(through, scope, whole, asked)) : direct(reading)
        known.set(signature, found)
      }
      return found
    },
  }
}
