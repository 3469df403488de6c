/**
 * How a rollup is compared: its members with what their rows contribute by the definition, its sums with what their members add up to.
 *
 * A wrong contribution is put right like any other: its key is marked dirty. Sums that are wrong though every member is right are put
 * right by adding what is missing: like every addition to them it commutes with those of others, so none of these is lost.
 */
import { columnName, ident } from '../names.ts'
import { lookup } from './key.ts'
import { keysSql, type ProofSql, proofSql } from './proof.ts'
import type { RollupColumn, RollupParts } from './rollup-parts.ts'

/** `values`: of each column whose different values are counted. */
export type RollupProofs = {
  readonly members: ProofSql
  readonly values: readonly ProofSql[]
  readonly sums: ProofSql
}

type Tables = {
  readonly members: string
  readonly sums: string
  /** Of the columns whose different values are counted. */
  readonly distinct: readonly string[]
  /** The counted rows of `keys`, as `r`. */
  readonly keyed: string
}

export const rollupProofs = (parts: RollupParts, tables: Tables): RollupProofs => {
  const { group, carried, own = [], values, expiry } = parts
  const ofMember = (column: RollupColumn): RollupColumn => ({ ...column, sql: `m.${ident(column.name)}` })
  const counted = values.filter(({ distinct }) => distinct)
  const summed = values.filter(({ extreme }) => !extreme)
  const total = (column: RollupColumn): RollupColumn => {
    const { sql } = ofMember(column)
    if (column.distinct) return { ...column, sqlType: 'bigint', sql: `count(distinct ${sql})` }
    return { ...column, sql: `sum(${sql})::${column.sqlType}` }
  }
  return {
    members: proofSql({
      table: tables.members,
      key: parts.key.map((as, i) => ({ column: `k${i}`, as })),
      columns: [...group, ...carried, ...own, ...values],
      roots: { table: parts.table, key: parts.key.map(({ name }) => columnName(name)) },
      fresh: parts.select(`keys k ${tables.keyed}`),
      ...(expiry ? { stored: [expiry.kept('t.gb')] } : {}),
    }),
    values: counted.map((column, i) =>
      totalsProof(parts, {
        table: tables.distinct[i]!,
        group: [...group.map(ofMember), { name: 'value', sqlType: column.sqlType, sql: `m.${ident(column.name)}` }],
        carried: [],
        totals: [{ name: 'n', sqlType: 'bigint', sql: 'count(*)' }],
        where: `m.${ident(column.name)} is not null`,
      }),
    ),
    sums: totalsProof(parts, {
      table: tables.sums,
      group: group.map(ofMember),
      carried: carried.map(ofMember),
      totals: [{ name: '_n', sqlType: 'bigint', sql: 'count(*)' }, ...summed.map(total)],
    }),
  }
}

/** A table of what members `m` add up to: columns with their SQL over those. `group`: the table's key. */
type Totals = {
  readonly table: string
  readonly group: readonly RollupColumn[]
  readonly carried: readonly RollupColumn[]
  readonly totals: readonly RollupColumn[]
  readonly where?: string
}

const totalsProof = (
  { groups, raw, expiry }: RollupParts,
  { table, group, carried, totals, where = 'true' }: Totals,
): ProofSql => {
  const names = (columns: readonly RollupColumn[]) => columns.map(({ name }) => ident(name))
  const of = (alias: string, columns: readonly RollupColumn[]) => names(columns).map((name) => `${alias}.${name}`)
  const kept = [...group, ...carried]
  const onKey = (alias: string) => groups.key.map(({ column }, i) => `${alias}.${ident(column)} = k.k${i}`)
  const fresh = `select ${[...kept, ...totals].map(({ name, sql }) => `${sql} as ${ident(name)}`).join(', ')}
  from keys k ${groups.members} where ${[...onKey('m'), where, ...(expiry ? [expiry.kept('m.gb')] : [])].join(' and ')} group by ${kept.map(({ sql }) => sql).join(', ')}`
  const above = expiry ? [expiry.kept('t.gb')] : []
  const sql = proofSql({
    table,
    key: groups.key,
    columns: [...kept, ...totals],
    roots: groups.roots,
    fresh,
    // A group that nothing is left of may stay for a while.
    stored: [
      ...above,
      `(${of('t', totals)
        .map((name) => `${name} <> 0`)
        .join(' or ')})`,
    ],
    several: true,
  })
  const side = (alias: string, sign: string, first: number) =>
    `select ${[`${first} as side`, ...of(alias, kept), ...totals.map(({ name }) => `${sign}${alias}.${ident(name)} as ${ident(name)}`)].join(', ')} from ${alias}`
  const repair = `with keys as materialized (${keysSql(groups.key)}),
fresh as materialized (${fresh}),
found as materialized (select t.* from keys k ${lookup(table, 't', [...onKey('t'), ...above])}),
missing as materialized (
  select ${[
    ...of('x', group),
    ...names(carried).map((name) => `(array_agg(x.${name} order by x.side))[1] as ${name}`),
    ...totals.map(({ name, sqlType }) => `sum(x.${ident(name)})::${sqlType} as ${ident(name)}`),
  ].join(', ')}
  from (${side('fresh', '', 1)} union all ${side('found', '-', 2)}) x group by ${of('x', group).join(', ')}),
added as (
  insert into ${table} as s (${names([...kept, ...totals]).join(', ')})
  select ${of('d', [...kept, ...totals]).join(', ')} from missing d order by ${of('d', group).join(', ')}
  on conflict (${names(group).join(', ')}) do update set ${[
    ...names(carried).map((name) => `${name} = excluded.${name}`),
    ...names(totals).map((name) => `${name} = s.${name} + excluded.${name}`),
  ].join(', ')}
  returning ${of('s', group).join(', ')})
select distinct ${raw('a')}::text as k from added a`
  return { ...sql, repair }
}
