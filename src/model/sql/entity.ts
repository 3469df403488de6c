/** What an entity's table needs beyond its columns: when a row is live, and the indexes that the views' joins use. */
import { createHash } from 'node:crypto'
import type { Entity, Model } from '../model.ts'
import { columnName, ident, snakeCase } from '../names.ts'
import { compileView } from './compile-view.ts'
import { columnOf, entityOf, isKey } from './row-scope.ts'
import { whereSql } from './where.ts'

/**
 * The expression of `_live`: not deleted, nothing that is promised still missing (a partial update, or a value the source never
 * sent), not waiting for the values that it had under another key (C15), and not counted as deleted by the entity's own rule.
 */
export const liveSql = (entity: Entity): string => {
  const conditions = ['not _deleted', '_awaits is null']
  for (const column of entity.columns) {
    if (column.nonNull && !entity.key.includes(column.name))
      conditions.push(`${ident(columnName(column.name))} is not null`)
  }
  if (entity.deleted) {
    const scope = {
      column: (field: string) => {
        const column = columnOf(entity, field)
        return { sql: ident(columnName(field)), type: column.type, list: column.list }
      },
      toOne: (join: string) => {
        throw new Error(`${entity.name}: deleted can not follow the join ${join}`)
      },
      exists: () => 'true',
    }
    conditions.push(`(${whereSql(entity.deleted, scope)}) is not true`)
  }
  return conditions.join(' and ')
}

export type EntityIndex = { readonly name: string; readonly columns: readonly string[]; readonly where?: string }

/**
 * Btree indexes: over live rows for every join that a view walks, both ways, where the key doesn't serve, and lists with their order;
 * over tombstones by age.
 */
export const entityIndexes = (model: Model, entity: Entity): readonly EntityIndex[] => {
  const wanted = new Map<string, readonly string[]>([['', entity.key]])
  const want = (fields: readonly string[]) => wanted.set(fields.join(), fields)
  for (const view of model.views.values()) {
    const root = entityOf(model, view.of)
    for (const { entity: reached, steps, orders } of compileView(model, view).dependencies.values()) {
      const last = steps.at(-1)
      if (!last) continue
      const parent = steps.length > 1 ? steps.at(-2)!.target : root.name
      if (parent === entity.name) want(last.from)
      if (reached.name !== entity.name || isKey(entity, last.to)) continue
      want(last.to)
      for (const order of orders) want([...last.to, ...order.split(',')])
    }
  }
  const all = [...wanted.values()]
  const isPrefix = (columns: readonly string[], other: readonly string[]) =>
    other !== columns && columns.length <= other.length && columns.every((column, i) => other[i] === column)
  return all
    .filter(
      (columns) => columns !== entity.key && !isKey(entity, columns) && !all.some((other) => isPrefix(columns, other)),
    )
    .map((fields) => fields.map(columnName))
    .map((columns): EntityIndex => ({ name: indexName(entity, columns), columns, where: '_live' }))
    .concat({ name: indexName(entity, ['tombstones']), columns: ['_deleted_at'], where: '_deleted' })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

const indexName = (entity: Entity, columns: readonly string[]): string => {
  const name = `${snakeCase(entity.name)}_${columns.join('_')}_idx`
  return name.length <= 63
    ? name
    : `${name.slice(0, 50)}_${createHash('sha256').update(name).digest('hex').slice(0, 8)}`
}
