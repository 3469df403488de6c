/**
 * `@count`, `@sum`, `@avg`, `@min`, `@max`: each path is read once, in a subquery of its own, so that no join multiplies what
 * another counts; aggregates over the same path share it. What can be added up row by row is read from where it is kept, if it is.
 */
import type { Column, Entity, Field, FieldValue, Model, ValueType } from '../model.ts'
import { valueSqlType } from '../names.ts'
import { directionSql, termsOf } from './order.ts'
import { fromSql, type Reach, reachRows } from './reach.ts'
import { type Addend, type Compilation, columnOf, entityOf, joinOf, orderSql, type RowScope } from './row-scope.ts'
import { whereSql } from './where.ts'

type AggregateValue = Extract<FieldValue, { kind: 'aggregate' }>

/** Every aggregate field with the SQL that names it; its lateral has been put into `from`. */
export const aggregateLaterals = (
  compilation: Compilation,
  fields: readonly Field[],
  row: RowScope,
  from: string[],
  members?: () => Reach,
): [Field, string][] => {
  const kept: [Field, string][] = []
  const byPath = new Map<string, { field: Field; value: AggregateValue }[]>()
  for (const field of fields) {
    if (field.value.kind !== 'aggregate') continue
    if (!members && isOrdered(compilation.model, row.entity, field.value)) {
      kept.push([field, `${extreme(compilation, field.value, row, from)}::${valueSqlType(typeOf(field))}`])
      continue
    }
    const { keep } = compilation
    if (keep && addsUp(compilation.model, row.entity, field.value, members !== undefined)) {
      const sql = addedUp(field, field.value, (addend) => keep.total(compilation, row, from, addend))
      kept.push([field, `(${sql})::${valueSqlType(typeOf(field))}`])
      continue
    }
    const path = field.value.joins.slice(0, field.value.many + 1).join('.')
    byPath.set(path, [...(byPath.get(path) ?? []), { field, value: field.value }])
  }
  const read = [...byPath.values()].flatMap((group) => {
    const { joins, many } = group[0]!.value
    const reach = reachRows(compilation, row, joins.slice(0, many + 1), members?.())
    const alias = compilation.alias()
    const wheres = group.map(({ value }) => (value.where ? whereSql(value.where, reach.row) : null))
    const shared = wheres.every((where) => where === wheres[0]) ? wheres[0] : null
    const select = group.map(({ field, value }, i) => {
      const filter = wheres[i] && !shared ? ` filter (where ${wheres[i]})` : ''
      return `${aggregateSql(field, value, reach, filter)} as a${i}`
    })
    from.push(
      `left join lateral (select ${select.join(', ')} ${fromSql(reach, shared ? [shared] : [])}) ${alias} on true`,
    )
    return group.map(({ field }, i): [Field, string] => [field, `${alias}.a${i}::${valueSqlType(typeOf(field))}`])
  })
  return [...kept, ...read]
}

/**
 * The least or greatest of an own column of all rows over one join: the first in the order of an index of theirs, so nothing has to be kept. A filter
 * might pass over many before it, and a text may be too long for an index.
 */
const isOrdered = (model: Model, entity: Entity, value: AggregateValue): boolean =>
  (value.fn === 'min' || value.fn === 'max') &&
  value.where === undefined &&
  value.joins.length === value.many + 1 &&
  hops(model, entity, value) === 1 &&
  valueSqlType(reachedColumn(model, entity, value).type) !== 'text'

const reachedColumn = (model: Model, entity: Entity, { joins, column }: AggregateValue): Column =>
  columnOf(
    joins.reduce((owner, name) => entityOf(model, joinOf(owner, name).target), entity),
    column!,
  )

