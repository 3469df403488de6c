/** The key of rows that are the elements of an array in a record. */
import type { Column, Entity } from './model.ts'

/**
 * `parents`: the columns of the array's owner, which are those that the key shares with another entity of the topic, else all but the last.
 * `own`: the element's.
 */
export const arrayKey = (
  entity: Entity,
  siblings: readonly Entity[],
): { readonly parents: readonly Column[]; readonly own: readonly Column[] } => {
  const keys = keyColumns(entity)
  const owner = siblings.find((sibling) => sibling !== entity && !sibling.source.each)
  const ownerPaths = new Set(owner && keyColumns(owner).map(({ path }) => path.join('\0')))
  const parents = owner ? keys.filter(({ path }) => ownerPaths.has(path.join('\0'))) : keys.slice(0, -1)
  return { parents, own: keys.filter((column) => !parents.includes(column)) }
}

export const keyColumns = (entity: Entity): readonly Column[] =>
  entity.key.map((name) => entity.columns.find((column) => column.name === name)!)
