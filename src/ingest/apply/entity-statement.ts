/**
 * The one statement that writes entity rows (C7): every writer uses it, so every writer has the same guard, the same old images
 * and the same log entries.
 *
 * The version guard stands in ON CONFLICT's WHERE, which Postgres evaluates on the row it has locked, and old images come from
 * `RETURNING old`, the row version really replaced (C4).
 */

import type { Entity } from '../../model/model.ts'
import { columnName, entityTable, ident, quote } from '../../model/names.ts'
import { keyArray, shardOf } from '../../model/sql/key.ts'
import { columnOf } from '../../model/sql/row-scope.ts'
import { engineColumns, inputSql } from './input-rows.ts'

/** A path that begins at this entity, in a generation that is kept up. */
export type LoggedPath = {
  readonly generation: number
  readonly path: number
  readonly values: readonly string[]
  readonly watched: readonly string[]
}

/**
 * What the statement came to. `refreshed`: those of the applied that wrote a row anew from the record it came from. `moved`: refused,
 * since their key would change tenant. `restored`: see C14.
 */
export type Outcome = {
  readonly applied: number
  readonly refreshed: number
  readonly older: number
  readonly duplicate: number
  readonly logged: number
  readonly moved: readonly Refusal[]
  readonly restored: readonly Refusal[]
}
export type Refusal = { readonly partition: number; readonly offset: string }

/**
 * Parameters: $1 slot, $2 origin, $3 offsets, then the rows (`inputParameters`). One row: the `Outcome`.
 *
 * `refresh`, for replay: a change of equal version also writes, if it is the very record that the row stands on and comes to other
 * content by now. Any record of equal version would be too many: a row keeps its version when an incremental read renews it, and the
 * record that the version came from would bring old content back.
 */
export const entityStatement = (
  entity: Entity,
  paths: readonly LoggedPath[],
  { refresh = false }: { readonly refresh?: boolean } = {},
): string => {
  const table = entityTable(entity)
  const key = entity.key.map((name) => ident(columnName(name)))
  const payload = entity.columns
    .filter((column) => !entity.key.includes(column.name))
    .map((column) => ident(columnName(column.name)))
  const all = [...key, ...payload, ...engineColumns]
  const onKey = (left: string, right: string) => key.map((name) => `${left}.${name} = ${right}.${name}`).join(' and ')
  const tenant = entity.tenant.kind === 'COLUMN' ? ident(columnName(entity.tenant.column)) : undefined
  const sameTenant = tenant
    ? `(e._deleted or excluded._deleted or e.${tenant} is null or e.${tenant} = excluded.${tenant})`
    : 'true'
  const set: readonly (readonly [name: string, value: string])[] = [
    ...payload.map(
      (name) =>
        [
          name,
          `case when ${quote(unquoted(name))} = any(excluded._absent) then e.${name} else excluded.${name} end`,
        ] as const,
    ),
    ['_deleted', 'excluded._deleted'],
    ...['_epoch', '_version', '_tie'].map(
      (name) => [name, `case when excluded._version = -1 then e.${name} else excluded.${name} end`] as const,
    ),
    ...['_event_time', '_partition', '_offset'].map((name) => [name, `excluded.${name}`] as const),
    // A column that keeps its value keeps the source's own word for it.
    [
      '_raw',
      `case when excluded._absent is null or e._raw is null then excluded._raw else nullif((select coalesce(jsonb_object_agg(key, value), '{}') from jsonb_each(e._raw) where key = any(excluded._absent)) || coalesce(excluded._raw, '{}'), '{}') end`,
    ],
    [
      '_absent',
      `case when excluded._absent is null then null else nullif(array(select a from unnest(excluded._absent) a where e._deleted or a = any(e._absent)), '{}') end`,
    ],
  ]
  const newer = `case when excluded._version = -1 then e._partition = excluded._partition and e._offset < excluded._offset
    else (e._epoch, e._version, e._tie) < (excluded._epoch, excluded._version, excluded._tie) end`
  const guards = [
    // A row that began with an incremental read has no version yet: what stands before that read in the log is older all the same.
    refresh
      ? `${newer} and not (e._version = -1 and e._partition = excluded._partition and e._offset > excluded._offset)`
      : newer,
    ...(refresh
      ? [
          `(e._partition, e._offset) = (excluded._partition, excluded._offset) and (excluded._version = -1 or (e._epoch, e._version, e._tie) = (excluded._epoch, excluded._version, excluded._tie))
    and (${set.map(([name, value]) => `e.${name} is distinct from ${value}`).join(' or ')})`,
        ]
      : []),
  ]

  const watched = [...new Set(paths.flatMap((path) => [...path.values, ...path.watched]))].map((name) =>
    ident(columnName(name)),
  )
  const image = (prefix: 'old' | 'new') => [
    `${prefix}._live as ${prefix}_live`,
    ...watched.map((name) => `${prefix}.${name} as ${imageName(prefix, name)}`),
  ]
  return `with input as materialized (${inputSql(entity, 4)}),
stored as (
  insert into ${table} as e (${all.join(', ')}) select ${all.map((name) => `i.${name}`).join(', ')} from input i order by ${key.map((name) => `i.${name}`).join(', ')}
  on conflict (${key.join(', ')}) do update set
    ${set.map(([name, value]) => `${name} = ${value}`).join(',\n    ')}
  where (${guards.join(' or ')}) and ${sameTenant}
  returning ${[...key.map((name) => `new.${name} as ${imageName('key', name)}`), '(old._partition, old._offset) = (new._partition, new._offset) as refreshed', ...image('old'), ...image('new')].join(', ')}),
${loggedSql(entity, paths)}
rejected as (
  select i._partition as partition, i._offset as "offset", i._ordered and e._version <> -1 and e._epoch = i._epoch and e._version > i._version and e._event_time < i._event_time as restored,
    (e._epoch, e._version, e._tie) = (i._epoch, i._version, i._tie) as duplicate,
    ${tenant ? `(e._epoch, e._version, e._tie) < (i._epoch, i._version, i._tie) and not (e._deleted or i._deleted) and e.${tenant} <> i.${tenant}` : 'false'} as moved
  from (select * from input i where not exists (select from stored s where ${key.map((name) => `s.${imageName('key', name)} = i.${name}`).join(' and ')})) i
  left join lateral (select e.* from ${table} e where ${onKey('e', 'i')} offset 0) e on true)
select (select count(*)::int from stored) as applied,
  (select count(*)::int from stored where refreshed) as refreshed,
  (select count(*)::int from rejected where duplicate) as duplicate,
  (select count(*)::int from rejected where duplicate is not true and moved is not true) as older,
  (select coalesce(sum(n), 0)::int from logged) as logged,
  (select coalesce(json_agg(json_build_object('partition', partition, 'offset', "offset"::text)), '[]') from rejected where moved) as moved,
  (select coalesce(json_agg(json_build_object('partition', partition, 'offset', "offset"::text)), '[]') from rejected where restored) as restored`
}

