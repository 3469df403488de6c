/**
 * The statements that write entity rows (C7): every writer uses them, so every writer has the same guard, the same old images and the
 * same log entries.
 *
 * The version guard stands in ON CONFLICT's WHERE, which Postgres evaluates on the row it has locked, and old images come from
 * `RETURNING old`, the row version really replaced (C4).
 */

import type { Entity } from '../../model/model.ts'
import { columnName, columnSqlType, entityTable, ident, quote } from '../../model/names.ts'
import { sourcedColumns } from '../../model/sourced.ts'
import { clockMerge } from './clock-merge.ts'
import { engineColumns, inputSql } from './input-rows.ts'
import { type LoggedPath, loggedKeys, loggedSql } from './logged.ts'
import { type Merge, versionMerge } from './version-merge.ts'

/**
 * What the statement came to. `refreshed`: those of the applied that wrote a row anew from the record it came from. `moved`: refused,
 * since their key would change tenant. `olderFields`: of the applied, those that only some fields of were. `restored`: see C14. `kept`: ids of
 * key changes whose old image was kept (C15).
 */
export type Outcome = {
  readonly applied: number
  readonly refreshed: number
  readonly older: number
  readonly olderFields: number
  readonly duplicate: number
  readonly logged: number
  readonly moved: readonly Refusal[]
  readonly restored: readonly Refusal[]
  readonly kept: readonly string[]
}
export type Refusal = { readonly partition: number; readonly offset: string }

const imageName = (image: string, name: string): string => ident(`${image}_${name.slice(1, -1)}`)

const columnsOf = (entity: Entity) => {
  const key = entity.key.map((name) => ident(columnName(name)))
  const columns = sourcedColumns(entity)
  const payload = columns
    .filter((column) => !entity.key.includes(column.name))
    .map((column) => ident(columnName(column.name)))
  const json = new Set(columns.filter((c) => columnSqlType(c) === 'jsonb').map((c) => ident(columnName(c.name))))
  /** JSON columns travel as text, so that their numbers keep every digit. */
  const typed = columns.map((c) => ({
    name: ident(columnName(c.name)),
    sql: `${ident(columnName(c.name))} ${columnSqlType(c) === 'jsonb' ? 'text' : columnSqlType(c)}`,
  }))
  const cast = (from: string, name: string) => (json.has(name) ? `${from}.${name}::jsonb` : `${from}.${name}`)
  const onKey = (left: string, right: string) => key.map((name) => `${left}.${name} = ${right}.${name}`).join(' and ')
  return { key, payload, json, typed, cast, onKey }
}

/**
 * Parameters: $1 slot, $2 origin, $3 offsets, then the rows (`inputParameters`). One row: the `Outcome`.
 *
 * `keeps`: of rows whose key the source changed, the old image is kept for the row under the new key (C15).
 *
 * `refresh`, for replay: a change of equal version also writes, if it is the very record that the row stands on and comes to other
 * content by now. Any record of equal version would be too many: a row keeps its version when an incremental read renews it, and the
 * record that the version came from would bring old content back.
 */
