/**
 * One page of a view: keyset paging, so that rows that come and go elsewhere move no page. The order is total: the asked fields,
 * nulls last in either direction, then the key ascending.
 */
import type { OrderBy, View, Where } from '../../model/model.ts'
import { columnName, ident, valueSqlType } from '../../model/names.ts'
import type { ViewTable } from '../../model/view-table.ts'
import { type Binder, binder, conditionSql } from '../access/predicate.ts'
import { type Reading, rowColumns, type Statement, visible } from './row-sql.ts'

/** One component of the order. */
type Term = { readonly sql: string; readonly type: string; readonly ascending: boolean; readonly nullable: boolean }

const termsOf = (view: View, table: ViewTable, orderBy: readonly OrderBy[]): readonly Term[] => [
  ...orderBy.map(({ field: name, direction }): Term => {
    const field = view.fields.find((candidate) => candidate.name === name)
    if (!field || field.type.kind === 'part') throw new Error(`${view.name}.${name} has no order`)
    return {
      sql: `r.${ident(columnName(name))}`,
      type: valueSqlType(field.type),
      ascending: direction === 'ASC',
      nullable: !field.nonNull,
    }
  }),
  ...table.key.map(
    (key): Term => ({
      sql: `r.${ident(key.column)}`,
      type: valueSqlType(key.type),
      ascending: true,
      nullable: key.nullable,
    }),
  ),
]

const orderSql = (terms: readonly Term[], backward: boolean): string =>
  terms
    .map(({ sql, ascending, nullable }) => {
      // Postgres puts nulls last ascending and first descending, which is what is wanted but for a nullable descending field.
      const nulls = nullable && !ascending ? ` nulls ${backward ? 'first' : 'last'}` : ''
      return `${sql} ${ascending !== backward ? 'asc' : 'desc'}${nulls}`
    })
    .join(', ')

/** Rows strictly beyond the place `at`: equal in the first i terms, beyond in the next. */
const beyondSql = (
  terms: readonly Term[],
  at: readonly (string | null)[],
  backward: boolean,
  params: Binder,
): string => {
  // A place is null where its row's value is: then nothing is bound, and the comparison says so.
  const bound = terms.map(({ type }, i) => (at[i] === null ? '' : params.bind(at[i] ?? null, type)))
  const beyond = (term: Term, i: number): string => {
    const isNull = at[i] === null
    if (backward) {
      if (isNull) return `${term.sql} is not null`
      return `${term.sql} ${term.ascending ? '<' : '>'} ${bound[i]}`
    }
    if (isNull) return 'false'
    const compared = `${term.sql} ${term.ascending ? '>' : '<'} ${bound[i]}`
    return term.nullable ? `(${compared} or ${term.sql} is null)` : compared
  }
  const same = (term: Term, i: number): string => (at[i] === null ? `${term.sql} is null` : `${term.sql} = ${bound[i]}`)
  return `(${terms.map((term, i) => `(${[...terms.slice(0, i).map(same), beyond(term, i)].join(' and ')})`).join(' or ')})`
}

export type PageQuery = {
  readonly view: View
  readonly where: Where | undefined
  readonly orderBy: readonly OrderBy[]
  readonly limit: number
  readonly backward: boolean
  /** The values of a row's order, as `place` of an earlier page's row. */
  readonly from: readonly (string | null)[] | undefined
}

/** `place`: the row's place in the order, a JSON array of texts. One row more than `limit` says whether there are more. */
export const pageStatement = (reading: Reading, query: PageQuery): Statement => {
  const { table, tenant } = reading
  const params = binder()
  const classes = reading.classes(params)
  const order = termsOf(query.view, table, query.orderBy)
  const conditions = [
    ...visible(table, tenant, classes, params),
    ...(query.where ? [`(${conditionSql(query.view, query.where, params)})`] : []),
    ...(query.from ? [beyondSql(order, query.from, query.backward, params)] : []),
  ]
  const text = `select ${rowColumns(reading, classes)}, json_build_array(${order.map(({ sql }) => `${sql}::text`).join(', ')})::text as place
from ${table.table} r${conditions.length ? `\nwhere ${conditions.join(' and ')}` : ''}
order by ${orderSql(order, query.backward)}
limit ${query.limit + 1}`
  return { text, values: params.values }
}

/** Counts under the same predicate as the rows, and stops at `limit`. */
export const countStatement = (reading: Reading, view: View, where: Where | undefined, limit: number): Statement => {
  const params = binder()
  const conditions = [
    ...visible(reading.table, reading.tenant, reading.bounded ? reading.classes(params) : ['true'], params),
    ...(where ? [`(${conditionSql(view, where, params)})`] : []),
  ]
  const text = `select count(*)::int as count from (select 1 from ${reading.table.table} r${
    conditions.length ? ` where ${conditions.join(' and ')}` : ''
  } limit ${limit}) a`
  return { text, values: params.values }
}
