/**
 * A rollup: totals of rows by group, kept by difference, so that what a change costs doesn't grow with the group.
 *
 *   members   one row for each counted row: its key, its group, what it adds (its contribution, C2)
 *   sums      one row for each group: what its members add up to
 *
 * A counted row whose key is dirty has its contribution worked out anew, in the snapshot of its shard's owner; what that differs by from
 * the stored one is added to the sums, together with storing it. So contributions are state, not events: working a key twice adds nothing,
 * and the sums are what the members add up to at every commit. Groups are not owned by a shard: additions of several owners meet
 * under the row's lock, and none of them needs to see another's. Whoever reads a group reads it after these commits (round.ts).
 */
import { collation, columnName, columnSqlType, ident } from '../names.ts'
import { type ExpirySql, stepIndex } from './expiry.ts'
import { type KeyColumn, keyArray, keyValue, lookup, shardOf } from './key.ts'
import { distinctSql } from './rollup-distinct.ts'
import { extremeIndex, turnedSql } from './rollup-extreme.ts'
import type { RollupColumn, RollupParts } from './rollup-parts.ts'
import { type RollupProofs, rollupProofs } from './rollup-proof.ts'
import { deleteSql } from './view-table.ts'

/** Statements over JSON texts `$1`. */
export type RollupSql = {
  readonly tables: readonly string[]
  readonly ddl: readonly string[]
  /** `$1`: counted keys. Yields `k` (the group, see `RollupParts.raw`), its `shard`, and whether it is `empty` now. */
  readonly contribute: string
  /** `$1`: groups, of which the empty ones go. */
  readonly purge: string
  readonly expiry?: ExpirySql
  readonly proofs: RollupProofs
}

export const membersTable = (name: string): string => `"forebay_view".${ident(`${name}_members`)}`
export const sumsTable = (name: string): string => `"forebay_view".${ident(`${name}_sums`)}`

