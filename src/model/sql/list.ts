/**
 * `@list` and `@first`: the first rows, in order, of what a path reaches. Where an index has the order, no more rows are read than are
 * shown, and those before them that are withheld: nothing here may ask for a row after the last that is shown.
 */

import type { Field, FieldValue } from '../model.ts'
import { columnName, ident } from '../names.ts'
import { answerSql } from './answer.ts'
import { partOf, type Shape, shapeObject } from './compiled-shape.ts'
import { lookup } from './key.ts'
import { isNeverNull } from './order.ts'
import { ownWhereSql } from './own-where.ts'
import { fromSql, type Reach, reachRows } from './reach.ts'
import { type Compilation, type OrderTerm, orderSql, orderTerms, type RowScope } from './row-scope.ts'
import { whereSql } from './where.ts'

type ListValue = Extract<FieldValue, { kind: 'list' | 'first' }>
type CompileShape = (compilation: Compilation, fields: readonly Field[], row: RowScope, from: string[]) => Shape
/** What is listed: rows that meet `conditions`, in `order`. */
type Listed = { readonly reach: Reach; readonly conditions: readonly string[]; readonly order: readonly OrderTerm[] }

/** A subquery of one row: `v` is the jsonb array (or for `first` the value itself), `incomplete` that elements were withheld. */
export const listLateral = (
  compilation: Compilation,
  value: ListValue,
  start: RowScope,
  compileShape: CompileShape,
): { sql: string; incomplete: boolean } => {
  // An index can't have an order that begins with a field of another row.
  const first = (value.orderBy[0]?.joins.length ?? 0) === 0
  const reach = reachRows(compilation, start, value.joins.slice(0, value.many + 1), undefined, first)
  const { entity } = reach.row
  const conditions = value.where ? [whereSql(value.where, reach.row)] : []
  const own = [...ownWhereSql(entity, value.where)]
  const scalar = value.part === undefined ? shown(value, reach.row) : undefined
  if (scalar?.nullable) {
    conditions.push(`${scalar.sql} is not null`)
    if (scalar.own) own.push(`${ident(columnName(value.column!))} is not null`)
  }
  const where = own.length ? { where: own.join(' and ') } : {}
  const order = orderTerms(reach.row, value.orderBy, reach.found && { found: reach.found, ...where })
  const listed = { reach, conditions, order }
  return scalar
    ? { sql: scalars(value, listed, scalar), incomplete: false }
    : parts(compilation, value, listed, compileShape)
}

type Scalar = ReturnType<typeof shown>
const shown = (value: ListValue, row: RowScope) => {
  const joins = value.joins.slice(value.many + 1)
  const owner = row.walk(joins)
  const own = joins.length === 0
  return { ...owner.column(value.column!), own, nullable: !own || !isNeverNull(owner.entity, value.column!) }
}

const scalars = (value: ListValue, listed: Listed, { sql, type }: Scalar): string => {
  const rows = firstRows(value, listed, [`${sql} as v`])
  return value.kind === 'first'
    ? `select s.v from (${rows}) s`
    : `select jsonb_agg(${answerSql('s.v', type)} order by s."_n") as v from (${rows}) s`
}

/**
 * The first rows and their place, `_n`. Where an index has but the beginning of the order, those are read that come no later by it than the
 * last that is wanted, and all that are alike in it with that one.
 */
const firstRows = (
  { limit }: ListValue,
  { reach, conditions, order }: Listed,
  columns: readonly string[],
  joined = reach,
): string => {
  const from = fromSql(joined, conditions)
  const indexed = order.filter((term) => term.indexed)
  if (!reach.found || indexed.length === order.length)
    return `select ${columns.join(', ')}, row_number() over (order by ${orderSql(order)}) as "_n" ${from} order by ${orderSql(order)} limit ${limit}`
  const { carried, inOrder } = carry(order)
  const ranked = `select ${[...columns, ...carried].join(', ')}, rank() over (order by ${orderSql(indexed)}) as "_rank" ${from}`
  return `select q.*, row_number() over (order by ${inOrder}) as "_n" from (${ranked}) q where "_rank" <= ${limit} order by ${inOrder} limit ${limit}`
}

