/** One page of a view: keyset paging, so that rows that come and go elsewhere move no page. And how many rows there are. */

import type { OrderBy, Where } from '../../model/condition.ts'
import type { View } from '../../model/model.ts'
import { type Binder, binder, conditionSql } from '../access/predicate.ts'
import { orderSql, type Place, rangesOf, termsOf } from './page-order.ts'
import { type Reading, rowColumns, type Statement, visible } from './row-sql.ts'

export type PageQuery = {
  readonly view: View
  readonly where: Where | undefined
  readonly orderBy: readonly OrderBy[]
  readonly limit: number
  readonly backward: boolean
  /** Of the row that the page comes after, or before. */
  readonly from: Place | undefined
}

/** `place`: the row's place in the order, a JSON array of texts. One row more than `limit` says whether there are more. */
export const pageStatement = (reading: Reading, query: PageQuery): Statement => {
  const { table, tenant } = reading
  const { view, where, backward, from } = query
  const params = binder()
  const classes = reading.classes(params)
  const terms = termsOf(view, table, query.orderBy)
  const order = orderSql(terms, backward)
  const conditions = [
    ...visible(table, tenant, classes, params),
    ...(where ? [`(${conditionSql(view, where, params)})`] : []),
  ]
  const ranges = rangesOf(terms, from, backward, params)
  const columns = `${rowColumns(reading, classes)}, json_build_array(${terms.map(({ sql }) => `${sql}::text`).join(', ')})::text as place`
  const rows = (range: readonly string[]): string => {
    const all = [...conditions, ...range]
    return `from ${table.table} r${all.length ? `\nwhere ${all.join(' and ')}` : ''}
order by ${order}
limit ${query.limit + 1}`
  }
  if (ranges.length < 2) return { text: `select ${columns}\n${rows(ranges[0] ?? ['false'])}`, values: params.values }
  const each = ranges.map((range, i) => `(select r.*, ${i} as _range ${rows(range)})`).join('\nunion all\n')
  const text = `select ${columns}
from (select * from (${each}) r
order by r._range, ${order}
limit ${query.limit + 1}) r
order by r._range, ${order}`
  return { text, values: params.values }
}

const countedSql = (reading: Reading, view: View, where: Where | undefined, params: Binder): string => {
  // A class that sees all rows binds nothing, and what is bound must be used.
  const classes = reading.bounded ? reading.classes(params) : ['true']
  const conditions = [
    ...visible(reading.table, reading.tenant, classes, params),
    ...(where ? [`(${conditionSql(view, where, params)})`] : []),
  ]
  return conditions.length ? ` where ${conditions.join(' and ')}` : ''
}

/** Counts under the same predicate as the rows, and stops at `limit`. */
export const countStatement = (reading: Reading, view: View, where: Where | undefined, limit: number): Statement => {
  const params = binder()
  const text = `select count(*)::int as count from (select 1 from ${reading.table.table} r${countedSql(reading, view, where, params)} limit ${limit}) a`
  return { text, values: params.values }
}

/** How many pages of the table are looked at for an estimate: 16 MB. */
const samplePages = 2_000

/** How large the table is, as the share of it that an estimate looks at, in percent. */
export const shareStatement = ({ table }: Reading): Statement => ({
  text: `select least(100, 100.0 * ${samplePages} / greatest(1, pg_relation_size('${table.table.replaceAll("'", "''")}') / current_setting('block_size')::int))::text as share`,
  values: [],
})

/**
 * How many rows there are, from a share of the table's pages: only rows under the reader's own predicate are counted, so that nobody
 * else's tell in it, as they would in the planner's statistics. The same pages each time.
 */
export const estimateStatement = (reading: Reading, view: View, where: Where | undefined, share: string): Statement => {
  const params = binder()
  const counted = countedSql(reading, view, where, params)
  const text = `select round(count(*) * 100.0 / ${Number(share)})::float8 as count from ${reading.table.table} r tablesample system (${Number(share)}) repeatable (0)${counted}`
  return { text, values: params.values }
}
