/**
 * What can be seen at one moment: rows that are live and whose tenant is known, and the rows that joins lead to from them.
 * Deliberately naive (every join scans its target), so that it can be read beside the language's descriptions.
 */
import type { CellValue } from '../../src/ingest/change.ts'
import type { OrderBy, Where } from '../../src/model/condition.ts'
import type { Entity, Join, Model, ValueType } from '../../src/model/model.ts'
import { computeRow } from './computed-row.ts'
import { holds } from './condition.ts'
import { columnOf, entityOf, isTenanted, joinOf, type Row, type Seen, type SourceRows } from './seen.ts'
import { compareValues, identity } from './values.ts'

export type World = { readonly model: Model; readonly seen: ReadonlyMap<string, readonly Seen[]> }

const isNull = (value: CellValue | undefined): boolean => value === null || value === undefined
type Scalar = string | number | boolean

export const buildWorld = (model: Model, source: SourceRows): World => {
  const live = new Map<string, readonly Row[]>()
  for (const entity of model.entities.values()) {
    const rows = [...(source.get(entity.name)?.values() ?? [])].map((row) => computeRow(entity, row))
    live.set(
      entity.name,
      rows.filter(
        (row) =>
          entity.columns.every((c) => !c.nonNull || !isNull(row[c.name])) &&
          !(entity.deleted && holds(ownRow(entity, row), entity.deleted, refuseJoin)),
      ),
    )
  }
  /** undefined: unseen, because the row that gives the tenant has not arrived. */
  const tenantOf = (entity: Entity, row: Row): string | null | undefined => {
    switch (entity.tenant.kind) {
      case 'NONE':
      case 'SHARED':
        return null
      case 'COLUMN': {
        const value = row[entity.tenant.column]
        return isNull(value) ? undefined : String(value)
      }
      case 'JOIN': {
        const join = joinOf(entity, entity.tenant.join)
        const target = entityOf(model, join.target)
        const reached = (live.get(target.name) ?? []).filter((other) => matches(entity, row, join, target, other))
        for (const other of reached) {
          const tenant = tenantOf(target, other)
          if (tenant !== undefined) return tenant
        }
        return undefined
      }
    }
  }
  const seen = new Map<string, readonly Seen[]>()
  for (const entity of model.entities.values())
    seen.set(
      entity.name,
      (live.get(entity.name) ?? []).flatMap((row): Seen[] => {
        const tenant = tenantOf(entity, row)
        return tenant === undefined ? [] : [{ entity, row, tenant }]
      }),
    )
  return { model, seen }
}

const ownRow = (entity: Entity, row: Row): Seen => ({ entity, row, tenant: null })
const refuseJoin = (): never => {
  throw new Error('`deleted` speaks of own columns only')
}

/** Pairwise equal, and a null joins nothing. */
const matches = (entity: Entity, row: Row, join: Join, target: Entity, other: Row): boolean =>
  join.from.every((name, i) => {
    const mine = row[name]
    const theirs = other[join.to[i]!]
    if (isNull(mine) || isNull(theirs)) return false
    return (
      identity(columnOf(entity, name).type, mine as Scalar) ===
      identity(columnOf(target, join.to[i]!).type, theirs as Scalar)
    )
  })

/** The rows one join leads to: all of a to-many, at most one of a to-one. */
export const follow = (world: World, from: Seen, name: string): readonly Seen[] => {
  const join = joinOf(from.entity, name)
  const target = entityOf(world.model, join.target)
  const reached = (world.seen.get(target.name) ?? [])
    .filter((other) => matches(from.entity, from.row, join, target, other.row))
    .filter((other) => !isTenanted(target) || from.tenant === null || other.tenant === from.tenant)
    .map((other) => (isTenanted(target) ? other : { ...other, tenant: from.tenant }))
  return join.many ? reached : inOrder(world, reached, join.pick ?? []).slice(0, 1)
}

const followAll = (world: World, from: Seen, joins: readonly string[]): readonly Seen[] =>
  joins.reduce<readonly Seen[]>((rows, join) => rows.flatMap((row) => follow(world, row, join)), [from])

/** The value and type at the end of to-one joins; null when any of them leads nowhere. */
const valueAt = (
  world: World,
  from: Seen,
  joins: readonly string[],
  field: string,
): { readonly type: ValueType; readonly value: CellValue } => {
  const end = joins.reduce((entity, join) => entityOf(world.model, joinOf(entity, join).target), from.entity)
  const [row] = followAll(world, from, joins)
  return { type: columnOf(end, field).type, value: row?.row[field] ?? null }
}

/** Nulls last in both directions; the key breaks ties, ascending. */
export const inOrder = (world: World, rows: readonly Seen[], orders: readonly OrderBy[]): readonly Seen[] =>
  [...rows].sort((a, b) => {
    for (const { joins, field, direction } of orders) {
      const x = valueAt(world, a, joins, field)
      const y = valueAt(world, b, joins, field)
      if (isNull(x.value) || isNull(y.value)) {
        if (isNull(x.value) !== isNull(y.value)) return isNull(x.value) ? 1 : -1
        continue
      }
      const order = compareValues(x.type, x.value as Scalar, y.value as Scalar)
      if (order !== 0) return direction === 'ASC' ? order : -order
    }
    for (const key of a.entity.key) {
      const order = compareValues(columnOf(a.entity, key).type, a.row[key] as Scalar, b.row[key] as Scalar)
      if (order !== 0) return order
    }
    return 0
  })

/** Whether a condition over a row's columns and to-one joins holds. */
export const satisfies = (world: World, from: Seen, where: Where): boolean =>
  holds(from, where, (row, join) => {
    const blank: Seen = { entity: entityOf(world.model, joinOf(row.entity, join).target), row: {}, tenant: null }
    return follow(world, row, join)[0] ?? blank
  })
