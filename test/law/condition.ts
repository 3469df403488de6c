/**
 * A `Where` over one row, two-valued: null equals only null, so `ne` and `notIn` keep nulls; every other operator drops them.
 * Where a to-one join leads nowhere, what lies behind it reads as null.
 */
import type { CellValue } from '../../src/ingest/change.ts'
import type { Literal, Where } from '../../src/model/condition.ts'
import { columnOf, type Seen } from './seen.ts'
import { compareValues, identity } from './values.ts'

/** Answers a row without any value where there is none. */
type Follow = (from: Seen, join: string) => Seen
type Compare = Extract<Where, { kind: 'compare' }>

export const holds = (row: Seen, where: Where, follow: Follow): boolean => {
  switch (where.kind) {
    case 'and':
      return where.items.every((item) => holds(row, item, follow))
    case 'or':
      return where.items.some((item) => holds(row, item, follow))
    case 'not':
      return !holds(row, where.item, follow)
    case 'join':
      return holds(follow(row, where.join), where.where, follow)
    case 'exists':
      return Object.keys(follow(row, where.join).row).length > 0 === where.exists
    case 'compare':
      return compares(row, where)
  }
}

/** The row's own fields that a condition speaks of. */
export const spokenOf = (where: Where): readonly string[] => {
  if (where.kind === 'and' || where.kind === 'or') return where.items.flatMap(spokenOf)
  if (where.kind === 'not') return spokenOf(where.item)
  if (where.kind !== 'compare') return []
  return where.value.kind === 'field' ? [where.field, where.value.field] : [where.field]
}

const compares = (row: Seen, { field, op, value: operand }: Compare): boolean => {
  const column = columnOf(row.entity, field)
  const cell: CellValue = row.row[field] ?? null
  const operands = (): readonly (Literal | CellValue)[] => {
    switch (operand.kind) {
      case 'literal':
        return [operand.value]
      case 'list':
        return operand.values
      case 'field':
        return [row.row[operand.field] ?? null]
      case 'claim':
        throw new Error('claims occur in @rows only')
    }
  }
  const same = (a: CellValue, b: Literal | CellValue): boolean => {
    if (a === null || b === null) return a === null && b === null
    return identity(column.type, a as string) === identity(column.type, b as string)
  }
  const ordered = (test: (order: number) => boolean): boolean => {
    const [other] = operands()
    return (
      cell !== null &&
      other !== null &&
      other !== undefined &&
      test(compareValues(column.type, cell as string, other as string))
    )
  }
  switch (op) {
    case 'eq':
      return same(cell, operands()[0] ?? null)
    case 'ne':
      return !same(cell, operands()[0] ?? null)
    case 'in':
      return operands().some((other) => same(cell, other))
    case 'notIn':
      return !operands().some((other) => same(cell, other))
    case 'lt':
      return ordered((order) => order < 0)
    case 'lte':
      return ordered((order) => order <= 0)
    case 'gt':
      return ordered((order) => order > 0)
    case 'gte':
      return ordered((order) => order >= 0)
    case 'isNull':
      return (cell === null) === (operands()[0] ?? true)
    case 'startsWith':
      return typeof cell === 'string' && cell.startsWith(String(operands()[0]))
    case 'has':
      return Array.isArray(cell) && cell.some((item) => same(item, operands()[0] ?? null))
  }
}
