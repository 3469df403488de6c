/**
 * A view's declaration as the SQL that keeps it.
 *
 *   a change of an entity row ─► raw join values (`paths`) ─► view keys (`expand`) ─► rows (`recompute`)
 *
 * A grouped view has one stage more: each root row's group is kept in a `members` table, since the group that a row leaves can't
 * be found any more once the row has changed (C2): root keys ─► `regroup` ─► group keys ─► `recompute`.
 */
import { createHash } from 'node:crypto'
import type { Field, Model, View } from '../model.ts'
import { columnName, ident, snakeCase } from '../names.ts'
import type { ViewTable } from '../view-table.ts'
import { type DirtyPath, dirtyPaths } from './dirty-path.ts'
import { groupedSql } from './grouped.ts'
import { lookupColumn } from './lookup.ts'
import { type Dependencies, entityOf, isTenanted, startCompilation } from './row-scope.ts'
import { rowsSql } from './rows.ts'
import { type Touched, touchedFields } from './touches.ts'
import { rootKeyColumns, viewKeys } from './view-columns.ts'

/** `recompute` and `regroup` take keys as `$1`, the JSON text of an array of keys. */
export type CompiledView = {
  readonly view: View
  readonly table: ViewTable
  /** The view's own tables, quoted. */
  readonly tables: readonly string[]
  /** DDL of the view's own tables, in order. */
  readonly ddl: readonly string[]
  /** What its searchable fields need; no part of the definition, so made anew for a table that is there already. */
  readonly indexes: readonly string[]
  /** What a change of which entity marks dirty; a path's place in this list is its number in the log. Path 0 is the root's. */
  readonly paths: readonly DirtyPath[]
  /** By path. */
  readonly touched: readonly Touched[]
  readonly dependencies: Dependencies
  /** Rewrites the rows of the keys `$1`; returns `key` (the values of `table.key` as text), `tenant`, `version` and `gone` of each row that changed. */
  readonly recompute: string
  /** Grouped only: moves the root rows `$1` to the groups they now belong to; returns the group keys touched, see `keyRows`. */
  readonly regroup?: string
  /** The whole view as its definition says, from the entities alone, in the columns of its table: for proofs. */
  readonly definition: string
}

export const compileView = (model: Model, view: View): CompiledView => {
  const placeholder = '@view@'
  const compilation = startCompilation(model)
  const root = entityOf(model, view.of)
  const sql = (view.groupBy ? groupedSql : rowsSql)(compilation, view, placeholder)
  const paths = dirtyPaths(root, compilation.dependencies)
  const { shape, ...texts } = sql
  const hash = sha256(JSON.stringify([texts, paths])).slice(0, 12)
  // Postgres cuts names at 63 bytes; the members table and its index add to this one.
  const name = `${snakeCase(view.name).slice(0, 38)}_${hash}`
  const named = (text: string): string => text.replaceAll(placeholder, name)
  const table: ViewTable = {
    view: view.name,
    hash,
    table: `"forebay_view".${ident(name)}`,
    tenanted: isTenanted(root),
    ...('claim' in root.tenant ? { claim: root.tenant.claim } : {}),
    grouped: view.groupBy !== undefined,
    key: viewKeys(model, view),
    rootKey: view.groupBy ? [] : rootKeyColumns(root, view),
    columns: shape.outputs.map(({ field, sqlType, answer }) => {
      const column = columnName(field.name)
      return { field: field.name, column, sqlType, answer: answer(ident(column)) }
    }),
  }
  return {
    view,
    table,
    tables: sql.tables.map(named),
    ddl: sql.ddl.map(named),
    indexes: view.fields.flatMap((field) =>
      searchedColumns(field).map((column) => indexDdl(table, name, field, column)),
    ),
    paths,
    touched: touchedFields(model, view, compilation.dependencies),
    dependencies: compilation.dependencies,
    recompute: named(sql.recompute),
    ...(sql.regroup ? { regroup: named(sql.regroup) } : {}),
    definition: sql.definition,
  }
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** A looked-up value may be compared normalised, in a column of its own; filters and orders read the field as it is. */
const searchedColumns = (field: Field): readonly string[] => [
  ...new Set([
    ...(field.lookup ? [lookupColumn(field)] : []),
    ...(field.filter || field.order ? [columnName(field.name)] : []),
  ]),
]

const indexDdl = (table: ViewTable, name: string, field: Field, column: string): string => {
  const index = ident(`${name}_${sha256(column).slice(0, 6)}_idx`)
  if (field.list) return `create index if not exists ${index} on ${table.table} using gin (${ident(column)})`
  return `create index if not exists ${index} on ${table.table} (${table.tenanted ? '_tenant, ' : ''}${ident(column)})`
}

/** The table alone: what the gateway needs. */
export const viewTable = (model: Model, view: View): ViewTable => compileView(model, view).table
