/**
 * Rows in a FROM clause, and the joins that lead from one to another.
 *
 * Every table that a view's SQL reads is opened here and every column that it uses is asked for here, so what a view depends on
 * is recorded as its SQL is written and can't be forgotten (`Dependencies`). Every join adds liveness of the other side and,
 * where both sides have a tenant, equality of tenants (C9).
 */
import type { Column, Entity, Join, Model, OrderBy } from '../model.ts'
import { columnName, entityTable, ident } from '../names.ts'
import type { SqlValue, WhereScope } from './where.ts'

export const pathId = (steps: readonly Join[]): string => steps.map((step) => step.name).join('.')

/**
 * One entity at one place of a view's tree: `steps` are the joins that lead to it from the root, `columns` the fields it is read
 * for, `orders` the own fields by which its rows are taken in order (joined by commas).
 */
export type Dependency = {
  readonly entity: Entity
  readonly steps: readonly Join[]
  readonly columns: Set<string>
  readonly orders: Set<string>
}
export type Dependencies = Map<string, Dependency>

export type Compilation = { readonly model: Model; readonly dependencies: Dependencies; alias(): string }
export const startCompilation = (model: Model): Compilation => {
  let aliases = 0
  return { model, dependencies: new Map(), alias: () => `t${++aliases}` }
}

export type RowScope = Omit<WhereScope, 'toOne'> & {
  readonly entity: Entity
  readonly alias: string
  readonly steps: readonly Join[]
  toOne(join: string): RowScope
  /** The row at the end of to-one joins. */
  walk(joins: readonly string[]): RowScope
  /** The tenant of the row; null where the entity has none. */
  tenant(): SqlValue | null
  /** Says that rows are taken in the order of these own fields, so that an index can be made for it. */
  ordered(fields: readonly string[]): void
  /** The same row, with what is joined from here on put into another FROM clause. */
  within(from: string[]): RowScope
}

export const entityOf = (model: Model, name: string): Entity => {
  const entity = model.entities.get(name)
  if (!entity) throw new Error(`no entity ${name}`)
  return entity
}
export const joinOf = (entity: Entity, name: string): Join => {
  const join = entity.joins.find((candidate) => candidate.name === name)
  if (!join) throw new Error(`no join ${entity.name}.${name}`)
  return join
}
export const columnOf = (entity: Entity, name: string): Column => {
  const column = entity.columns.find((candidate) => candidate.name === name)
  if (!column) throw new Error(`no column ${entity.name}.${name}`)
  return column
}

export const isTenanted = (entity: Entity): boolean => entity.tenant.kind === 'COLUMN' || entity.tenant.kind === 'JOIN'

/** A row whose table stands in a FROM clause under `alias`; `from` takes the joins that are asked of it. */
export const openRow = (
  compilation: Compilation,
  entity: Entity,
  alias: string,
  steps: readonly Join[],
  from: string[],
): RowScope => {
  const id = pathId(steps)
  const dependency = compilation.dependencies.get(id) ?? {
    entity,
    steps,
    columns: new Set<string>(),
    orders: new Set<string>(),
  }
  compilation.dependencies.set(id, dependency)
  const reached = new Map<string, RowScope>()

  const row: RowScope = {
    entity,
    alias,
    steps,
    column(field) {
      const column = columnOf(entity, field)
      dependency.columns.add(field)
      return { sql: `${alias}.${ident(columnName(field))}`, type: column.type, list: column.list }
    },
    exists: () => `${alias}.${ident(columnName(entity.key[0]!))} is not null`,
    toOne(name) {
      const known = reached.get(name)
      if (known) return known
      const next = joinToOne(compilation, row, joinOf(entity, name), from)
      reached.set(name, next)
      return next
    },
    walk: (joins) => joins.reduce<RowScope>((current, name) => current.toOne(name), row),
    tenant() {
      switch (entity.tenant.kind) {
        case 'NONE':
        case 'SHARED':
          return null
        case 'COLUMN':
          return row.column(entity.tenant.column)
        case 'JOIN':
          return row.toOne(entity.tenant.join).tenant()
      }
    },
    ordered: (fields) => {
      if (fields.length) dependency.orders.add(fields.join())
    },
    within: (inner) => openRow(compilation, entity, alias, steps, inner),
  }
  return row
}

/** Conditions under which `row` is what `join` reaches from `parent`. */
export const matchSql = (parent: RowScope, row: RowScope, join: Join): string[] => {
  const conditions = join.from.map((from, i) => `${row.column(join.to[i]!).sql} = ${parent.column(from).sql}`)
  conditions.push(`${row.alias}._live`)
  if (isTenanted(parent.entity) && isTenanted(row.entity) && !tenantImplied(parent.entity, row.entity, join)) {
    const [mine, theirs] = [parent.tenant()!, row.tenant()!]
    const same = JSON.stringify(mine.type) === JSON.stringify(theirs.type)
    conditions.push(same ? `${theirs.sql} = ${mine.sql}` : `${theirs.sql}::text = ${mine.sql}::text`)
  }
  return conditions
}

/** One side takes its tenant over this very join. */
export const tenantImplied = (parent: Entity, child: Entity, join: Join): boolean => {
  if (parent.tenant.kind === 'JOIN' && parent.tenant.join === join.name) return true
  if (child.tenant.kind !== 'JOIN') return false
  const back = joinOf(child, child.tenant.join)
  const pairs = (mine: readonly string[], theirs: readonly string[]) =>
    mine
      .map((name, i) => `${name}=${theirs[i]}`)
      .sort()
      .join()
  return back.target === parent.name && pairs(back.from, back.to) === pairs(join.to, join.from)
}

const joinToOne = (compilation: Compilation, parent: RowScope, join: Join, from: string[]): RowScope => {
  const target = entityOf(compilation.model, join.target)
  const alias = compilation.alias()
  const steps = [...parent.steps, join]
  const inner: string[] = []
  const row = openRow(compilation, target, alias, steps, inner)
  const conditions = matchSql(parent, row, join)
  const pick = isKey(target, join.to) ? undefined : (join.pick ?? [])
  const order = pick && ` order by ${orderSql(row, pick).join(', ')} limit 1`
  from.push(
    inner.length === 0 && !order
      ? `left join ${entityTable(target)} ${alias} on ${conditions.join(' and ')}`
      : `left join lateral (select ${alias}.* from ${entityTable(target)} ${alias} ${inner.join(' ')} where ${conditions.join(' and ')}${order ?? ''}) ${alias} on true`,
  )
  return openRow(compilation, target, alias, steps, from)
}

export const isKey = (entity: Entity, columns: readonly string[]): boolean =>
  columns.length === entity.key.length && entity.key.every((key) => columns.includes(key))

/** ORDER BY terms: nulls last in both directions, the row's key last, ascending. */
export const orderSql = (row: RowScope, orderBy: readonly OrderBy[]): string[] => {
  const foreign = orderBy.findIndex(({ joins }) => joins.length > 0)
  row.ordered((foreign < 0 ? orderBy : orderBy.slice(0, foreign)).map(({ field }) => field))
  const terms = orderBy.map(({ joins, field, direction }) => {
    const owner = row.walk(joins)
    const { sql } = owner.column(field)
    // A backward scan of an index yields nulls first, so "nulls last" is only said where there can be nulls.
    const nullable = joins.length > 0 || !columnOf(owner.entity, field).nonNull
    return direction === 'ASC' ? sql : `${sql} desc${nullable ? ' nulls last' : ''}`
  })
  return [...terms, ...row.entity.key.map((key) => row.column(key).sql)]
}
