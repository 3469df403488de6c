/** Paths: field names joined by dots, resolved from an entity. */
import { type ConstValueNode, Kind, print } from 'graphql'
import type { Column, Entity, Join } from '../model.ts'
import { placeInText } from './fault.ts'
import { entityRow, follow, type Scope, unknownField } from './row.ts'

/**
 * `many`: index of the last to-many join, -1 when there is none. `counted`: the row at `joins[many]` (the start when -1).
 * Ends at a `column`, or at the row of `end`.
 */
export type Walk = {
  readonly joins: readonly Join[]
  readonly many: number
  readonly counted: Entity
  readonly end: Entity
  readonly column?: Column
}

/** The walk; undefined when the path has a fault, which is then reported. */
export const readPath = (scope: Scope, start: Entity, node: ConstValueNode): Walk | undefined => {
  if (node.kind !== Kind.STRING) return scope.report(node, `${print(node)} is no path`, 'Write `"join.field"`.')
  const joins: Join[] = []
  let many = -1
  let counted = start
  let end = start
  let offset = 0
  const names = node.value.split('.')
  for (const [index, name] of names.entries()) {
    const at = placeInText(node, offset)
    const row = entityRow(end)
    const join = row.joins.get(name)
    const column = row.columns.get(name)
    offset += name.length + 1
    if (join !== undefined) {
      const target = follow(scope, end, join, at)
      if (target === undefined) return undefined
      joins.push(join)
      end = target
      if (join.many) {
        many = index
        counted = target
      }
    } else if (column === undefined && /[^\w]/.test(name)) {
      return scope.report(
        at,
        `"${name}" is no field: a path can not compute`,
        `Declare a field of ${end.name} with @expr(sql: …), and end the path there.`,
      )
    } else if (column === undefined) {
      return unknownField(scope, row, name, at)
    } else if (index < names.length - 1) {
      return scope.report(at, `${end.name}.${name} is no join, so the path ends here`, 'Only @join fields lead on.')
    } else {
      return { joins, many, counted, end, column }
    }
  }
  return { joins, many, counted, end }
}

/** The walk that no path gives: the row itself. */
export const noWalk = (start: Entity): Walk => ({ joins: [], many: -1, counted: start, end: start })

export const joinNames = ({ joins }: Walk): readonly string[] => joins.map((join) => join.name)