/** The order's values as columns, for a query around the one they are read in. */
const carry = (order: readonly OrderTerm[]) => {
  const names = order.map((_, i) => `"_o${i}"`)
  return {
    names,
    carried: order.map(({ sql }, i) => `${sql} as ${names[i]}`),
    inOrder: orderSql(order.map(({ direction }, i) => ({ sql: names[i]!, direction }))),
  }
}

const parts = (
  compilation: Compilation,
  value: ListValue,
  listed: Listed,
  compileShape: CompileShape,
): { sql: string; incomplete: boolean } => {
  const { reach, conditions, order } = listed
  const part = partOf(compilation, value.part!)
  const kept = compilation.keep?.part(compilation, reach.row, part)
  if (kept !== undefined) return keptParts(value, listed, kept)
  // The rows first, then what is joined to each: so no more than the first few are joined to anything.
  const { alias } = reach.row
  const from: string[] = []
  const shape = compileShape(compilation, part.fields, reach.row.within(from), from)
  const base = (rows: string, carried: readonly string[]) =>
    `select ${[...shape.select, ...carried.map((name) => `${alias}.${name}`)].join(', ')} from (${rows}) ${alias} ${from.join(' ')}`
  const object = shapeObject(shape)
  if (shape.complete.length === 0) {
    const rows = `from (${base(firstRows(value, listed, [`${alias}.*`]), ['"_n"'])}) b ${shape.exprs.join(' ')}`
    const elements = value.kind === 'first' ? object : `jsonb_agg(${object} order by "_n")`
    const incomplete = value.kind === 'first' ? shape.incomplete : `bool_or(${shape.incomplete})`
    return { sql: `select ${elements} as v, ${incomplete} as incomplete ${rows}`, incomplete: true }
  }
  const { carried, names } = carry(order)
  const rows = `select ${[`${alias}.*`, ...carried].join(', ')} ${fromSql(reach, conditions)}`
  const judged = `select ${object} as e, ${shape.incomplete} as i, (${shape.complete.join(' and ')}) as whole, ${names.join(', ')} from (${base(rows, names)}) b ${shape.exprs.join(' ')}`
  return { sql: firstWhole(value, judged, order), incomplete: true }
}

/**
 * The first rows that are whole of `judged`: e, i, whole, and the order's values. An element can be withheld, which only its values tell:
 * rows are read until enough of them are whole, since Postgres ends a running count once it is too great.
 */
const firstWhole = (value: ListValue, judged: string, order: readonly OrderTerm[]): string => {
  const { inOrder } = carry(order)
  const counted = `select j.*, count(*) filter (where whole) over (order by ${inOrder} rows between unbounded preceding and 1 preceding) as before from (${judged}) j`
  const all = `jsonb_agg(e order by ${inOrder}) filter (where whole)`
  const elements = value.kind === 'first' ? `(${all})->0` : all
  return `select ${elements} as v, bool_or(i or not whole) as incomplete from (${counted}) r where before < ${value.limit}`
}

/** Rows that are kept: one that has come but isn't kept yet is left out, as if it came a moment later. */
const keptParts = (
  value: ListValue,
  listed: Listed,
  { table, withholds }: { readonly table: string; readonly withholds: boolean },
): { sql: string; incomplete: boolean } => {
  const { reach, conditions, order } = listed
  const { row } = reach
  const key = row.entity.key.map((field, i) => `kp.k${i} = ${row.column(field).sql}`)
  const joined = { ...reach, from: [...reach.from, lookup(table, 'kp', key)] }
  if (withholds) {
    const judged = `select ${['kp.e', 'kp.i', 'kp.w as whole', ...carry(order).carried].join(', ')} ${fromSql(joined, conditions)}`
    return { sql: firstWhole(value, judged, order), incomplete: true }
  }
  const first = `(${firstRows(value, listed, ['kp.e', 'kp.i'], joined)}) r`
  return value.kind === 'first'
    ? { sql: `select e as v, i as incomplete from ${first}`, incomplete: true }
    : { sql: `select jsonb_agg(e order by "_n") as v, bool_or(i) as incomplete from ${first}`, incomplete: true }
}
