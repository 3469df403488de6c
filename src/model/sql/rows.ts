/** A view with one row per root row. */

import type { View } from '../model.ts'
import { columnName, columnSqlType, entityTable, ident } from '../names.ts'
import type { Shape } from './compiled-shape.ts'
import { keyValue, lookup } from './key.ts'
import { lookupColumns } from './lookup.ts'
import { type Compilation, columnOf, entityOf, isTenanted, openRow } from './row-scope.ts'
import { compileShape } from './shape.ts'
import { rootKeyColumns, viewKeys } from './view-columns.ts'
import { tableDdl, writeSql } from './view-table.ts'
import { whereSql } from './where.ts'

/** `recompute`, `regroup` and `definition` as in `CompiledView`. `name`: the table's, without its schema. */
export type ViewSql = {
  readonly shape: Shape
  readonly tables: readonly string[]
  readonly ddl: readonly string[]
  readonly recompute: string
  readonly regroup?: string
  readonly definition: string
}

export const rowsSql = (compilation: Compilation, view: View, name: string): ViewSql => {
  const root = entityOf(compilation.model, view.of)
  const from: string[] = []
  const row = openRow(compilation, root, 'r', [], from)
  const shape = compileShape(compilation, view.fields, row, from)
  const tenant = isTenanted(root) ? row.tenant() : null
  const conditions = [
    'r._live',
    ...(tenant ? [`${tenant.sql} is not null`] : []),
    ...(view.where ? [whereSql(view.where, row)] : []),
  ]

  const keys = rootKeyColumns(root, view)
  const hidden = keys.filter((key) => !shape.outputs.some(({ field }) => columnName(field.name) === key.column))
  const base = [
    ...hidden.map((key) => `r.${ident(columnName(key.name))} as ${ident(key.column)}`),
    `${tenant ? `${tenant.sql}::text` : 'null::text'} as _tenant`,
    ...shape.select,
  ]
  const outer = [
    ...hidden.map((key) => ident(key.column)),
    ...shape.outputs.map(({ field, sql }) => `${sql} as ${ident(columnName(field.name))}`),
    '_tenant',
    `(${shape.incomplete}) as _incomplete`,
  ]
  const complete = shape.complete.length ? ` where ${shape.complete.join(' and ')}` : ''
  const select = (source: string): string =>
    `select ${outer.join(', ')} from (select ${base.join(', ')} from ${source} ${from.join(' ')} where ${conditions.join(' and ')}) b ${shape.exprs.join(' ')}${complete}`

  const columns = [
    ...hidden.map((key) => ({ name: key.column, sqlType: columnSqlType(columnOf(root, key.name)) })),
    ...shape.outputs.map(({ field, sqlType }) => ({ name: columnName(field.name), sqlType })),
  ]
  const table = `"forebay_view".${ident(name)}`
  const key = keys.map(({ column }) => column)
  const typed = keys.map(({ name: field }, i) => `${keyValue('v.value', i, columnOf(root, field))} as k${i}`)
  const onKey = keys.map(({ name: field }, i) => `r.${ident(columnName(field))} = k.k${i}`)
  return {
    shape,
    tables: [table],
    ddl: [tableDdl({ name: table, columns, generated: lookupColumns(view), tenanted: tenant !== null, key })],
    recompute: writeSql({
      table,
      columns: [...columns.map((column) => column.name), '_tenant', '_incomplete'],
      key,
      identity: viewKeys(compilation.model, view),
      keys: `select ${typed.join(', ')} from jsonb_array_elements($1::text::jsonb) v`,
      fresh: select(`keys k ${lookup(entityTable(root), 'r', onKey)}`),
    }),
    definition: select(`${entityTable(root)} r`),
  }
}
