/**
 * From one database to another, as SQL that loses only what `losses` names.
 *
 * Stages, each a comparison that either drops or creates, never both (so nothing is ever taken for a rename: a renamed column is
 * dropped and added): unused indexes and tables go, then columns; then tables, columns and indexes come and types change.
 * `_live` reads most columns, and Postgres neither retypes nor drops a column that a generated one reads: it is set to a constant
 * before, and to its new expression after, which keeps its indexes.
 */
import { ident } from '../../model/names.ts'
import { diff } from './kit.ts'
import { goes, type Kept, keptTables } from './loss.ts'
import { type EngineObject, type Physical, stable, type Table } from './physical.ts'

/** Statements in order, each with its semicolon; none where nothing changes. */
export const plan = async (from: Physical, to: Physical): Promise<readonly string[]> => {
  const kept = keptTables(from, to)
  const unread = kept.filter((pair) => liveOf(pair.old) !== undefined && rewritesColumns(pair))
  const relit = kept.filter((pair) => liveOf(pair.old) !== liveOf(pair.next) || unread.includes(pair))
  const survivors = new Set(kept.map((pair) => pair.next))
  const at = (tables: readonly Table[]): Physical => ({ tables, objects: [] })

  const start = at(from.tables.map(unlit))
  const pruned = at(kept.map(withoutUnused))
  const narrowed = at(kept.map((pair) => withoutGoing(withoutUnused(pair), pair.next)))
  const end = at(to.tables.map((table) => (survivors.has(table) ? unlit(table) : table)))
  const statements = [
    ...changedObjects(from, to, true),
    ...unread.map(({ next }) => setLive(next, 'false')),
    ...(await diff(start, pruned)),
    ...(await diff(pruned, narrowed)),
    ...(await diff(narrowed, end)),
    ...relit.map(({ next }) => setLive(next, liveOf(next) ?? 'true')),
    ...changedObjects(from, to, false),
  ]
  return [...new Set(statements)]
}

const liveOf = (table: Table): string | undefined =>
  table.columns.find((column) => column.generated !== undefined)?.generated

/** The table with its generated column pinned, so that the comparison leaves that to `setLive`. */
const unlit = (table: Table): Table => ({
  ...table,
  columns: table.columns.map((column) => (column.generated === undefined ? column : { ...column, generated: 'false' })),
})

const setLive = (table: Table, expression: string): string =>
  `ALTER TABLE ${ident(table.schema)}.${ident(table.name)} ALTER COLUMN "_live" SET EXPRESSION AS (${expression});`

const rewritesColumns = (pair: Kept): boolean =>
  pair.old.columns.some((column) => pair.next.columns.find(({ name }) => name === column.name)?.type !== column.type)

/** Without the constraints and indexes that the next table lacks, has otherwise, or that stand on a column which goes. */
const withoutUnused = ({ old, next }: Kept): Table => {
  const gone = new Set(old.columns.filter((column) => goes(column, next)).map((column) => column.name))
  const stands = ({ columns }: { readonly columns: readonly string[] }) => !columns.some((column) => gone.has(column))
  return {
    ...unlit(old),
    uniques: unchanged(old.uniques, next.uniques).filter(stands),
    checks: unchanged(old.checks, next.checks),
    indexes: unchanged(old.indexes, next.indexes).filter(stands),
  }
}

const unchanged = <T>(old: readonly T[] = [], next: readonly T[] = []): readonly T[] => {
  const wanted = new Set(next.map(stable))
  return old.filter((item) => wanted.has(stable(item)))
}

const withoutGoing = (table: Table, next: Table): Table => ({
  ...table,
  columns: table.columns.filter((column) => !goes(column, next)),
})

const changedObjects = (from: Physical, to: Physical, before: boolean): string[] => {
  const had = new Map(from.objects.map((object: EngineObject) => [object.name, object.sql]))
  return to.objects
    .filter((object) => object.before === before && had.get(object.name) !== object.sql)
    .map((object) => `${object.sql};`)
}
