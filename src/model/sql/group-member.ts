/** The rows of a grouped view's root, each with the group that it belongs to. */
import type { Field, View } from '../model.ts'
import { columnName, ident } from '../names.ts'
import { answerSql } from './answer.ts'
import type { RollupColumn } from './rollup-parts.ts'
import { type Compilation, entityOf, isTenanted, openRow } from './row-scope.ts'
import { compileShape } from './shape.ts'
import { whereSql } from './where.ts'

/** Besides what a member adds: columns, and conditions under which it counts. */
export type OwnColumns = { readonly columns: readonly RollupColumn[]; readonly conditions: readonly string[] }

export const groupFieldsOf = (view: View): readonly Field[] =>
  view.groupBy!.map((field) => view.fields.find((candidate) => candidate.name === field)!)

/** One root row `r`, and the group it belongs to. */
export const openMember = (compilation: Compilation, view: View) => {
  const root = entityOf(compilation.model, view.of)
  const from: string[] = []
  const row = openRow(compilation, root, 'r', [], from)
  const shape = compileShape(compilation, groupFieldsOf(view), row, from)
  const tenant = isTenanted(root) ? row.tenant() : null
  const conditions = [
    'r._live',
    ...(tenant ? [`${tenant.sql} is not null`] : []),
    ...(view.where ? [whereSql(view.where, row)] : []),
  ]
  const identity = ['_tenant', ...shape.outputs.map(({ field, sql }) => groupValue(field, sql))].join(', ')
  const carried: readonly RollupColumn[] = [
    { name: '_tenant', sqlType: 'text', sql: '_tenant' },
    ...shape.outputs.map(({ field, sqlType, sql }) => ({ name: columnName(field.name), sqlType, sql })),
  ]
  const group: RollupColumn = { name: '_group', sqlType: 'text', sql: `jsonb_build_array(${identity})::text` }
  const complete = shape.complete.length ? ` where ${shape.complete.join(' and ')}` : ''
  /** `values`: computed over the row itself, beside what its group consists of. With `own` columns, the group alone stands for that. */
  const select = (source: string, values: readonly RollupColumn[], own?: OwnColumns): string => {
    const named = (column: RollupColumn) => `${column.sql} as ${ident(column.name)}`
    const base = [
      ...root.key.map((field, i) => `r.${ident(columnName(field))} as k${i}`),
      `${tenant ? `${tenant.sql}::text` : 'null::text'} as _tenant`,
      ...shape.select,
      ...(own?.columns ?? []).map(({ name, sql }) => `${sql} as ${ident(`_${name}`)}`),
      ...values.map(named),
    ]
    const outer = [
      ...root.key.map((_, i) => `k${i}`),
      ...[group, ...(own ? [] : carried)].map(named),
      ...(own?.columns ?? []).map(({ name }) => `${ident(`_${name}`)} as ${ident(name)}`),
      ...values.map((column) => ident(column.name)),
    ]
    return `select ${outer.join(', ')} from (select ${base.join(', ')} from ${source} ${from.join(' ')} where ${[...conditions, ...(own?.conditions ?? [])].join(' and ')}) b ${shape.exprs.join(' ')}${complete}`
  }
  return { row, from, shape, group, carried, select }
}

/** A group value as it stands in the group's key: exact, and independent of the session's settings. */
const groupValue = (field: Field, sql: string): string =>
  field.type.kind === 'part' ? sql : answerSql(sql, field.type)
