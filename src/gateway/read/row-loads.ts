/**
 * Rows by key, of all requests at once: keys asked for in one turn of the event loop, of one view, tenant and set of fields, go
 * out as one statement. What is bound by row rules is asked for by its request alone.
 */
import { LRUCache } from 'lru-cache'
import type { RowKey } from '../../platform/row-cache.ts'
import type { Basis } from '../freshness/freshness.ts'
import { type Caches, createKeptLoads } from './kept-loads.ts'
import { asksRolling, readRows } from './rolling.ts'
import { batched, type Loadable, type Loader } from './row-batch.ts'
import { byKeysStatement, type Reading, type StoredRow } from './row-sql.ts'
import type { Run } from './statements.ts'

export type RowLoads = {
  /** For every request that reads so. */
  shared(from: Loadable, about: Basis, reading: Reading): Loader
  /** For one request. */
  own(reading: Reading): Loader
}

const maxLoaders = 1_000

export const createRowLoads = (run: Run, caches: Caches | undefined): RowLoads => {
  const select = async (reading: Reading, keys: readonly RowKey[]): Promise<readonly (StoredRow | undefined)[]> => {
    const rows: (StoredRow | undefined)[] = keys.map(() => undefined)
    if (keys.length === 0) return rows
    type Found = StoredRow & { position: number }
    const statementOf = (one: Reading) => byKeysStatement(one, keys)
    for (const row of await readRows<Found>(run, reading, statementOf, true)) rows[row.position - 1] = row
    return rows
  }
  const direct = (reading: Reading): Loader => {
    const loader = batched(async (asked) =>
      (
        await select(
          reading,
          asked.map(({ key }) => key),
        )
      ).map((row) => (row ? { row } : null)),
    )
    return { load: async (asked) => (await loader.load(asked)) ?? undefined }
  }

  const known = new LRUCache<string, Loader>({ max: maxLoaders })
  const kept = caches && createKeptLoads(run, caches)
  return {
    own: direct,
    shared: ({ generation, basis }, about, reading) => {
      const { table } = basis
      // A cached row can't say whether what it depends on is in quarantine by now, so then it is asked of Postgres, and not kept.
      // Nor can one hold what changes as time goes by, at a step's edge and between edges too, where rows come whose time was ahead (C25).
      const through = reading.held === 'none' && !asksRolling(reading) ? kept : undefined
      const signature = JSON.stringify([generation, table.hash, about, reading.tenant, reading.held, ...reading.fields])
      let found = known.get(signature)
      if (!found) {
        const loader = direct(reading)
        const cached = through?.({ generation, basis }, about, reading)
        found = cached ? { load: (asked) => cached(asked, loader) } : loader
        known.set(signature, found)
      }
      return found
    },
  }
}
