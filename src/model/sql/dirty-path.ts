/**
 * From a changed row to the view keys that it can reach.
 *
 * What is logged are raw join values, the changed row's own: the columns by which its parent finds it. They are resolved to view
 * keys later, in a snapshot that includes the change and everything committed before it (C1). Tenancy is left out on the way up:
 * one key too many is harmless.
 */

import type { Entity, Join } from '../model.ts'
import { columnName, entityTable, ident } from '../names.ts'
import { keyArray, keyRows, keyValue, lookup } from './key.ts'
import { columnOf, type Dependencies, type Dependency, pathId } from './row-scope.ts'

export type DirtyPath = {
  readonly entity: string
  /** Columns of the changed row whose old and new values are logged. */
  readonly values: readonly string[]
  /** Fields of the entity that matter here; a change of none of them is not logged. */
  readonly watched: readonly string[]
  /** SQL from the logged values (`$1`, JSON text of an array of arrays) to rows of distinct root keys, see `keyRows`; absent: they are root keys. */
  readonly expand?: string
}

/** The root's own path comes first. */
export const dirtyPaths = (root: Entity, dependencies: Dependencies): DirtyPath[] =>
  [...dependencies.values()]
    .sort((a, b) => a.steps.length - b.steps.length)
    .map(({ entity, steps, columns }): DirtyPath => {
      const watched = [...new Set([...columns, ...entity.key])].sort()
      const last = steps.at(-1)
      if (!last) return { entity: entity.name, values: root.key, watched }
      const direct = steps.length === 1 ? asRootKey(root, last) : undefined
      if (direct) return { entity: entity.name, values: direct, watched }
      return { entity: entity.name, values: last.to, watched, expand: expandSql(root, steps, dependencies) }
    })

/** The joined row's columns that are, in order, the root's key. */
const asRootKey = (root: Entity, join: Join): readonly string[] | undefined => {
  if (join.from.length !== root.key.length) return undefined
  const columns = root.key.map((key) => join.to[join.from.indexOf(key)])
  return columns.every((column) => column !== undefined) ? columns : undefined
}

const expandSql = (root: Entity, steps: readonly Join[], dependencies: Dependencies): string => {
  const entityAt = (depth: number): Entity =>
    depth === 0 ? root : (dependencies.get(pathId(steps.slice(0, depth))) as Dependency).entity
  const last = steps.at(-1)!
  const changed = entityAt(steps.length)
  const values = last.to.map((name, i) => `${keyValue('v.value', i, columnOf(changed, name))} as c${i}`)
  const from = [`(select ${values.join(', ')} from jsonb_array_elements($1::text::jsonb) v) x`]
  let below = last.to.map((_, i) => `x.c${i}`)
  for (let depth = steps.length - 1; depth >= 0; depth--) {
    const alias = `p${depth}`
    const column = (name: string) => `${alias}.${ident(columnName(name))}`
    const match = steps[depth]!.from.map((name, i) => `${column(name)} = ${below[i]}`)
    from.push(lookup(entityTable(entityAt(depth)), alias, [...match, `${alias}._live`]))
    below = depth > 0 ? steps[depth - 1]!.to.map(column) : []
  }
  return keyRows(rootKey(root, 'p0'), from.join(' '))
}

/** The key of the row `alias` as the dirty log has it. */
export const rootKey = (root: Entity, alias: string): string =>
  keyArray(root.key.map((name) => ({ sql: `${alias}.${ident(columnName(name))}`, type: columnOf(root, name).type })))
