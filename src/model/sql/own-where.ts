/** Conditions over a table's bare columns: what a generated column or an index can be made of. */

import type { Where } from '../condition.ts'
import type { Entity } from '../model.ts'
import { columnName, ident } from '../names.ts'
import { columnOf } from './row-scope.ts'
import { type WhereScope, whereSql } from './where.ts'

/** The part of a condition that speaks of the row's own columns alone. */
export const ownWhereSql = (entity: Entity, where: Where | undefined): readonly string[] => {
  if (where === undefined) return []
  if (where.kind === 'and') return where.items.flatMap((item) => ownWhereSql(entity, item))
  return isOwn(where) ? [whereSql(where, ownScope(entity))] : []
}

const isOwn = (where: Where): boolean => {
  switch (where.kind) {
    case 'and':
    case 'or':
      return where.items.every(isOwn)
    case 'not':
      return isOwn(where.item)
    case 'join':
    case 'exists':
      return false
    case 'compare':
      return true
  }
}

export const ownScope = (entity: Entity): WhereScope => ({
  column: (field) => {
    const column = columnOf(entity, field)
    return { sql: ident(columnName(field)), type: column.type, list: column.list }
  },
  toOne: (join) => {
    throw new Error(`${entity.name}: the join ${join} leads away from the row's own columns`)
  },
  exists: () => 'true',
})
