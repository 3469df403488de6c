/**
 * Every key of a node's root entity into the dirty log, in chunks by key: how a generation is filled. Entries have no origin, since they
 * stand for no change. Live rows alone: the node's table is new and holds nothing of those that are gone.
 */
import type { Entity } from '../model.ts'
import { columnName, entityTable, ident } from '../names.ts'
import { rootKey } from './dirty-path.ts'
import { keyValue, shardOf } from './key.ts'
import { columnOf } from './row-scope.ts'

/**
 * `path`: the log's number for the node's own keys. `first` and `next`: parameters $1 slot, $2 generation, $3 at most so many keys, $4 (`next`)
 * the last key before; one row: `n` and the `last` key, null where there was none. `count`: one row `n`, about how many keys there are.
 */
export type NodeFill = {
  readonly node: number
  readonly path: number
  readonly entity: string
  readonly first: string
  readonly next: string
  readonly count: string
  /** One row `any`: there is one. */
  readonly any: string
}

/** Counted exactly up to here; beyond it the planner's estimate is near enough. */
const countedExactly = 100_000

export const nodeFill = (root: Entity, node: number, path: number): NodeFill => {
  const table = entityTable(root)
  const columns = root.key.map((name) => `r.${ident(columnName(name))}`)
  const last = root.key.map((name, i) => keyValue('$4::text::jsonb', i, columnOf(root, name)))
  const chunk = (after: string): string => `with page as materialized (
  select ${rootKey(root, 'r')} as k, row_number() over (order by ${columns.join(', ')}) as at
  from ${table} r where r._live${after} order by ${columns.join(', ')} limit $3::int),
logged as (
  insert into forebay.dirty (slot, generation, path, shard, keys, n)
  select $1::smallint, $2::int, ${path}, shard, jsonb_agg(k), count(*) from (select k, ${shardOf('k')} as shard from page) s group by shard)
select (select count(*)::int from page) as n, (select k::text from page order by at desc limit 1) as last`
  return {
    node,
    path,
    entity: root.name,
    first: chunk(''),
    next: chunk(` and (${columns.join(', ')}) > (${last.join(', ')})`),
    count: `select case when n < ${countedExactly} then n else greatest(n, (select reltuples::bigint from pg_class where oid = '${table}'::regclass)) end::float8 as n
from (select count(*) as n from (select from ${table} where _live limit ${countedExactly}) l) c`,
    any: `select exists (select from ${table} where _live) as any`,
  }
}
