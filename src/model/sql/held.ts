/**
 * Which rows of a view depend on records that are held in quarantine (C19): those whose definition reads the held key's row as it is
 * stored, or would read it as the record says, as far as the record could be read.
 *
 * Where the columns that lead from the row to rows of the view could not be read, the record may have led it to any of them, so every
 * row depends on it. So it is in a grouped view, whose groups may be any.
 */
import { arrayKey, keyColumns } from '../array-key.ts'
import type { Entity, Model, View } from '../model.ts'
import { columnName, columnSqlType, entityTable, ident, quote } from '../names.ts'
import type { DirtyPath } from './dirty-path.ts'
import { keyArray } from './key.ts'
import { columnOf, entityOf } from './row-scope.ts'

/** Marks rows in forebay.degraded: `$1` the generation, `$2` ids of quarantine; null: all that is held of `entity`. */
export type HeldPath = { readonly entity: string; readonly mark: string }

/** More rows than this are as good as all. */
const mostRows = 10_000

export const heldPaths = (model: Model, view: View, reach: readonly DirtyPath[]): readonly HeldPath[] =>
  reach.map((path, number) => {
    const entity = entityOf(model, path.entity)
    const siblings = [...model.entities.values()].filter(({ source }) => source.topic === entity.source.topic)
    const told = entity.source.each ? arrayKey(entity, siblings).parents : keyColumns(entity)
    const key = told.map(({ name }) => name)
    return { entity: path.entity, mark: view.groupBy ? everySql(entity) : rowsSql(entity, key, path, number === 0) }
  })

const heldSql = (entity: Entity): string => `held as materialized (
  select q.id, q.told from forebay.quarantine q
  where q.entity = ${quote(entity.name)} and q.entity_key is not null and q.state in ('PARKED', 'WAITING')
    and ($2::bigint[] is null or q.id = any($2::bigint[]))
    and not exists (select from forebay.degraded d where d.quarantine = q.id and d.generation = $1::int and d.key is null and d.settled_at is null))`

const insertSql = `insert into forebay.degraded (quarantine, generation, key)
select m.id, $1::int, m.k from marks m
where not exists (select from forebay.degraded d where d.quarantine = m.id and d.generation = $1::int and d.key is not distinct from m.k and d.settled_at is null)`

const everySql = (entity: Entity): string =>
  `with ${heldSql(entity)}, marks as (select id, null::text as k from held)\n${insertSql}`

/** `key`: the columns that are always told. `own`: the view has a row for each row of the entity. */
const rowsSql = (entity: Entity, key: readonly string[], { values, expand }: DirtyPath, own: boolean): string => {
  const column = (name: string) => `e.${ident(columnName(name))}`
  const told = (from: string, name: string) => `(${from}->>${quote(name)})::${columnSqlType(columnOf(entity, name))}`
  const array = (of: (name: string) => string) =>
    keyArray(values.map((name) => ({ sql: of(name), type: columnOf(entity, name).type })))
  // A row that isn't there yet can't be shown as degraded, and no other row of the view reads it.
  const free = own ? [] : values.filter((name) => !key.includes(name))
  const unread = free.map((name) => `not (told->'row' ? ${quote(name)} or told->'absent' ? ${quote(name)})`)
  const every = unread.length
    ? `told is null or not (told->>'gone')::boolean and (${unread.join(' or ')})`
    : 'told is null'
  const image = `((h.told->'row') || (h.told->'key'))`
  // As the dirty log would have them followed, each record's by itself.
  const follow = expand
    ? `select x.k from (${expand.replaceAll('$1::text::jsonb', 'jsonb_build_array(f.v)')}) x limit ${mostRows + 1}`
    : 'select f.v::text as k'
  return `with ${heldSql(entity)},
found as (
  select h.id, ${array(column)} as v
  from held h join ${entityTable(entity)} e on ${key.map((name) => `${column(name)} = ${told(`h.told->'key'`, name)}`).join(' and ')}
  union
  select h.id, ${array((name) => told(image, name))} as v
  from held h where ${values.map((name) => `${image} ? ${quote(name)}`).join(' and ')}),
rows as (select distinct f.id, r.k from found f cross join lateral (${follow}) r),
counted as (select id, k, count(*) over (partition by id) as n from rows),
marks as (
  select id, null::text as k from held where ${every}
  union select id, case when n <= ${mostRows} then k end from counted where id not in (select id from held where ${every}))
${insertSql}`
}
