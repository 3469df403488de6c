/** What a path, a condition or an order may speak of, seen from one row: its scalar fields and its joins. */
import type { ConstValueNode } from 'graphql'
import type { Column, Entity, EnumType, Join, Place, ValueType } from '../model.ts'
import { instead, type Report } from './fault.ts'

/** What every reader of the declaration needs. */
export type Scope = {
  readonly report: Report
  readonly enums: ReadonlyMap<string, EnumType>
  readonly entities: ReadonlyMap<string, Entity>
  /** Fields that were declared but could not be read: already reported, so never called unknown. `Type.field`. */
  readonly faulty: Set<string>
}

export type Row = {
  readonly name: string
  readonly columns: ReadonlyMap<string, { readonly type: ValueType; readonly list: boolean }>
  readonly joins: ReadonlyMap<string, Join>
}

export type EntityRow = Pick<Row, 'name' | 'joins'> & { readonly columns: ReadonlyMap<string, Column> }

const rows = new WeakMap<Entity, EntityRow>()

export const entityRow = (entity: Entity): EntityRow => {
  const known = rows.get(entity)
  if (known !== undefined) return known
  const row = {
    name: entity.name,
    columns: new Map(entity.columns.map((column) => [column.name, column])),
    joins: new Map(entity.joins.map((join) => [join.name, join])),
  }
  rows.set(entity, row)
  return row
}

/** The entity on a join's other side. Stepping from a shared row to a tenant's rows is refused: nothing would bind the tenant. */
export const follow = (
  scope: Scope,
  from: Entity | undefined,
  join: Join,
  at: ConstValueNode | Place,
): Entity | undefined => {
  const target = scope.entities.get(join.target)
  if (from?.tenant.kind === 'SHARED' && target !== undefined && isTenanted(target))
    return scope.report(
      at,
      `${from.name}.${join.name} goes from the shared ${from.name} to rows of a tenant`,
      `Start from ${target.name} or another entity with a tenant, or give ${from.name} a @tenant.`,
    )
  return target
}

export const isTenanted = (entity: Entity): boolean => entity.tenant.kind === 'COLUMN' || entity.tenant.kind === 'JOIN'

/** Reports a name that a row does not have, unless its declaration was at fault already. */
export const unknownField = (scope: Scope, row: Row, name: string, at: ConstValueNode | Place): undefined => {
  if (scope.faulty.has(`${row.name}.${name}`)) return undefined
  return scope.report(
    at,
    `${row.name} has no field ${name}`,
    instead(name, [...row.columns.keys(), ...row.joins.keys()]),
  )
}
