/**
 * The least and the greatest of a group's values: each member has its value, and an index has them in their order within the group. So an
 * extreme that goes or moves leaves the next one at the index's end, however many there are.
 */
import { ident } from '../names.ts'
import type { RollupColumn } from './rollup-parts.ts'
import type { Addend, Compilation } from './row-scope.ts'

/**
 * A text may be too long for an index, which then has its beginning. By code point two texts never stand the other way round than their
 * beginnings do, so the extreme's beginning is the extreme one. What ends before that is the value itself; else all that begin so are read.
 */
const begun = 200
const ordered = (sql: string, sqlType: string): string => (sqlType === 'text' ? `left(${sql}, ${begun})` : sql)

/** Of members of `table` by `group`, columns quoted. What has no value is no extreme. */
export const extremeIndex = (
  name: string,
  table: string,
  group: readonly string[],
  value: Pick<RollupColumn, 'name' | 'sqlType'>,
): string => {
  const column = ident(value.name)
  return `create index ${ident(`${name}_${value.name}`)} on ${table} (${[...group, ordered(column, value.sqlType)].join(', ')}) where ${column} is not null`
}

export const isExtreme = (addend: Pick<Addend, 'of'>): addend is { readonly of: 'min' | 'max' } =>
  addend.of === 'min' || addend.of === 'max'

/** How one group is found: its columns, quoted, and the values they are to have. */
export type GroupMatch = { readonly columns: readonly string[]; readonly values: readonly string[] }

/**
 * A query of one row at most, `v`. The group is asked for as a range in the index's own order: of an equality the planner may take an index of
 * the group alone for as good, which has all of it read and sorted.
 */
export const extremeSql = (
  fn: 'min' | 'max',
  table: string,
  { columns: names, values }: GroupMatch,
  value: Pick<RollupColumn, 'name' | 'sqlType'>,
): string => {
  const columns = names.map((name) => `m.${name}`)
  const column = `m.${ident(value.name)}`
  const sql = ordered(column, value.sqlType)
  const row = (terms: readonly string[]) => (terms.length === 1 ? terms[0]! : `(${terms.join(', ')})`)
  const range = `${row(columns)} >= ${row(values)} and ${row(columns)} <= ${row(values)}`
  const order = [...columns, sql].map((term) => (fn === 'max' ? `${term} desc` : term)).join(', ')
  const first = `select ${sql} as v from ${table} m where ${range} and ${column} is not null order by ${order} limit 1`
  if (value.sqlType !== 'text') return first
  const same = columns.map((one, i) => `${one} = ${values[i]}`)
  return `select case when length(e.v) < ${begun} then e.v else (select ${fn}(${column}) from ${table} m where ${[...same, `${sql} = e.v`].join(' and ')} and ${column} is not null) end as v from (${first}) e`
}

/** Such a query beside the row that it is asked for. */
export const extremeLateral = (compilation: Compilation, from: string[], query: string): string => {
  const alias = compilation.alias()
  from.push(`left join lateral (${query}) ${alias} on true`)
  return `${alias}.v`
}

/** Groups (under their own names) in which other values stand in `fresh` than in `before`: whoever reads their extremes is told, for any of them may be one. */
export const turnedSql = (group: readonly string[], extremes: readonly RollupColumn[]): string => {
  const values = extremes.map(({ name }) => ident(name))
  const all = [...group, ...values].join(', ')
  const side = (from: string, n: string) =>
    `select ${all}, ${n} as n from ${from} where ${values.map((value) => `${value} is not null`).join(' or ')}`
  return `select ${group.join(', ')} from (${side('fresh', '1')} union all ${side('before', '-1')}) x group by ${all} having sum(n) <> 0`
}
