/**
 * How many different values a group has: of each value how often it occurs. A value that comes for the first time adds one to the group's
 * sum, one that goes for good takes one away.
 */
import { collation, ident } from '../names.ts'
import type { RollupColumn } from './rollup-parts.ts'

/** Of one column of values; `moves`: a query of the groups (under the group's own names) with `d`, by how many values each has more or less. */
export type DistinctSql = {
  readonly table: string
  readonly ddl: string
  readonly ctes: readonly string[]
  readonly moves: string
}

/** Reads `fresh` and `before`, contributions as they are to be and as they were. */
export const distinctSql = (name: string, groupColumns: readonly RollupColumn[], value: RollupColumn): DistinctSql => {
  const table = `"forebay_view".${ident(`${name}_${value.name}`)}`
  const group = groupColumns.map((column) => ident(column.name))
  const typed = ({ name, sqlType }: RollupColumn) => `${ident(name)} ${sqlType}${collation(sqlType)}`
  const column = ident(value.name)
  const of = (alias: string) => group.map((one) => `${alias}.${one}`).join(', ')
  const names = group.join(', ')
  const cte = (kind: string) => `${kind}_${value.name}`
  const match = [...group, 'value'].map((one) => `c.${one} = t.${one}`).join(' and ')
  const side = (from: string, n: string) =>
    `select ${names}, ${column} as value, ${n} as n from ${from} where ${column} is not null`
  return {
    table,
    ddl: `create table ${table} (${[
      ...groupColumns.map(typed),
      `value ${value.sqlType}${collation(value.sqlType)} not null`,
      'n bigint not null',
      `primary key (${[...group, 'value'].join(', ')})`,
    ].join(', ')})`,
    ctes: [
      `${cte('turned')} as materialized (select ${names}, value, sum(n)::bigint as n from (${side('fresh', '1')} union all ${side('before', '-1')}) x group by ${names}, value having sum(n) <> 0)`,
      // A count that somebody else moves meanwhile is judged again under its lock, and then falls to the next step.
      `${cte('ended')} as (delete from ${table} c where c.ctid = any(array(
    select x.ctid from ${cte('turned')} t cross join lateral (select c.ctid from ${table} c where ${match} and c.n + t.n = 0 offset 0) x))
    returning ${of('c')}, c.value, c.n)`,
      `${cte('counted')} as (insert into ${table} as c (${names}, value, n)
    select ${names}, value, sum(n) from (select ${names}, value, n from ${cte('turned')} union all select ${names}, value, n from ${cte('ended')}) x
    group by ${names}, value having sum(n) <> 0 order by ${names}, value
    on conflict (${names}, value) do update set n = c.n + excluded.n
    returning ${of('c')}, (new.n > 0)::int - (coalesce(old.n, 0) > 0)::int as d)`,
    ],
    moves: `select ${names}, d from ${cte('counted')} where d <> 0 union all select ${names}, -1 from ${cte('ended')}`,
  }
}

/** A value as it is counted. A text may be too long for an index: then its digest stands for it. */
export const countedValue = (sql: string, sqlType: string): string =>
  sqlType === 'text'
    ? `case when octet_length(${sql}) <= 200 then 'v' || ${sql} else 'h' || encode(sha256(convert_to(${sql}, 'UTF8')), 'hex') end`
    : sql
