/** A view's table, and the one statement that writes it. */

import { collation, ident } from '../names.ts'
import type { ViewKey } from '../view-table.ts'
import { answerSql } from './answer.ts'

export type TableColumn = { readonly name: string; readonly sqlType: string }

export const tableDdl = (table: {
  readonly name: string
  readonly columns: readonly TableColumn[]
  readonly generated: readonly string[]
  readonly tenanted: boolean
  readonly key: readonly string[]
}): string =>
  `create table ${table.name} (${[
    ...table.columns.map(({ name, sqlType }) => `${ident(name)} ${sqlType}${collation(sqlType)}`),
    `_tenant text collate "C"${table.tenanted ? ' not null' : ''}`,
    '_version bigint not null',
    '_incomplete boolean not null',
    ...table.generated,
    `primary key (${table.key.map(ident).join(', ')})`,
  ].join(', ')})`

export type WriteParts = {
  readonly table: string
  readonly columns: readonly string[]
  readonly key: readonly string[]
  readonly identity: readonly ViewKey[]
  readonly keys: string
  readonly fresh: string
}
const list = (alias: string, names: readonly string[]): string => names.map((name) => `${alias}.${name}`).join(', ')
const changedSql = ({ identity }: WriteParts, gone: boolean): string =>
  `json_build_array(${identity.map(keyText).join(', ')}) as key, t._tenant as tenant, (select n from stamp) as version, ${gone} as gone`

/**
 * Rows that differ are written, rows that are no longer there go, rows that are the same are left alone. `keys` yields k0, k1, …
 * typed as the table's key; `fresh` yields `columns`. A row's version comes from one sequence and only its owner writes it, so it
 * never goes back (C6). Returns the rows that changed, `key` as `identity` names them: as callers do.
 */
export const writeSql = (parts: WriteParts): string => {
  const columns = parts.columns.map(ident)
  const key = parts.key.map(ident)
  const mutable = columns.filter((column) => !key.includes(column))
  const changed = (gone: boolean) => changedSql(parts, gone)
  return `with keys as materialized (${parts.keys}),
stamp as materialized (select nextval('forebay.row_version') as n),
fresh as materialized (${parts.fresh}),
gone as (${deleteSql(parts.table, key)} returning ${changed(true)}),
written as (
  insert into ${parts.table} as t (${columns.join(', ')}, _version)
  select ${list('f', columns)}, (select n from stamp) from fresh f order by ${list('f', key)}
  on conflict (${key.join(', ')}) do update
  set ${mutable.map((column) => `${column} = excluded.${column}`).join(', ')}, _version = excluded._version
  where (${list('t', mutable)}) is distinct from (${list('excluded', mutable)})
  returning ${changed(false)})
select * from gone union all select * from written`
}

/** The same for rows that are there, of which `columns` alone are written; `fresh` yields the key too. */
export const updateSql = (parts: WriteParts): string => {
  const columns = parts.columns.map(ident)
  const key = parts.key.map(ident)
  const match = key.map((column) => `t.${column} = f.${column}`).join(' and ')
  return `with keys as materialized (${parts.keys}),
stamp as materialized (select nextval('forebay.row_version') as n),
fresh as materialized (${parts.fresh})
update ${parts.table} t set ${columns.map((column) => `${column} = f.${column}`).join(', ')}, _version = (select n from stamp)
from fresh f where ${match} and (${list('t', columns)}) is distinct from (${list('f', columns)})
returning ${changedSql(parts, false)}`
}

/** Deletes the rows of `keys` (k0, k1, …) that `fresh` no longer has. `key`: quoted columns. Rows are looked up, never joined: see `lookup`. */
export const deleteSql = (table: string, key: readonly string[]): string => {
  const asked = key.map((_, i) => `k${i}`).join(', ')
  const match = key.map((column, i) => `t.${column} = k.k${i}`).join(' and ')
  return `delete from ${table} t where t.ctid = any(array(
    select x.ctid from (select ${asked} from keys except select ${key.join(', ')} from fresh) k
    cross join lateral (select t.ctid from ${table} t where ${match} offset 0) x))`
}

const keyText = ({ column, type }: ViewKey): string => `(${answerSql(`t.${ident(column)}`, type)})::text`
