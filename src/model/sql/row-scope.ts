/**
 * Rows in a FROM clause, and the joins that lead from one to another.
 *
 * Every table that a view's SQL reads is opened here and every column that it uses is asked for here, so what a view depends on
 * is recorded as its SQL is written and can't be forgotten (`Dependencies`). Every join adds liveness of the other side and,
 * where both sides have a tenant, equality of tenants (C9).
 */
import { createHash } from 'node:crypto'
import type { OrderBy, Where } from '../condition.ts'
import type { Column, Computed, Entity, Join, Model, Part } from '../model.ts'
import { columnName, entityTable, ident } from '../names.ts'
import { directionSql, isNeverNull, type Reading, termsOf } from './order.ts'
import type { SqlValue, WhereScope } from './where.ts'

export const pathId = (steps: readonly Join[]): string => steps.map((step) => step.name).join('.')

/**
 * One entity at one place of a view's tree: `steps` are the joins that lead to it from the root, `columns` the fields it is read
 * for, `readings` how they are found.
 */
export type Dependency = {
  readonly entity: Entity
  readonly steps: readonly Join[]
  readonly columns: Set<string>
  readonly readings: Map<string, Reading>
}
export type Dependencies = Map<string, Dependency>

/** `keep`: how aggregates and parts are read from what is kept beside the view; absent: from the rows themselves, as the definition says. */
export type Compilation = {
  readonly model: Model
  readonly dependencies: Dependencies
  alias(): string
  readonly keep?: Keep
}
export const startCompilation = (model: Model, keep?: Keep): Compilation => {
  let aliases = 0
  return { model, dependencies: new Map(), alias: () => `t${++aliases}`, ...(keep ? { keep } : {}) }
}

/**
 * What is kept row by row: how many rows a path reaches, how many values, how many different ones, their sum, the least or the greatest. `many`: the place of
 * the path's last to-many join, of whose row `where` speaks; -1: the row itself.
 */
export type Addend = {
  readonly of: 'rows' | 'values' | 'distinct' | 'sum' | 'min' | 'max'
  readonly joins: readonly string[]
  readonly many: number
  readonly column?: string
  readonly where?: Where
}
/**
 * `total`: SQL of an addend over `row`; what it needs goes into `from`, the FROM clause that the row's own joins go into.
 * `part`: where rows of a part's shape are kept by the key of `row`, see `keptPart`; undefined: the shape is read as it is.
 */
export type Keep = {
  total(compilation: Compilation, row: RowScope, from: string[], addend: Addend): string
  part(
    compilation: Compilation,
    row: RowScope,
    part: Part,
  ): { readonly table: string; readonly withholds: boolean } | undefined
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
  /** Says how the rows are found that the last step leads to, so that an index can be made for it. */
  found(reading: Reading): void
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
    readings: new Map<string, Reading>(),
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
      const sql = `${alias}.${ident(columnName(field))}`
      return { sql: column.computed ? `${sql}${formula(column.computed)}` : sql, type: column.type, list: column.list }
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
    found: (reading) => {
      dependency.readings.set(JSON.stringify(reading), reading)
    },
    within: (inner) => openRow(compilation, entity, alias, steps, inner),
  }
  return row
}

/** A view whose SQL reads a computed column is another view once that is computed otherwise: its text, and so its hash, says by what. */
const formula = ({ sql }: Computed): string => ` /* ${createHash('sha256').update(sql).digest('hex').slice(0, 8)} */`

/** Conditions under which `row` is what `join` reaches from `parent`. `first`: of the rows, those that are first in some order are read (see order.ts). */
export const matchSql = (parent: RowScope, row: RowScope, join: Join, first = false): string[] => {
  if (!first) row.found({})
  const [found, by] = [join.to.map((to) => row.column(to).sql), join.from.map((from) => parent.column(from).sql)]
  const conditions = first
    ? ['>=', '<='].map((operator) => `(${found.join(', ')}) ${operator} (${by.join(', ')})`)
    : found.map((column, i) => `${column} = ${by[i]}`)
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
  const pick = isKey(target, join.to) ? undefined : (join.pick ?? [])
  const first = pick?.every(({ joins }) => joins.length === 0) ?? false
  const conditions = matchSql(parent, row, join, first)
  const order = pick && ` order by ${orderSql(orderTerms(row, pick, first ? { found: join.to } : undefined))} limit 1`
  from.push(
    inner.length === 0 && !order
      ? `left join ${entityTable(target)} ${alias} on ${conditions.join(' and ')}`
      : `left join lateral (select ${alias}.* from ${entityTable(target)} ${alias} ${inner.join(' ')} where ${conditions.join(' and ')}${order ?? ''}) ${alias} on true`,
  )
  return openRow(compilation, target, alias, steps, from)
}

export const isKey = (entity: Entity, columns: readonly string[]): boolean =>
  columns.length === entity.key.length && entity.key.every((key) => columns.includes(key))

/** Rows of which the first are read: by which fields they are found, and which of them alone, over the bare columns. */
export type Found = { readonly found: readonly string[]; readonly where?: string }

/** A term of ORDER BY; `direction` is empty where it is Postgres's own. `indexed`: an index has what comes before it and this. */
export type OrderTerm = { readonly sql: string; readonly direction: string; readonly indexed: boolean }

/** Nulls last in both directions, the row's key last, ascending. `first`: absent where there is no index whose order could serve. */
export const orderTerms = (row: RowScope, orderBy: readonly OrderBy[], first?: Found): OrderTerm[] => {
  const foreign = orderBy.findIndex(({ joins }) => joins.length > 0)
  const own = foreign < 0 ? orderBy : orderBy.slice(0, foreign)
  const terms = termsOf(row.entity, first?.found ?? [], own, foreign < 0)
  if (first) row.found({ terms, ...(first.where === undefined ? {} : { where: first.where }) })
  const rest = foreign < 0 ? [] : orderBy.slice(foreign)
  const keys = foreign < 0 ? [] : row.entity.key
  return [
    ...terms.map((term) => ({ sql: row.column(term.field).sql, direction: directionSql(term), indexed: true })),
    ...rest.map(({ joins, field, direction }) => {
      const owner = row.walk(joins)
      const desc = direction === 'DESC'
      const nullsFirst = desc && joins.length === 0 && isNeverNull(owner.entity, field)
      return { sql: owner.column(field).sql, direction: directionSql({ desc, nullsFirst }), indexed: false }
    }),
    ...keys.map((key) => ({ sql: row.column(key).sql, direction: '', indexed: false })),
  ]
}

export const orderSql = (terms: readonly Pick<OrderTerm, 'sql' | 'direction'>[]): string =>
  terms.map(({ sql, direction }) => `${sql} ${direction}`.trimEnd()).join(', ')