const unquoted = (name: string): string => name.slice(1, -1)
const imageName = (image: string, name: string): string => ident(`${image}_${unquoted(name)}`)

/**
 * The dirty log: raw join values of old and new images (C1), one entry per generation, path and shard. A row logs nothing for a
 * path whose fields it didn't change.
 */
const loggedSql = (entity: Entity, paths: readonly LoggedPath[]): string => {
  // Without paths the log's parameters still have to be named, or Postgres can't tell their types.
  if (paths.length === 0)
    return 'logged as (select 0 as n from (values ($1::smallint, $2::timestamptz, $3::text)) unused),'
  const marks = paths.flatMap((path) => {
    const watched = path.watched.map((name) => ident(columnName(name)))
    const changed = `(old_live is distinct from new_live or (${watched.map((name) => imageName('old', name)).join(', ')}) is distinct from (${watched.map((name) => imageName('new', name)).join(', ')}))`
    return (['old', 'new'] as const).map((image) => {
      const values = path.values.map((name) => ({
        sql: imageName(image, ident(columnName(name))),
        type: columnOf(entity, name).type,
      }))
      const present = values.map(({ sql }) => `${sql} is not null`).join(' and ')
      return `select ${path.generation} as generation, ${path.path} as path, ${keyArray(values)} as k from stored where ${image}_live and ${changed} and ${present}`
    })
  })
  return `logged as (
  insert into forebay.dirty (slot, generation, path, shard, keys, n, origin, offsets)
  select $1::smallint, generation, path, shard, jsonb_agg(k), count(*), $2::timestamptz, $3::text::jsonb
  from (select generation, path, k, ${shardOf('k')} as shard from (${marks.join('\n    union ')}) m) d
  group by generation, path, shard returning n),`
}
