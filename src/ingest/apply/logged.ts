/**
 * What a statement that writes entity rows adds to the dirty log: raw join values of old and new images (C1), one entry per
 * generation, path and shard. A row logs nothing for a path whose fields it didn't change.
 */
import type { Entity } from '../../model/model.ts'
import { columnName, ident } from '../../model/names.ts'
import { keyArray, shardOf } from '../../model/sql/key.ts'
import { columnOf } from '../../model/sql/row-scope.ts'

/** A path that begins at this entity, in a generation that is kept up. */
export type LoggedPath = {
  readonly generation: number
  readonly path: number
  readonly values: readonly string[]
  readonly watched: readonly string[]
}

/**
 * What `stored` returns for the log: of each path the raw key of the old image and that of the new one, where it has to be logged. It is
 * built while both images are at hand, so that no image has to be kept until it is compared.
 */
export const loggedKeys = (entity: Entity, paths: readonly LoggedPath[]): readonly string[] =>
  paths.flatMap(({ values, watched }, n) => {
    const columns = (image: string, names: readonly string[]) =>
      names.map((name) => `${image}.${ident(columnName(name))}`)
    const row = (image: string, names: readonly string[]) => `(${columns(image, names).join(', ')})`
    const changed = `(old._live is distinct from new._live or ${row('old', watched)} is distinct from ${row('new', watched)})`
    const key = (image: string) =>
      keyArray(columns(image, values).map((sql, i) => ({ sql, type: columnOf(entity, values[i]!).type })))
    const present = (image: string) => columns(image, values).map((sql) => `${sql} is not null`)
    const moved = `(old._live is not true or ${row('old', values)} is distinct from ${row('new', values)})`
    return [
      `case when ${['old._live', changed, ...present('old')].join(' and ')} then ${key('old')}::text end as ${loggedKey('old', n)}`,
      `case when ${['new._live', changed, moved, ...present('new')].join(' and ')} then ${key('new')}::text end as ${loggedKey('new', n)}`,
    ]
  })

const loggedKey = (image: 'old' | 'new', path: number): string => `${image}_key_${path}`

/** Reads `stored` and the parameters $1 slot, $2 origin, $3 offsets; makes `logged (n)`. */
export const loggedSql = (paths: readonly LoggedPath[]): string => {
  // Without paths the log's parameters still have to be named, or Postgres can't tell their types.
  if (paths.length === 0)
    return 'logged as (select 0 as n from (values ($1::smallint, $2::timestamptz, $3::text)) unused),'
  const marks = paths.flatMap(({ generation, path }, n) =>
    (['old', 'new'] as const).map((image) => {
      const k = loggedKey(image, n)
      return `select ${generation} as generation, ${path} as path, ${k} as k from stored where ${k} is not null`
    }),
  )
  return `logged as (
  insert into forebay.dirty (slot, generation, path, shard, keys, n, origin, offsets)
  select $1::smallint, generation, path, shard, ('[' || string_agg(k, ',') || ']')::jsonb, count(*), $2::timestamptz, $3::text::jsonb
  from (select generation, path, k, ${shardOf('k')} as shard from (${marks.join('\n    union ')}) m) d
  group by generation, path, shard returning n),`
}
