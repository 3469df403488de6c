/**
 * Rolling fields as SQL: what a window holds at the moment of the read. Rows leave it, and rows whose time was still to come enter it,
 * with no change of any row; so a view's table can't hold the value (C25).
 */
import type { Window } from '../event-time.ts'
import type { Field, FieldValue, View } from '../model.ts'
import { columnName, entityTable, ident, valueSqlType } from '../names.ts'
import { rollingFields } from '../rolling.ts'
import type { RollingColumn } from '../view-table.ts'
import { addedUp, aggregateSql, hops } from './aggregate.ts'
import { answerSql } from './answer.ts'
import { type KeptBeside, onGroup, type Rollup } from './kept.ts'
import { fromSql, reachRows } from './reach.ts'
import { type Addend, type Compilation, entityOf, joinOf, openRow, type RowScope } from './row-scope.ts'
import { outputName, scalarOf } from './shape.ts'
import { rootKeyColumns } from './view-columns.ts'
import { whereSql } from './where.ts'
import { currentSql, wholeSql, withinSql } from './window.ts'

type AggregateValue = Extract<FieldValue, { kind: 'aggregate' }>

/** The view as its table has it. */
export const storedFields = (view: View): View => {
  const rolling = rollingFields(view.fields)
  return rolling.size === 0 ? view : { ...view, fields: view.fields.filter(({ name }) => !rolling.has(name)) }
}

/** `windowOf`: a windowed aggregate over the row `r` of the view's table. */
export const rollingColumns = (
  view: View,
  windowOf: (field: Field, value: AggregateValue, window: Window) => string,
): readonly RollingColumn[] => {
  const rolling = rollingFields(view.fields)
  const sqlOf = (field: Field): string => {
    const { value } = field
    if (value.kind === 'expr' && rolling.has(field.name)) return expressionSql(view, field, value.inputs, sqlOf)
    if (value.kind === 'aggregate' && value.window) return windowOf(field, value, value.window)
    return `r.${ident(columnName(field.name))}`
  }
  return view.fields
    .filter(({ name }) => rolling.has(name))
    .map((field) => ({ field: field.name, answer: answerSql(sqlOf(field), scalarOf(field)) }))
}

const expressionSql = (
  view: View,
  field: Field,
  inputs: readonly string[],
  sqlOf: (field: Field) => string,
): string => {
  const read = inputs.map((name) => {
    const input = view.fields.find((candidate) => candidate.name === name)!
    return `${sqlOf(input)} as ${outputName(name)}`
  })
  if (field.value.kind !== 'expr') throw new Error(`${field.name} is no expression`)
  return `(select (${field.value.sql}\n)::${valueSqlType(scalarOf(field))} from (select ${read.join(', ')}) b)`
}

/**
 * The root row is looked up by the view's own key, and what it reaches by index; where it is gone, nothing is reached. `beside`: where totals
 * by step are kept; absent: from the rows themselves, as the definition says.
 */
export const windowSql = (
  compilation: Compilation,
  view: View,
  field: Field,
  value: AggregateValue,
  window: Window,
  beside: KeptBeside | undefined,
): string => {
  const root = entityOf(compilation.model, view.of)
  const from: string[] = []
  const row = openRow(compilation, root, 'w', [], from)
  const flat = hops(compilation.model, root, value) === 1
  const total =
    flat && beside
      ? bucketsSql(compilation, row, field, value, window, beside)
      : rowsOfSql(compilation, row, field, value, window)
  const key = rootKeyColumns(root, view).map(({ name, column }) => `w.${ident(columnName(name))} = r.${ident(column)}`)
  return `(select x.v::${valueSqlType(scalarOf(field))} from (values (1)) one left join ${entityTable(root)} w on ${key.join(' and ')} ${from.join(' ')}
left join lateral (${total}) x on true)`
}

const bucketsSql = (
  { model }: Compilation,
  row: RowScope,
  field: Field,
  value: AggregateValue,
  window: Window,
  beside: KeptBeside,
): string => {
  const { joins, many } = value
  const parent = row.walk(joins.slice(0, many))
  const join = joinOf(parent.entity, joins[many]!)
  const rollup = beside.timed(model, parent, join, window)
  return stepsSql(field, value, window, rollup, (alias) => onGroup(alias, parent, rollup.entity, join))
}

/**
 * From sums by step, and the members of the step that is under way: so what a read costs grows with a window's steps, not with its rows.
 * `group`: finds the group in both, by their alias.
 */
export const stepsSql = (
  field: Field,
  value: AggregateValue,
  window: Window,
  rollup: Pick<Rollup, 'sums' | 'members' | 'column'>,
  group: (alias: string) => readonly string[],
): string => {
  const columns = new Set<string>()
  const kept = (addend: Addend): string => {
    const column = ident(rollup.column({ ...addend, joins: value.joins.slice(value.many + 1), many: -1 }).name)
    columns.add(column)
    return `y.${column}`
  }
  // Beyond 64 bits the cast to the field's type fails, and with it this row's answer alone.
  const total = value.fn === 'sum' ? kept({ ...value, of: 'sum' }) : addedUp(field, value, kept)
  const part = (table: string, alias: string, within: string) =>
    `select ${[...columns].map((column) => `${alias}.${column}`).join(', ')} from ${table} ${alias} where ${[...group(alias), within].join(' and ')}`
  return `select ${total} as v from (select ${[...columns].map((column) => `coalesce(sum(u.${column}), 0) as ${column}`).join(', ')} from (
${part(rollup.sums, 's', wholeSql(window))}
union all ${part(rollup.members, 'm', currentSql(window))}) u) y`
}

/** From the rows themselves. A row beyond several to-many joins has its time in none of the totals that lead to it. */
const rowsOfSql = (
  compilation: Compilation,
  row: RowScope,
  field: Field,
  value: AggregateValue,
  window: Window,
): string => {
  const reach = reachRows(compilation, row, value.joins.slice(0, value.many + 1))
  const conditions = [withinSql(reach.row, window), ...(value.where ? [whereSql(value.where, reach.row)] : [])]
  const owner = value.fn === 'sum' ? reach.row.walk(value.joins.slice(value.many + 1)) : undefined
  const total = owner ? `coalesce(sum(${owner.column(value.column!).sql}), 0)` : aggregateSql(field, value, reach, '')
  return `select ${total} as v ${fromSql(reach, conditions)}`
}
