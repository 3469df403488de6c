/**
 * A database as plain data: what migrations are generated from, what their snapshots keep (`drizzle/0001_initial.json`), and what a
 * real database is compared with. View tables are not in it: ingest makes and drops those itself.
 */
import { createHash } from 'node:crypto'

export type Physical = { readonly tables: readonly Table[]; readonly objects: readonly EngineObject[] }

/** `key`: the primary key's columns. Every name is unquoted. `partitionBy`: what follows PARTITION BY. */
export type Table = {
  readonly schema: string
  readonly name: string
  readonly columns: readonly TableColumn[]
  readonly key: readonly string[]
  readonly uniques?: readonly { readonly name: string; readonly columns: readonly string[] }[]
  readonly checks?: readonly { readonly name: string; readonly sql: string }[]
  readonly indexes: readonly Index[]
  readonly partitionBy?: string
}
/** `type` includes `[]` and `collate "C"`. `default` and `generated` are SQL expressions. */
export type TableColumn = {
  readonly name: string
  readonly type: string
  readonly notNull?: boolean
  readonly default?: string
  readonly generated?: string
  readonly identity?: boolean
}
/** `orders`: what follows a column that isn't plainly ascending: `desc`, `desc nulls last`, `asc nulls first`. `where`: of quoted columns, but for the engine's own. */
export type Index = {
  readonly name: string
  readonly columns: readonly string[]
  readonly orders?: Readonly<Record<string, string>>
  readonly where?: string
}

/** What drizzle has no words for. `sql` may run again on a database that has it; `exists` is an SQL condition. */
export type EngineObject = {
  readonly name: string
  readonly before: boolean
  readonly sql: string
  readonly exists: string
}

export const empty: Physical = { tables: [], objects: [] }

/** Its columns as they stand in its definition, each named by `spell`. */
export const indexTerms = ({ columns, orders }: Index, spell = (column: string): string => column): string =>
  columns.map((column) => `${spell(column)} ${orders?.[column] ?? ''}`.trimEnd()).join(', ')

export const tableName = (table: Pick<Table, 'schema' | 'name'>): string => `${table.schema}.${table.name}`

/** Equal for databases that differ at most in the order in which columns and indexes stand. */
export const fingerprint = (physical: Physical): string => {
  const byName = <T extends { readonly name: string }>(items: readonly T[] = []) =>
    [...items].sort((a, b) => (a.name < b.name ? -1 : 1))
  const tables = physical.tables
    .map((table) => ({ ...table, columns: byName(table.columns), indexes: byName(table.indexes) }))
    .sort((a, b) => (tableName(a) < tableName(b) ? -1 : 1))
  return createHash('sha256')
    .update(stable({ tables, objects: byName(physical.objects) }))
    .digest('hex')
}

/** JSON with sorted keys: snapshots come back from jsonb, which keeps no order. */
export const stable = (value: unknown): string =>
  JSON.stringify(value, (_, item: unknown) =>
    item !== null && typeof item === 'object' && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  )