export const entityStatement = (
  entity: Entity,
  paths: readonly LoggedPath[],
  { refresh = false, keeps = false }: { readonly refresh?: boolean; readonly keeps?: boolean } = {},
): string => {
  const table = entityTable(entity)
  const { key, payload, json, onKey } = columnsOf(entity)
  const all = [...key, ...payload, ...engineColumns(entity)]
  const clocked = entity.conflict === 'FIELD_CLOCK'
  const merge = clocked ? clockMerge(payload) : versionMerge(payload)
  const sameTenant = sameTenantSql(entity)
  // With clocks what a row lacks has none, but for what it waits for.
  const first = (name: string) =>
    clocked && name === '_absent' ? 'case when i._awaits is not null then i._absent end' : `i.${name}`
  const returned = [
    ...key.map((name) => `new.${name} as ${imageName('key', name)}`),
    '(old._partition, old._offset) = (new._partition, new._offset) as refreshed',
    ...loggedKeys(entity, paths),
    ...[...(keeps ? [...payload, '"_deleted"', '"_absent"', '"_awaits"'] : []), ...(clocked ? ['"_clocks"'] : [])].map(
      (name) => `old.${name} as ${imageName('was', name)}`,
    ),
  ]
  return `with input as materialized (${inputSql(entity, 4, keeps)}),
stored as (
  insert into ${table} as e (${all.join(', ')}, _deleted_at)
  select ${all.map(first).join(', ')}, case when i._deleted then now() end from input i order by ${key.map((name) => `i.${name}`).join(', ')}
  on conflict (${key.join(', ')}) do update set
    ${merge.set.map(([name, value]) => `${name} = ${value}`).join(',\n    ')}
  where (${(refresh ? refreshGuards(merge) : [merge.newer]).join(' or ')}) and ${sameTenant}
  returning ${returned.join(', ')}),
${loggedSql(paths)}
${keeps ? keptSql(entity, payload, json) : ''}${clocked ? overtakenSql(entity) : ''}
rejected as (
  select i._partition as partition, i._offset as "offset", i._ordered and e._version <> -1 and e._epoch = i._epoch and e._version > i._version and e._event_time < i._event_time as restored,
    (e._epoch, e._version, e._tie) = (i._epoch, i._version, i._tie) as duplicate,
    ${asInput(merge.newer)} and not ${asInput(sameTenant)} as moved
  from (select * from input i where not exists (select from stored s where ${onStored(entity)})) i
  left join lateral (select e.* from ${table} e where ${onKey('e', 'i')} offset 0) e on true)
select (select count(*)::int from stored) as applied,
  (select count(*)::int from stored where refreshed) as refreshed,
  (select count(*)::int from rejected where duplicate) as duplicate,
  (select count(*)::int from rejected where duplicate is not true and moved is not true) as older,
  ${clocked ? '(select count(*)::int from overtaken)' : '0'} as "olderFields",
  (select coalesce(sum(n), 0)::int from logged) as logged,
  (select coalesce(json_agg(json_build_object('partition', partition, 'offset', "offset"::text)), '[]') from rejected where moved) as moved,
  (select coalesce(json_agg(json_build_object('partition', partition, 'offset', "offset"::text)), '[]') from rejected where restored) as restored,
  ${keeps ? `(select coalesce(json_agg(id), '[]') from kept)` : `'[]'::json`} as kept`
}

/** Whether a row stays with its tenant. A change that doesn't carry the tenant leaves it alone. */
const sameTenantSql = (entity: Entity): string => {
  if (entity.tenant.kind !== 'COLUMN') return 'true'
  const name = columnName(entity.tenant.column)
  const tenant = ident(name)
  const kept =
    entity.conflict === 'FIELD_CLOCK'
      ? `excluded._clocks->${quote(name)} is null`
      : `${quote(name)} = any(coalesce(excluded._absent, '{}'))`
  return `(e._deleted or excluded._deleted or e.${tenant} is null or ${kept} or e.${tenant} is not distinct from excluded.${tenant})`
}

/** The same condition of a row of `input`. */
const asInput = (condition: string): string => condition.replaceAll('excluded.', 'i.')

/** With field clocks: changes that were stored, but for fields that something later had written or deleted. */
const overtakenSql = (entity: Entity): string => `overtaken as (
  select from stored s join input i on ${onStored(entity)}
  where not i._deleted and exists (select from jsonb_each(i._clocks) c
    where c.key not in ('+', '-', '?') and (c.value < s.was__clocks->c.key or c.value <= s.was__clocks->'-'))),
`

const onStored = (entity: Entity): string =>
  entity.key
    .map((name) => ident(columnName(name)))
    .map((name) => `s.${imageName('key', name)} = i.${name}`)
    .join(' and ')

const refreshGuards = ({ newer, same, set }: Merge): readonly string[] => [
  // A row that began with an incremental read has no version yet: what stands before that read in the log is older all the same.
  `${newer} and not (e._version = -1 and e._partition = excluded._partition and e._offset > excluded._offset)`,
  `${same}
    and (${set.map(([name, value]) => `e.${name} is distinct from ${value}`).join(' or ')})`,
]

