/** What an entity's table works out of a row: whether it counts, and its computed columns. */
import type { Column, Computed, Entity } from '../model.ts'
import { columnName, ident, valueSqlType } from '../names.ts'
import { isSourced } from '../sourced.ts'
import { ownScope } from './own-where.ts'
import { whereSql } from './where.ts'

/**
 * The expression of `_live`: not deleted, nothing that is promised still missing (a partial update, or a value the source never
 * sent), not waiting for the values that it had under another key (C15), and not counted as deleted by the entity's own rule.
 */
export const liveSql = (entity: Entity): string => {
  const conditions = ['not _deleted', '_awaits is null']
  for (const column of entity.columns) {
    // Nor what is made of them: no generated column may read another.
    if (column.nonNull && isSourced(column) && !entity.key.includes(column.name))
      conditions.push(`${ident(columnName(column.name))} is not null`)
  }
  if (entity.deleted) conditions.push(`(${whereSql(entity.deleted, ownScope(entity))}) is not true`)
  return conditions.join(' and ')
}

/** What generates a computed column. A tombstone has no value, and so can't fail for what its columns lack. */
export const computedSql = ({ type }: Pick<Column, 'type'>, { sql }: Computed): string =>
  `case when not _deleted then (${sql}\n)::${valueSqlType(type)} end`
