/** Rows that readers keep in Redis, in their new version: pushed there, so that a hot key that changes doesn't send all of them to Postgres. */
import { isOfKey, storedColumns } from '../model/sql/stored-row.ts'
import { arrayText } from '../platform/array-types.ts'
import type { Sql } from '../platform/postgres.ts'
import type { CachedRow } from '../platform/row-cache.ts'
import type { ChangedRow } from './maintain/work-generation.ts'

type Stored = {
  readonly position: number
  readonly fields: string
  readonly key: string
  readonly version: string
  readonly incomplete: boolean
  readonly finalAt?: number | null
}

/** Those that are there. `feeds`: how far the change feeds were when these had changed; what is read now is no older. */
export const readHotRows = async (
  sql: Sql,
  changed: readonly ChangedRow[],
  feeds: string,
): Promise<readonly { readonly of: ChangedRow; readonly row: CachedRow }[]> => {
  const byGeneration = [...Map.groupBy(changed, ({ generation }) => generation)]
  const read = await Promise.all(
    byGeneration.map(async ([{ table }, rows]) => {
      const tenants = arrayText(rows.map(({ tenant }) => tenant))
      const keys = table.key.map((_, i) => arrayText(rows.map(({ key }) => key[i] ?? null)))
      const on = [isOfKey(table, () => 'k._t'), ...(table.tenanted ? ['r._tenant = k._t'] : [])]
      const text = `select k._n::int as position, ${storedColumns(table, table.columns).join(', ')}
from unnest($1::text::text[], ${keys.map((_, i) => `$${i + 2}::text::text[]`).join(', ')}) with ordinality k(_t, ${keys.map((_, i) => `_k${i}, `).join('')}_n)
join ${table.table} r on ${on.join(' and ')}`
      const found = await sql.unsafe<Stored[]>(text, [tenants, ...keys], { prepare: true })
      return found.map(({ position, version, ...row }) => ({
        of: rows[position - 1]!,
        // Whoever sees such a row sees all of it (C29). Without a bound of its own: it counts for those who know that it has not changed since.
        row: { version, asOf: 0, feeds, row: JSON.stringify({ ...row, classes: 1 }) },
      }))
    }),
  )
  return read.flat()
}