/** C15: what the row held under its old key, and which columns of it were themselves not known. */
const keptSql = (entity: Entity, payload: readonly string[], json: ReadonlySet<string>): string => {
  const was = (name: string) => `s.${imageName('was', name)}`
  const values = payload.map((name) => `${was(name)}${json.has(name) ? '::text' : ''} as ${name}`)
  const columns = `array[${payload.map((name) => quote(name.slice(1, -1))).join(', ')}]::text[]`
  const lacked =
    entity.conflict === 'FIELD_CLOCK'
      ? `array(select c from unnest(${columns}) c where ${was('"_clocks"')}->c is null)`
      : `coalesce(${was('"_absent"')}, '{}')`
  return `kept as (
  insert into forebay.key_changes as k (entity, id, image, missing, awaits)
  select ${quote(entity.name)}, i._leaves, (select to_jsonb(p) from (select ${values.join(', ') || '1 as "_"'}) p),
    case when ${was('"_deleted"')} is not false then ${columns} else ${lacked} end, ${was('"_awaits"')}
  from stored s join input i on ${onStored(entity)} where i._leaves is not null order by i._leaves
  on conflict (entity, id) do update set image = excluded.image, missing = excluded.missing, awaits = excluded.awaits where k.image is null
  returning id),`
}

/**
 * Gives rows that wait for what they had under another key those values (C15). Parameters: $1 to $3 as above, $4 ids of key changes as
 * an array. One row: `{ applied, logged }`.
 */
export const fillStatement = (entity: Entity, paths: readonly LoggedPath[]): string => {
  const table = entityTable(entity)
  const { key, payload, typed, cast, onKey } = columnsOf(entity)
  const isKey = new Set(key)
  const record = (wanted: boolean) => typed.filter(({ name }) => isKey.has(name) === wanted).map(({ sql }) => sql)
  const values = record(false)
  const sets = payload.map(
    (name) =>
      `${name} = case when ${quote(name.slice(1, -1))} = any(e._absent) then ${cast('i', name)} else e.${name} end`,
  )
  const clocks =
    entity.conflict === 'FIELD_CLOCK'
      ? [`_clocks = e._clocks || (select coalesce(jsonb_object_agg(a, e._clocks->'?'), '{}') from unnest(e._absent) a)`]
      : []
  return `with input as materialized (
  select k.id as _change, n.*${values.length ? ', v.*' : ''} from forebay.key_changes k
  cross join lateral jsonb_to_record(k.new_key) as n(${record(true).join(', ')})
  ${values.length ? `cross join lateral jsonb_to_record(k.image) as v(${values.join(', ')})` : ''}
  where k.entity = ${quote(entity.name)} and k.id = any($4::text[]) and k.missing = '{}'),
stored as (
  update ${table} e set ${[...sets, ...clocks, '_absent = null', '_awaits = null'].join(', ')}
  from input i where ${onKey('e', 'i')} and e._awaits = i._change and not e._deleted
  returning ${[...key.map((name) => `new.${name} as ${imageName('key', name)}`), ...loggedKeys(entity, paths)].join(', ')}),
${loggedSql(paths)}
done as (select 1)
select (select count(*)::int from stored) as applied, (select coalesce(sum(n), 0)::int from logged) as logged`
}

/**
 * C18: takes away tombstones that were stored longer ago than $1 (an interval), at most $2 of them, and says per partition up to where
 * the log must not be read again.
 */
export const collectStatement = (entity: Entity): string => {
  const table = entityTable(entity)
  const { key, onKey } = columnsOf(entity)
  return `with old as materialized (
  select ${key.join(', ')} from ${table} where _deleted and _deleted_at < now() - $1::text::interval order by _deleted_at limit $2::int for update skip locked),
gone as (delete from ${table} e using old o where ${onKey('e', 'o')} and e._deleted returning e._partition as partition, e._offset as "offset"),
floors as (select partition, max("offset") + 1 as below from gone group by partition),
moved as (
  update forebay.positions p set collected_below = greatest(p.collected_below, f.below)
  from floors f where p.topic = ${quote(entity.source.topic)} and p.partition = f.partition returning 1)
select (select count(*)::int from gone) as collected, (select count(*)::int from moved) as partitions`
}
