/**
 * The order of a page, and where in it a page begins. The order is total: the asked fields, nulls last in either direction, then the
 * key in the direction of the last of them, so that one index has an order and, read backwards, its opposite.
 *
 * What lies beyond a place is a list of ranges, each one stretch of such an index, in the order in which they are read: an `or` of them
 * would be a filter over all rows from the beginning on.
 */

import type { OrderBy } from '../../model/condition.ts'
import type { View } from '../../model/model.ts'
import { columnName, ident, valueSqlType } from '../../model/names.ts'
import type { ViewTable } from '../../model/view-table.ts'
import type { Binder } from '../access/predicate.ts'

/** One component of the order. */
export type Term = {
  readonly sql: string
  readonly type: string
  readonly ascending: boolean
  readonly nullable: boolean
}
/** A row's values of the terms, as text. */
export type Place = readonly (string | null)[]
/** Conditions that all hold. */
type Range = readonly string[]

export const termsOf = (view: View, table: ViewTable, orderBy: readonly OrderBy[]): readonly Term[] => {
  const terms = new Map<string, Term>()
  const add = (column: string, term: Omit<Term, 'sql'>) => {
    const sql = `r.${ident(column)}`
    if (!terms.has(sql)) terms.set(sql, { sql, ...term })
  }
  for (const { field: name, direction } of orderBy) {
    const field = view.fields.find((candidate) => candidate.name === name)
    if (!field || field.type.kind === 'part') throw new Error(`${view.name}.${name} has no order`)
    const type = valueSqlType(field.type)
    add(columnName(name), { type, ascending: direction === 'ASC', nullable: !field.nonNull })
  }
  const ascending = orderBy.at(-1)?.direction !== 'DESC'
  for (const { column, type, nullable } of table.key) add(column, { type: valueSqlType(type), ascending, nullable })
  return [...terms.values()]
}

/** In a range the first term is null throughout or nowhere, or its nulls are where Postgres has them unasked; so it is as an index has it. */
export const orderSql = (terms: readonly Term[], backward: boolean): string =>
  terms
    .map(({ sql, ascending, nullable }, i) => {
      const nulls = i > 0 && nullable && !ascending ? ` nulls ${backward ? 'first' : 'last'}` : ''
      return `${sql} ${ascending !== backward ? 'asc' : 'desc'}${nulls}`
    })
    .join(', ')

/** All rows where `at` is undefined. None: there is nothing beyond. */
export const rangesOf = (
  terms: readonly Term[],
  at: Place | undefined,
  backward: boolean,
  params: Binder,
): readonly Range[] => {
  if (!at) {
    const { sql, nullable, ascending } = terms[0]!
    if (!nullable || ascending) return [[]]
    const halves = [[`${sql} is not null`], [`${sql} is null`]]
    return backward ? halves.reverse() : halves
  }
  const bound = new Map<number, string>()
  const value = (i: number): string => {
    const known = bound.get(i) ?? params.bind(at[i]!, terms[i]!.type)
    bound.set(i, known)
    return known
  }
  const same = (i: number): string => (at[i] === null ? `${terms[i]!.sql} is null` : `${terms[i]!.sql} = ${value(i)}`)

  return runsOf(terms, at).flatMap(([from, to]): Range[] => {
    const before = terms.slice(0, from).map((_, i) => same(i))
    const { sql, ascending, nullable } = terms[from]!
    if (at[from] === null) return backward ? [[...before, `${sql} is not null`]] : []
    const run = terms.slice(from, to)
    const left = run.map((term) => term.sql).join(', ')
    const right = run.map((_, i) => value(from + i)).join(', ')
    const compared = `(${left}) ${ascending !== backward ? '>' : '<'} (${right})`
    return [[...before, compared], ...(nullable && !backward ? [[...before, `${sql} is null`]] : [])]
  })
}

/** Neighbours that are compared as one row, the last first: of one direction, and none but the first with nulls to be put anywhere. */
const runsOf = (terms: readonly Term[], at: Place): readonly (readonly [number, number])[] => {
  const runs: (readonly [number, number])[] = []
  for (let from = 0; from < terms.length; ) {
    let to = from + 1
    const joins = ({ nullable, ascending }: Term) => !nullable && ascending === terms[from]!.ascending
    if (at[from] !== null) while (to < terms.length && joins(terms[to]!)) to += 1
    runs.unshift([from, to])
    from = to
  }
  return runs
}
