/** Random aggregates and expressions. */
import type { Draw } from './draw.ts'
import type { ColumnSpec, EntitySpec } from './entity-arbitrary.ts'
import { columnsOf, isToOne, pathText, type Walk, walk, walkMany, type Zoo } from './walk-arbitrary.ts'
import { whereText } from './where-arbitrary.ts'

const SUMMED = ['Int', 'Long', 'Decimal']
const ORDERED = [...SUMMED, 'DateTime', 'Date', 'String']
const isScaled = (c: ColumnSpec): boolean => c.type !== 'Decimal' || c.scale !== undefined

/** No field where nothing can be aggregated. In a grouped view the members themselves can be. */
export const aggregateField = (
  draw: Draw,
  zoo: Zoo,
  entity: EntitySpec,
  name: string,
  grouped = false,
): readonly string[] => {
  const ofMembers = grouped && !draw.oneIn(3)
  const many: Walk | undefined = ofMembers ? { joins: [], end: entity } : walkMany(draw, zoo, entity)
  if (!many) return []
  const where = draw.oneIn(3) ? whereText(draw, zoo, many.end) : undefined
  const tail = walk(draw, zoo, many.end, draw.below(2), isToOne)
  const joins = [...many.joins, ...tail.joins]
  const pick = (types: readonly string[], only = (_: ColumnSpec): boolean => true): ColumnSpec =>
    draw.pick(columnsOf(tail.end).filter((c) => types.includes(c.type) && !c.list && only(c)))
  const field = (type: string, fn: string, of?: string, distinct = false): readonly string[] => {
    const options = [
      ...(of ? [`of: "${of}"`] : []),
      ...(distinct ? ['distinct: true'] : []),
      ...(where ? [`where: ${where}`] : []),
    ]
    return [`  ${name}: ${type} @${fn}${options.length > 0 ? `(${options.join(', ')})` : ''}`]
  }
  switch (draw.below(5)) {
    case 0:
      return field('Int!', 'count', many.joins.length > 0 ? pathText(many.joins) : undefined)
    case 1: {
      const column = pick(SUMMED)
      return field(column.type === 'Decimal' ? 'Decimal!' : 'Long!', 'sum', pathText(joins, column.name))
    }
    case 2:
      return field('Decimal', 'avg', pathText(joins, pick(SUMMED, isScaled).name))
    case 3: {
      const column = pick(ORDERED)
      return field(column.type, draw.pick(['min', 'max']), pathText(joins, column.name))
    }
    default: {
      const column = pick([...ORDERED, 'ID', 'Kind', 'Boolean'])
      return field(draw.pick(['Int!', 'Long!']), 'count', pathText(joins, column.name), draw.oneIn(2))
    }
  }
}

type Written = { readonly sql: string; readonly type: string; readonly reads: readonly string[] }
const EXPRESSIONS: readonly Written[] = [
  { sql: 'qty * 2 + 1', type: 'Int', reads: ['qty'] },
  { sql: 'qty - spare', type: 'Int', reads: ['qty', 'spare'] },
  { sql: 'amount * qty', type: 'Decimal', reads: ['amount', 'qty'] },
  { sql: 'big + qty', type: 'Long', reads: ['big', 'qty'] },
  { sql: "kind = 'A' or qty >= 3", type: 'Boolean', reads: ['kind', 'qty'] },
  { sql: "spare > 2 and not (kind = 'B')", type: 'Boolean', reads: ['spare', 'kind'] },
  { sql: 'amount - rate <= 1.5', type: 'Boolean', reads: ['amount', 'rate'] },
]

/** Expressions over plain columns of the same shape. */
export const expressionFields = (draw: Draw, plain: readonly ColumnSpec[]): readonly string[] => {
  const byName = new Map(plain.map((c) => [c.name, c]))
  const possible = EXPRESSIONS.filter((e) => e.reads.every((name) => byName.has(name)))
  return draw.some(possible, 3).map((e) => {
    const nonNull = e.reads.every((name) => byName.get(name)!.nonNull)
    return `  x${EXPRESSIONS.indexOf(e)}: ${e.type}${nonNull ? '!' : ''} @expr(sql: "${e.sql}")`
  })
}
