/**
 * `@count`, `@sum`, `@avg`, `@min`, `@max`: each path is read once, in a subquery of its own, so that no join multiplies what
 * another counts; aggregates over the same path share it.
 */
import type { Field, FieldValue, ValueType } from '../model.ts'
import { valueSqlType } from '../names.ts'
import { fromSql, type Reach, reachRows } from './reach.ts'
import type { Compilation, RowScope } from './row-scope.ts'
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
  const byPath = new Map<string, { field: Field; value: AggregateValue }[]>()
  for (const field of fields) {
    if (field.value.kind !== 'aggregate') continue
    const path = field.value.joins.slice(0, field.value.many + 1).join('.')
    byPath.set(path, [...(byPath.get(path) ?? []), { field, value: field.value }])
  }
  return [...byPath.values()].flatMap((group) => {
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
}

const typeOf = (field: Field) => {
  if (field.type.kind === 'part') throw new Error(`${field.name} is an aggregate, not a part`)
  return field.type
}

const aggregateSql = (field: Field, value: AggregateValue, reach: Reach, filter: string): string => {
  if (value.column === undefined) return `count(*)${filter}`
  const owner = reach.row.walk(value.joins.slice(value.many + 1))
  const { sql, type } = owner.column(value.column)
  switch (value.fn) {
    case 'count':
      return `count(${value.distinct ? 'distinct ' : ''}${sql})${filter}`
    case 'sum': {
      const total = `coalesce(sum(${sql})${filter}, 0)`
      // A sum of Long is numeric. Beyond 64 bits it is null, which withholds its row, rather than failing the whole view.
      return valueSqlType(type) === 'bigint'
        ? `case when abs(${total}) <= 9223372036854775807 then ${total} end`
        : total
    }
    case 'avg': {
      return averageSql(`sum(${sql})${filter}`, `count(${sql})${filter}`, scaleOf(typeOf(field)))
    }
    case 'min':
    case 'max':
      return `${value.fn}(${sql})${filter}`
  }
}

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
