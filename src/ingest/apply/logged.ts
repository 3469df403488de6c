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

export const imageName = (image: string, name: string): string => ident(`${image}_${name.slice(1, -1)}`)

/** What `stored` returns for the log: of both images whether they are live, and the columns that paths speak of. */
export const imagesOf = (paths: readonly LoggedPath[]): readonly string[] => {
  const watched = [...new Set(paths.flatMap((path) => [...path.values, ...path.watched]))].map((name) =>
    ident(columnName(name)),
  )
  return (['old', 'new'] as const).flatMap((image) => [
    `${image}._live as ${image}_live`,
    ...watched.map((name) => `${image}.${name} as ${imageName(image, name)}`),
  ])
}

/** Reads `stored` and the parameters $1 slot, $2 origin, $3 offsets; makes `logged (n)`. */
export const loggedSql = (entity: Entity, paths: readonly LoggedPath[]): string => {
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
