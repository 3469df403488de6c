/** What a step from one database to another takes away, and how much there is of it. */
import type { TransactionSql } from 'postgres'
import { ident } from '../../model/names.ts'
import { type Physical, type Table, type TableColumn, tableName } from './physical.ts'

/** `column` is absent where the whole table goes. `what`: for people, `sales.order_line.quantity bigint → integer`. */
export type Loss = { readonly table: Table; readonly column?: string; readonly what: string }

export type Kept = { readonly old: Table; readonly next: Table }

/** The tables that both have. One whose key changes is made anew: rows under another key are other rows. */
export const keptTables = (from: Physical, to: Physical): readonly Kept[] => {
  const next = new Map(to.tables.map((table) => [tableName(table), table]))
  return from.tables.flatMap((old) => {
    const other = next.get(tableName(old))
    return other !== undefined && sameKey(old, other) ? [{ old, next: other }] : []
  })
}

const sameKey = (old: Table, next: Table): boolean =>
  old.partitionBy === next.partitionBy &&
  JSON.stringify(old.key) === JSON.stringify(next.key) &&
  !old.columns.some((column) => old.key.includes(column.name) && goes(column, next))

/** Whether the column is dropped: the next table has none of that name, one that its values can't be converted to, or one that is computed. */
export const goes = (column: TableColumn, next: Table): boolean => {
  const other = next.columns.find(({ name }) => name === column.name)
  if (other === undefined || conversion(column.type, other.type) === 'none') return true
  const [was, is] = [column.generated !== undefined, other.generated !== undefined]
  // What is computed is computed anew, so its type is never converted.
  return was !== is || (was && column.type !== other.type)
}

export const losses = (from: Physical, to: Physical): readonly Loss[] => {
  const kept = keptTables(from, to)
  const gone = from.tables.filter((table) => !kept.some(({ old }) => old === table))
  const replaced = new Set(to.tables.map(tableName))
  return [
    ...gone.map((table) => ({
      table,
      what: `table ${tableName(table)}${replaced.has(tableName(table)) ? ' (its key changes)' : ''}`,
    })),
    ...kept.flatMap(({ old, next }) =>
      old.columns.flatMap((column): Loss[] => {
        const other = next.columns.find(({ name }) => name === column.name)
        const place = `column ${tableName(old)}.${column.name}`
        if (column.generated !== undefined) return []
        if (other?.generated !== undefined)
          return [{ table: old, column: column.name, what: `${place} (computed from now on)` }]
        if (other === undefined) return [{ table: old, column: column.name, what: place }]
        const safe = ['same', 'exact'].includes(conversion(column.type, other.type))
        return safe
          ? []
          : [{ table: old, column: column.name, what: `${place} (${column.type} becomes ${other.type})` }]
      }),
    ),
  ]
}

/** Each loss with how many rows or values there are to lose, those with none left out. */
export const countLosses = async (
  tx: TransactionSql,
  items: readonly Loss[],
): Promise<readonly (Loss & { readonly count: string })[]> => {
  const counted = []
  for (const loss of items) {
    const of = loss.column === undefined ? '*' : ident(loss.column)
    const [row] = await tx.unsafe<{ count: string }[]>(
      `select count(${of})::text as count from ${ident(loss.table.schema)}.${ident(loss.table.name)}`,
    )
    if (row !== undefined && row.count !== '0') counted.push({ ...loss, count: row.count })
  }
  return counted
}

type Conversion = 'same' | 'exact' | 'lossy' | 'none'

/** Types whose every value the other takes, unchanged when written out. */
const exact: Readonly<Record<string, readonly string[]>> = {
  smallint: ['integer', 'bigint', 'numeric', 'text', 'double precision'],
  integer: ['bigint', 'numeric', 'text', 'double precision'],
  bigint: ['numeric', 'text'],
  numeric: ['text'],
}
const numbers = ['smallint', 'integer', 'bigint', 'numeric', 'double precision']
const moments = ['date', 'timestamptz']

/** How stored values of one type become the other's. `lossy`: by a cast that may round or fail; `none`: not at all. */
const conversion = (from: string, to: string): Conversion => {
  const [a, b] = [from, to].map((type) => type.replace(/ collate .*/, '')) as [string, string]
  if (a === b) return 'same'
  if (exact[a]?.includes(b)) return 'exact'
  if (a.endsWith('[]') || b.endsWith('[]')) return 'none'
  const castable = [numbers, moments].some((family) => family.includes(a) && family.includes(b))
  return castable || a === 'text' || b === 'text' ? 'lossy' : 'none'
}