export const rollupSql = (parts: RollupParts): RollupSql => {
  const members = membersTable(parts.name)
  const sums = sumsTable(parts.name)
  const key = parts.key.map((_, i) => `k${i}`)
  const group = parts.group.map(({ name }) => ident(name))
  const kept = [...parts.group, ...parts.carried].map(({ name }) => ident(name))
  const summed = parts.values.filter(({ extreme }) => !extreme)
  const extremes = parts.values.filter(({ extreme }) => extreme)
  const values = summed.map(({ name }) => ident(name))
  const list = (alias: string, names: readonly string[]) => names.map((name) => `${alias}.${name}`)
  const typed = ({ name, sqlType }: RollupColumn) => `${ident(name)} ${sqlType}${collation(sqlType)}`
  const keyed = lookup(
    parts.table,
    'r',
    parts.key.map((column, i) => `r.${ident(columnName(column.name))} = k.k${i}`),
  )
  const { own = [], expiry } = parts
  const rest = [...kept, ...[...own, ...parts.values].map(({ name }) => ident(name))]
  // What follows from a group is the same in every row of it; what counts values says nothing of it.
  const totals = [
    ...parts.carried.map(({ name }) => `(array_agg(x.${ident(name)}) filter (where x.n <> 0))[1] as ${ident(name)}`),
    'sum(x.n)::bigint as _n',
    ...summed.map(
      ({ name, sqlType, distinct }) => `sum(x.${ident(name)})::${distinct ? 'bigint' : sqlType} as ${ident(name)}`,
    ),
  ]
  const added = (column: RollupColumn, sql: string) => `${column.distinct ? '0' : sql} as ${ident(column.name)}`
  const counts = expiry ? ` where ${expiry.kept('gb')}` : ''
  const side = (from: string, sign: string) =>
    `select ${[...kept, `${sign}1 as n`, ...summed.map((value) => added(value, `${sign}${ident(value.name)}`))].join(', ')} from ${from}${counts}`
  const counted = (column: RollupColumn, moves: string) =>
    `select ${[...group, ...parts.carried.map(() => 'null'), '0', ...summed.map((value) => (value === column ? 'd' : '0'))].join(', ')} from (${moves}) m`
  const different = summed.filter((value) => value.distinct)
  const distinct = different.map((value) => distinctSql(parts.name, parts.group, value))
  const sides = [
    side('fresh', ''),
    side('before', '-'),
    ...different.map((value, i) => counted(value, distinct[i]!.moves)),
  ]
  const moved = ['_n', ...values].map((name) => `d.${name} <> 0`).join(' or ')
  const named = [
    `select ${parts.raw('m')} as k, m._n = 0 as empty from moved m`,
    ...(extremes.length ? [`select ${parts.raw('t')}, false from (${turnedSql(group, extremes)}) t`] : []),
    ...(parts.read ? [`select ${parts.raw('d')}, false from diff d`] : []),
  ].join(' union all ')
  return {
    tables: [members, sums, ...distinct.map(({ table }) => table), ...(expiry ? [expiry.table] : [])],
    ddl: [
      `create table ${members} (${[
        ...parts.key.map((column, i) => `k${i} ${columnSqlType(column)}${collation(columnSqlType(column))}`),
        ...[...parts.group, ...parts.carried, ...own, ...parts.values].map(typed),
        `primary key (${key.join(', ')})`,
      ].join(', ')})`,
      `create table ${sums} (${[
        ...[...parts.group, ...parts.carried].map(typed),
        '_n bigint not null',
        ...summed.map((value) => `${typed(value.distinct ? { ...value, sqlType: 'bigint' } : value)} not null`),
        `primary key (${group.join(', ')})`,
      ].join(', ')})`,
      ...distinct.map(({ ddl }) => ddl),
      ...extremes.map((value) => extremeIndex(parts.name, members, group, value)),
      ...(parts.indexed ? [`create index ${ident(`${parts.name}_group`)} on ${members} (${group.join(', ')})`] : []),
      ...(expiry
        ? [...expiry.ddl, stepIndex(`${parts.name}_members_gb`, members), stepIndex(`${parts.name}_sums_gb`, sums)]
        : []),
    ],
    contribute: `with keys as materialized (select ${parts.key.map((column, i) => `${keyValue('v.value', i, column)} as k${i}`).join(', ')} from jsonb_array_elements($1::text::jsonb) v),
fresh as materialized (${parts.select(`keys k ${keyed}`)}),
before as materialized (select m.* from keys k ${lookup(
      members,
      'm',
      key.map((name) => `m.${name} = k.${name}`),
    )}),
gone as (${deleteSql(members, key)}),
written as (
  insert into ${members} as m (${[...key, ...rest].join(', ')}) select ${[...key, ...rest].join(', ')} from fresh order by ${key.join(', ')}
  on conflict (${key.join(', ')}) do update set ${rest.map((name) => `${name} = excluded.${name}`).join(', ')}
  where (${list('m', rest).join(', ')}) is distinct from (${list('excluded', rest).join(', ')})),
${distinct.flatMap(({ ctes }) => ctes.map((cte) => `${cte},\n`)).join('')}diff as materialized (
  select ${[...list('x', group), ...totals].join(', ')} from (${sides.join('\n  union all ')}) x group by ${list('x', group).join(', ')}),
moved as (
  insert into ${sums} as s (${[...kept, '_n', ...values].join(', ')})
  select ${[...list('d', kept), 'd._n', ...list('d', values)].join(', ')} from diff d where ${moved} order by ${list('d', group).join(', ')}
  on conflict (${group.join(', ')}) do update set ${['_n', ...values].map((name) => `${name} = s.${name} + excluded.${name}`).join(', ')}
  returning ${[...list('s', group), 's._n'].join(', ')})
select k::text as k, ${shardOf('k')} as shard, bool_or(empty) as empty from (${named}) g group by k`,
    purge: `delete from ${sums} t where t._n = 0 and t.ctid = any(array(
  select x.ctid from jsonb_array_elements($1::text::jsonb) v
  cross join lateral (select s.ctid from ${sums} s where ${parts.onRaw.join(' and ')} offset 0) x))`,
    ...(expiry ? { expiry: expiry.sql([sums, members]) } : {}),
    proofs: rollupProofs(parts, { members, sums, distinct: distinct.map(({ table }) => table), keyed }),
  }
}

/** A group of plain columns as a reader's path has it. */
export const rawGroup =
  (columns: readonly KeyColumn[], names: readonly string[]) =>
  (alias: string): string =>
    keyArray(columns.map(({ type }, i) => ({ sql: `${alias}.${ident(names[i]!)}`, type })))