/** Nulls come last, so that the first row alone tells: none of the others has a value if it has none. */
const extreme = (compilation: Compilation, value: AggregateValue, row: RowScope, from: string[]): string => {
  const reach = reachRows(compilation, row, value.joins, undefined, true)
  const direction = value.fn === 'max' ? 'DESC' : 'ASC'
  const terms = termsOf(reach.row.entity, reach.found!, [{ field: value.column!, direction }], false)
  reach.row.found({ terms })
  const order = terms.map((term) => ({ sql: reach.row.column(term.field).sql, direction: directionSql(term) }))
  const alias = compilation.alias()
  const { sql } = reach.row.column(value.column!)
  from.push(
    `left join lateral (select ${sql} as v ${fromSql(reach)} order by ${orderSql(order)} limit 1) ${alias} on true`,
  )
  return `${alias}.v`
}

/**
 * Whether the value follows from what each row has by itself: a sum moves by what a row's part moved, an extreme is that of the rows' own. How many values are
 * different is counted where each row has one: what two orders have in common, neither order's number tells. `grouped`: begins at members of a group.
 */
export const addsUp = (model: Model, entity: Entity, value: AggregateValue, grouped: boolean): boolean =>
  !value.distinct || (grouped ? 1 : 0) + hops(model, entity, value) <= 1

/** To-many joins on the way. */
export const hops = (model: Model, entity: Entity, { joins, many }: AggregateValue): number => {
  let owner = entity
  let count = 0
  for (const name of joins.slice(0, many + 1)) {
    const join = joinOf(owner, name)
    if (join.many) count += 1
    owner = entityOf(model, join.target)
  }
  return count
}

export const addedUp = (field: Field, value: AggregateValue, sqlOf: (addend: Addend) => string): string => {
  const addend = (of: Addend['of']) => sqlOf({ ...value, of })
  switch (value.fn) {
    case 'count':
      return addend(value.column === undefined ? 'rows' : value.distinct ? 'distinct' : 'values')
    case 'sum':
      return sumSql(addend('sum'), typeOf(field))
    case 'min':
    case 'max':
      return addend(value.fn)
    default:
      return averageSql(addend('sum'), addend('values'), scaleOf(typeOf(field)))
  }
}

const typeOf = (field: Field) => {
  if (field.type.kind === 'part') throw new Error(`${field.name} is an aggregate, not a part`)
  return field.type
}

export const aggregateSql = (field: Field, value: AggregateValue, reach: Reach, filter: string): string => {
  if (value.column === undefined) return `count(*)${filter}`
  const owner = reach.row.walk(value.joins.slice(value.many + 1))
  const { sql, type } = owner.column(value.column)
  switch (value.fn) {
    case 'count':
      return `count(${value.distinct ? 'distinct ' : ''}${sql})${filter}`
    case 'sum':
      return sumSql(`coalesce(sum(${sql})${filter}, 0)`, type)
    case 'avg': {
      return averageSql(`sum(${sql})${filter}`, `count(${sql})${filter}`, scaleOf(typeOf(field)))
    }
    case 'min':
    case 'max':
      return `${value.fn}(${sql})${filter}`
  }
}

/** A sum of Long is numeric. Beyond 64 bits it is null, which withholds its row, rather than failing the whole view. */
const sumSql = (total: string, type: ValueType): string =>
  valueSqlType(type) === 'bigint' ? `case when abs(${total}) <= 9223372036854775807 then ${total} end` : total

/** An average always has one. */
const scaleOf = (type: ValueType): number => (type.kind === 'scalar' && type.scale) || 6

/**
 * The exact quotient, rounded half away from zero. Postgres's own numeric division keeps only 16 significant digits, so the
 * division is done on integers.
 */
const averageSql = (sum: string, count: string, scale: number): string => {
  const shift = `1${'0'.repeat(scale)}::numeric`
  const unit = `0.${'0'.repeat(scale - 1)}1::numeric`
  return `sign(${sum}) * div(2 * abs(${sum}) * ${shift} + ${count}, 2 * nullif(${count}, 0)) * ${unit}`
}
