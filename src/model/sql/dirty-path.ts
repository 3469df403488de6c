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
  inOrder(dependencies).map(({ entity, steps, columns }): DirtyPath => {
    const watched = [...new Set([...columns, ...entity.key])].sort()
    if (steps.length === 0) return { entity: entity.name, values: root.key, watched }
    return { entity: entity.name, watched, ...pathFrom(root, entity, steps, dependencies) }
  })

export const inOrder = (dependencies: Dependencies): readonly Dependency[] =>
  [...dependencies.values()].sort((a, b) => a.steps.length - b.steps.length)

/** From rows of `entity` at the end of `steps` up to the root. */
export const pathFrom = (
  root: Entity,
  entity: Entity,
  steps: readonly Join[],
  dependencies: Dependencies,
): Pick<DirtyPath, 'values' | 'expand'> => {
  const last = steps.at(-1)!
  const direct = steps.length === 1 ? asRootKey(root, last) : undefined
  return direct ? { values: direct } : { values: last.to, expand: expandSql(root, entity, steps, dependencies) }
}

/** The joined row's columns that are, in order, the root's key. */
const asRootKey = (root: Entity, join: Join): readonly string[] | undefined => {
  if (join.from.length !== root.key.length) return undefined
  const columns = root.key.map((key) => join.to[join.from.indexOf(key)])
  return columns.every((column) => column !== undefined) ? columns : undefined
}

/** The entity that a row has so many steps below the root; 0: the root. */
export const alongSteps =
  (root: Entity, steps: readonly Join[], dependencies: Dependencies) =>
  (depth: number): Entity =>
    depth === 0 ? root : (dependencies.get(pathId(steps.slice(0, depth))) as Dependency).entity

/** `byKey`: the values are the changed rows' own keys, not what they are joined by. */
export const expandSql = (
  root: Entity,
  changed: Entity,
  steps: readonly Join[],
  dependencies: Dependencies,
  byKey = false,
): string => {
  const entityAt = alongSteps(root, steps, dependencies)
  const last = steps.at(-1)!
  const given = byKey ? changed.key : last.to
  const values = given.map((name, i) => `${keyValue('v.value', i, columnOf(changed, name))} as c${i}`)
  let from = `(select ${values.join(', ')} from jsonb_array_elements($1::text::jsonb) v) x`
  const column = (alias: string, name: string) => `${alias}.${ident(columnName(name))}`
  /** The rows of `entity` that the values so far lead to, each of the values they lead on to once. */
  const climb = (entity: Entity, alias: string, by: readonly string[], to: readonly string[]): void => {
    const match = [...by.map((name, i) => `${column(alias, name)} = x.c${i}`), `${alias}._live`]
    const next = to.map((name, i) => `${column(alias, name)} as c${i}`)
    from = `(select distinct ${next.join(', ')} from ${from} ${lookup(entityTable(entity), alias, match)}) x`
  }
  if (byKey) climb(changed, 'e', given, last.to)
  for (let depth = steps.length - 1; depth > 0; depth--)
    climb(entityAt(depth), `p${depth}`, steps[depth]!.from, steps[depth - 1]!.to)
  const match = steps[0]!.from.map((name, i) => `${column('p0', name)} = x.c${i}`)
  return keyRows(rootKey(root, 'p0'), `${from} ${lookup(entityTable(root), 'p0', [...match, 'p0._live'])}`)
}

/** The key of the row `alias` as the dirty log has it. */
export const rootKey = (root: Entity, alias: string): string =>
  keyArray(root.key.map((name) => ({ sql: `${alias}.${ident(columnName(name))}`, type: columnOf(root, name).type })))
