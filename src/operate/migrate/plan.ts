/**
 * From one database to another, as SQL that loses only what `losses` names.
 *
 * Stages, each a comparison that either drops or creates, never both (so nothing is ever taken for a rename: a renamed column is
 * dropped and added): unused indexes and tables go, then columns; then tables, columns and indexes come and types change.
 * `_live` and computed columns read others, and Postgres neither retypes nor drops a column that a generated one reads: they are set to a
 * constant before, and to their new expressions after, which keeps their indexes. Generated columns that are new come last of all.
 */
import { ident } from '../../model/names.ts'
import { diff } from './kit.ts'
import { goes, type Kept, keptTables } from './loss.ts'
import {
  type EngineObject,
  type Index,
  type Physical,
  stable,
  type Table,
  type TableColumn,
  tableName,
} from './physical.ts'

/** Statements in order, each with its semicolon; none where nothing changes. */
export const plan = async (from: Physical, to: Physical): Promise<readonly string[]> => {
  const kept = keptTables(from, to)
  const unread = kept.filter((pair) => pair.old.columns.some(isGenerated) && rewritesColumns(pair))
  const survivors = new Map(kept.map((pair) => [pair.next, pair.old]))
  const at = (tables: readonly Table[]): Physical => ({ tables, objects: [] })
  const ended = (make: (pair: Kept) => Table): Physical =>
    at(
      to.tables.map((next) => {
        const old = survivors.get(next)
        return old === undefined ? next : make({ old, next })
      }),
    )

  const start = at(from.tables.map(pinned))
  const pruned = at(kept.map(withoutUnused))
  const narrowed = at(kept.map((pair) => withoutGoing(withoutUnused(pair), pair.next)))
  const plain = ended((pair) => pinned(withoutComing(pair)))
  const end = ended(({ old, next }) => ({
    ...next,
    columns: next.columns.map((column) => (isKeptGenerated(old, next, column) ? pin(column) : column)),
  }))
  const statements = [
    ...changedObjects(from, to, true),
    ...unread.flatMap(({ old }) => setGenerated(old, old.columns.map(pin))),
    ...(await diff(start, pruned)),
    ...(await diff(pruned, narrowed)),
    ...(await diff(narrowed, plain)),
    ...(await diff(plain, end)),
    ...kept.flatMap((pair) => setGenerated(pair.next, regenerated(pair, unread.includes(pair)))),
    ...changedObjects(from, to, false),
  ]
  return [...new Set(statements)]
}

/** Tables of which every row is written anew, under a lock that keeps all others out, and why. */
export const rewrites = (from: Physical, to: Physical): readonly string[] =>
  keptTables(from, to).flatMap((pair) => {
    const { old, next } = pair
    const coming = next.columns.filter((column) => isGenerated(column) && !isKeptGenerated(old, next, column))
    const again = regenerated(pair, false)
    const names = [...new Set([...coming, ...again].map(({ name }) => name))]
    return names.length === 0 ? [] : [`${tableName(next)} (${names.join(', ')})`]
  })

const isGenerated = (column: TableColumn): boolean => column.generated !== undefined

/** Set to a constant, so that the comparison leaves it to `setGenerated`. */
const pin = (column: TableColumn): TableColumn =>
  column.generated === undefined
    ? column
    : { ...column, generated: column.type === 'boolean' ? 'false' : `null::${column.type.replace(/ collate .*/, '')}` }
const pinned = (table: Table): Table => ({ ...table, columns: table.columns.map(pin) })

const isKeptGenerated = (old: Table, next: Table, column: TableColumn): boolean =>
  isGenerated(column) && old.columns.some((known) => known.name === column.name && !goes(known, next))

/** Generated columns that both have, where their expressions differ or were taken from them. */
const regenerated = ({ old, next }: Kept, all: boolean): readonly TableColumn[] =>
  next.columns.filter(
    (column) =>
      isKeptGenerated(old, next, column) &&
      (all || old.columns.find(({ name }) => name === column.name)?.generated !== column.generated),
  )

/** One statement, so that rows are written anew but once. */
const setGenerated = (table: Table, columns: readonly TableColumn[]): readonly string[] => {
  const set = columns.flatMap(({ name, generated }) =>
    generated === undefined ? [] : [`ALTER COLUMN ${ident(name)} SET EXPRESSION AS (${generated})`],
  )
  return set.length === 0 ? [] : [`ALTER TABLE ${ident(table.schema)}.${ident(table.name)} ${set.join(', ')};`]
}

const rewritesColumns = (pair: Kept): boolean =>
  pair.old.columns.some((column) => pair.next.columns.find(({ name }) => name === column.name)?.type !== column.type)

/** Without the generated columns that are new, which may read columns that are new too, and what stands on them. */
const withoutComing = ({ old, next }: Kept): Table => {
  const coming = new Set(
    next.columns.filter((column) => isGenerated(column) && !isKeptGenerated(old, next, column)).map(({ name }) => name),
  )
  return {
    ...next,
    columns: next.columns.filter(({ name }) => !coming.has(name)),
    indexes: next.indexes.filter((index) => !standsOn(index, coming)),
  }
}

/** Without the constraints and indexes that the next table lacks, has otherwise, or that stand on a column which goes. */
const withoutUnused = ({ old, next }: Kept): Table => {
  const gone = new Set(old.columns.filter((column) => goes(column, next)).map((column) => column.name))
  return {
    ...pinned(old),
    uniques: unchanged(old.uniques, next.uniques).filter((unique) => !standsOn(unique, gone)),
    checks: unchanged(old.checks, next.checks),
    indexes: unchanged(old.indexes, next.indexes).filter((index) => !standsOn(index, gone)),
  }
}

/** By its columns, or by which rows it is of. */
const standsOn = ({ columns, where }: Pick<Index, 'columns' | 'where'>, names: ReadonlySet<string>): boolean =>
  [...names].some((name) => columns.includes(name) || where?.includes(ident(name)))

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
