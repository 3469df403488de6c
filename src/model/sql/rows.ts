/** A view with one row per root row. */

import type { Field, Model, View } from '../model.ts'
import { columnName, columnSqlType, entityTable, ident } from '../names.ts'
import { type Touched, withInputs } from '../reads.ts'
import type { RollingColumn } from '../view-table.ts'
import type { Shape } from './compiled-shape.ts'
import { startKeeping } from './kept.ts'
import { keyValue, lookup } from './key.ts'
import { lookupColumns } from './lookup.ts'
import { type Narrow, narrowStatements } from './narrow.ts'
import { type Nodes, nodesOf } from './nodes.ts'
import { type ProofSql, proofSql } from './proof.ts'
import { rollingColumns, storedFields, windowSql } from './rolling.ts'
import {
  type Compilation,
  columnOf,
  type Dependencies,
  entityOf,
  isTenanted,
  openRow,
  startCompilation,
} from './row-scope.ts'
import { compileShape } from './shape.ts'
import { rootKeyColumns, viewKeys } from './view-columns.ts'
import { keptSql, timeSql } from './view-floor.ts'
import { type TableColumn, tableDdl, writeSql } from './view-table.ts'
import { whereSql } from './where.ts'

/** `recompute`, `definition` and `reach` as in `CompiledView`. `name`: the table's, without its schema. */
export type ViewSql = Nodes & {
  readonly shape: Shape
  readonly tables: readonly string[]
  readonly ddl: readonly string[]
  readonly recompute: string
  readonly definition: string
  readonly dependencies: Dependencies
  readonly rolling: readonly RollingColumn[]
  /** Of the view's own table. */
  readonly proof: ProofSql
  /** Given what its paths touch. */
  narrow(touched: readonly Touched[]): readonly Narrow[]
}

export const rowsSql = (model: Model, declared: View, name: string): ViewSql => {
  const view = storedFields(declared)
  const root = entityOf(model, view.of)
  const beside = startKeeping(name)
  const compilation = startCompilation(model, beside.keep)
  const table = `"forebay_view".${ident(name)}`
  const kept = selectRows(compilation, view, table)
  const defining = startCompilation(model)
  const defined = selectRows(defining, view, table)
  const rolling = rollingColumns(declared, (...field) => windowSql(compilation, declared, ...field, beside))
  rollingColumns(declared, (...field) => windowSql(defining, declared, ...field, undefined))

  const keys = rootKeyColumns(root, view)
  const { shape, hidden } = kept
  const columns = [
    ...hidden.map((key) => ({ name: key.column, sqlType: columnSqlType(columnOf(root, key.name)) })),
    ...shape.outputs.map(({ field, sqlType }) => ({ name: columnName(field.name), sqlType })),
  ]
  const key = keys.map(({ column }) => column)
  const typed = keys.map(({ name: field }, i) => `${keyValue('v.value', i, columnOf(root, field))} as k${i}`)
  const onKey = keys.map(({ name: field }, i) => `r.${ident(columnName(field))} = k.k${i}`)
  const graph = nodesOf(root, compilation, beside)
  const keyed = `keys k ${lookup(entityTable(root), 'r', onKey)}`
  const written = [...columns, ...ownColumns]
  const writing = {
    table,
    key,
    identity: viewKeys(model, view),
    keys: `select ${typed.join(', ')} from jsonb_array_elements($1::text::jsonb) v`,
  }
  const selectFields = (names: ReadonlySet<string>) => {
    const isKey = (field: Field) => key.includes(columnName(field.name))
    const fields = new Set(
      view.fields.filter((field) => names.has(field.name) || isKey(field)).flatMap((field) => withInputs(view, field)),
    )
    const part = selectRows(startCompilation(model, beside.keep), { ...view, fields: [...fields] }, table)
    return { fresh: part.select(keyed), flagged: part.shape.incomplete !== 'false' }
  }
  return {
    ...graph,
    shape,
    tables: [table, ...tablesOf(graph)],
    ddl: [
      tableDdl({ name: table, columns, generated: lookupColumns(view), tenanted: isTenanted(root), key }),
      ...ddlOf(graph),
    ],
    recompute: writeSql({ ...writing, columns: written.map((column) => column.name), fresh: kept.select(keyed) }),
    narrow: (touched) => narrowStatements(view, graph.paths, touched, writing, selectFields),
    definition: defined.select(`${entityTable(root)} r`),
    dependencies: defining.dependencies,
    rolling,
    proof: proofSql({
      table,
      key: keys.map(({ name: field, column }) => ({ column, as: columnOf(root, field) })),
      columns: written,
      roots: { table: entityTable(root), key: root.key.map(columnName) },
      fresh: defined.select(keyed),
      ...(graph.nodes.length > 1 ? { near: kept.select(keyed) } : {}),
    }),
  }
}

/** What every view's table has, besides its version. */
export const ownColumns: readonly TableColumn[] = [
  { name: '_tenant', sqlType: 'text' },
  { name: '_incomplete', sqlType: 'boolean' },
]

export const tablesOf = ({ nodes }: Nodes): readonly string[] =>
  nodes.flatMap(({ rollup, part }) => rollup?.tables ?? (part ? [part.table] : []))
export const ddlOf = ({ nodes }: Nodes): readonly string[] =>
  nodes.flatMap(({ rollup, part }) => rollup?.ddl ?? (part ? [part.ddl] : []))

/** `select`: the view's rows over a FROM item in which `r` is the root. `hidden`: key columns that no field shows. `table`: the view's own. */
const selectRows = (compilation: Compilation, view: View, table: string) => {
  const root = entityOf(compilation.model, view.of)
  const from: string[] = []
  const row = openRow(compilation, root, 'r', [], from)
  const shape = compileShape(compilation, view.fields, row, from)
  const tenant = isTenanted(root) ? row.tenant() : null
  const conditions = [
    'r._live',
    ...(tenant ? [`${tenant.sql} is not null`] : []),
    ...(view.where ? [whereSql(view.where, row)] : []),
    ...(view.retention ? [keptSql(timeSql(view.retention, row), table)] : []),
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
  return { shape, hidden, select }
}
