/** `@list` and `@first`: the first rows, in order, of what a path reaches. */

import type { Field, FieldValue } from '../model.ts'
import { answerSql } from './answer.ts'
import { partOf, type Shape, shapeObject } from './compiled-shape.ts'
import { fromSql, type Reach, reachRows } from './reach.ts'
import { type Compilation, orderSql, type RowScope } from './row-scope.ts'
import { whereSql } from './where.ts'

type ListValue = Extract<FieldValue, { kind: 'list' | 'first' }>
type CompileShape = (compilation: Compilation, fields: readonly Field[], row: RowScope, from: string[]) => Shape

/** A subquery of one row: `v` is the jsonb array (or for `first` the value itself), `incomplete` that elements were withheld. */
export const listLateral = (
  compilation: Compilation,
  value: ListValue,
  start: RowScope,
  compileShape: CompileShape,
): { sql: string; incomplete: boolean } => {
  const reach = reachRows(compilation, start, value.joins.slice(0, value.many + 1))
  const conditions = value.where ? [whereSql(value.where, reach.row)] : []
  const order = orderSql(reach.row, value.orderBy)
  return value.part === undefined
    ? { sql: scalars(value, reach, conditions, order), incomplete: false }
    : parts(compilation, value, reach, conditions, order, compileShape)
}

const scalars = (value: ListValue, reach: Reach, conditions: readonly string[], order: readonly string[]): string => {
  const owner = reach.row.walk(value.joins.slice(value.many + 1))
  const { sql, type } = owner.column(value.column!)
  const rows = `${fromSql(reach, [...conditions, `${sql} is not null`])} order by ${order.join(', ')} limit ${value.limit}`
  if (value.kind === 'first') return `select ${sql} as v ${rows}`
  const numbered = `select ${sql} as v, row_number() over (order by ${order.join(', ')}) as n ${rows}`
  return `select jsonb_agg(${answerSql('s.v', type)} order by s.n) as v from (${numbered}) s`
}

const parts = (
  compilation: Compilation,
  value: ListValue,
  reach: Reach,
  conditions: readonly string[],
  order: readonly string[],
  compileShape: CompileShape,
): { sql: string; incomplete: boolean } => {
  // The rows first, then what is joined to each: so no more than the first few are joined to anything.
  const { alias } = reach.row
  const numbered = `select ${alias}.*, row_number() over (order by ${order.join(', ')}) as "_n" ${fromSql(reach, conditions)}`
  const from: string[] = []
  const shape = compileShape(compilation, partOf(compilation, value.part!).fields, reach.row.within(from), from)
  const base = (rows: string) =>
    `select ${shape.select.join(', ')}, ${alias}."_n" from (${rows}) ${alias} ${from.join(' ')}`
  const object = shapeObject(shape)
  if (shape.complete.length === 0) {
    const rows = `from (${base(`${numbered} order by ${order.join(', ')} limit ${value.limit}`)}) b ${shape.exprs.join(' ')}`
    const shown = value.kind === 'first' ? object : `jsonb_agg(${object} order by "_n")`
    const incomplete = value.kind === 'first' ? shape.incomplete : `bool_or(${shape.incomplete})`
    return { sql: `select ${shown} as v, ${incomplete} as incomplete ${rows}`, incomplete: true }
  }
  // An element can be withheld, which only its values tell: all that is reached has to be read, not just the first.
  const judged = `select ${object} as e, ${shape.incomplete} as i, (${shape.complete.join(' and ')}) as whole, "_n" as n from (${base(numbered)}) b ${shape.exprs.join(' ')}`
  const ranked = `select e, i, whole, n, row_number() over (partition by whole order by n) as place from (${judged}) j`
  const shown = `whole and place <= ${value.limit}`
  const elements =
    value.kind === 'first'
      ? `(jsonb_agg(e) filter (where ${shown}))->0`
      : `jsonb_agg(e order by n) filter (where ${shown})`
  return {
    sql: `select ${elements} as v, bool_or(not whole or (i and ${shown})) as incomplete from (${ranked}) r`,
    incomplete: true,
  }
}
