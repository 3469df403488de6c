/**
 * Rows of a view that are kept for a time (@retention). Each generation has a floor, a moment that only moves up, and its query leaves out
 * what is older: so a row is what the query says at every moment, however late a change of it comes, and a proof needs to know nothing of
 * time. A generation's, not a view's: a definition with a longer ttl begins at an earlier moment, and has again what the other one dropped.
 *
 * The floor moves in the transaction that tells every shard's owner of it, through the dirty log (src/ingest/view-floors.ts). Each looks for
 * rows that are past it among its own: nobody else writes those, so its snapshot lacks none. Anybody else's might lack one that a round
 * was just writing by the floor before.
 */
import type { Model, View, ViewRetention } from '../model.ts'
import { columnName, ident, quote } from '../names.ts'
import { bucketSql } from './bucket.ts'
import { keyArray, keyRows } from './key.ts'
import type { LogPath } from './nodes.ts'
import { entityOf, type RowScope } from './row-scope.ts'
import { rootKeyColumns } from './view-columns.ts'

/** `table`: the view's, quoted. */
const floorSql = (table: string): string =>
  `coalesce((select f.floor from forebay.view_floors f where f."table" = ${quote(table)}), '-infinity')`

/** The condition under which a row whose time is `value` is there. */
export const keptSql = (value: string, table: string): string => `(${value} is null or ${value} >= ${floorSql(table)})`

/** What a row of the root is kept by. */
export const timeSql = ({ value }: ViewRetention, root: RowScope): string => {
  const { sql } = root.walk(value.joins).column(value.column)
  return value.bucket ? bucketSql(sql, value.bucket) : sql
}

/** Where a new generation begins. Its length is so part of the definition. */
export const floorDdl = ({ retention }: View, table: string): readonly string[] =>
  retention === undefined
    ? []
    : [
        `insert into forebay.view_floors ("table", floor) values (${quote(table)}, now() - interval '${retention.ttlMs} milliseconds')
on conflict ("table") do update set floor = excluded.floor`,
      ]

/** What a floor that has moved leads to. */
export const floorPath = (model: Model, view: View, table: string): readonly LogPath[] => {
  if (view.retention === undefined) return []
  const key = view.groupBy
    ? 'jsonb_build_array(t._group)'
    : keyArray(
        rootKeyColumns(entityOf(model, view.of), view).map(({ column, type }) => ({ sql: `t.${ident(column)}`, type })),
      )
  const past = `${table} t where t.${ident(columnName(view.retention.on))} < ${floorSql(table)}`
  const expand = keyRows(key, `${past} and $1::text::jsonb is not null`)
  return [{ entity: view.of, values: [], watched: [], node: 0, fedBy: 0, own: true, expand }]
}

/** By it rows that are past the floor are found. */
export const floorIndexes = ({ retention }: View, name: string, table: string): readonly string[] =>
  retention === undefined
    ? []
    : [`create index if not exists ${ident(`${name}_expiry`)} on ${table} (${ident(columnName(retention.on))})`]
