/** Random aggregates. */
import type { Draw } from './draw.ts'
import type { ColumnSpec, EntitySpec } from './entity-arbitrary.ts'
import { columnsOf, isToOne, pathText, type Walk, walk, walkMany, type Zoo } from './walk-arbitrary.ts'
import { whereText } from './where-arbitrary.ts'

const SUMMED = ['Int', 'Long', 'Decimal']
const ORDERED = [...SUMMED, 'DateTime', 'Date', 'String']

/** Aggregates over one walk, so that they may share what is kept of it; none where nothing can be aggregated. */
type Measured = {
  readonly name: () => string
  readonly grouped?: boolean
  readonly searchable?: boolean
  readonly windowed?: boolean
}

export const aggregateFields = (draw: Draw, zoo: Zoo, entity: EntitySpec, measured: Measured): readonly string[] => {
  // In a grouped view the members themselves can be aggregated.
  const ofMembers = measured.grouped && !draw.oneIn(3)
  const many: Walk | undefined = ofMembers ? { joins: [], end: entity } : walkMany(draw, zoo, entity)
  if (!many) return []
  // Of a group, windows are over its members alone.
  const windowed = measured.windowed === true && (!measured.grouped || ofMembers === true)
  const each = { ...measured, windowed }
  return Array.from({ length: draw.pick([1, 1, 2, 3]) }, () => aggregateField(draw, zoo, many, each)).flat()
}

const aggregateField = (
  draw: Draw,
  zoo: Zoo,
  many: Walk,
  { name: next, searchable = false, windowed = false }: Measured,
): readonly string[] => {
  const name = next()
  const where = draw.oneIn(2) ? whereText(draw, zoo, many.end) : undefined
  const tail = walk(draw, zoo, many.end, draw.pick([0, 0, 1, 2]), isToOne)
  const joins = [...many.joins, ...tail.joins]
  const pick = (types: readonly string[]): ColumnSpec =>
    draw.pick(columnsOf(tail.end).filter((c) => types.includes(c.type) && !c.list))
  const field = (type: string, fn: string, of?: string, distinct = false): readonly string[] => {
    // No more than half of 64 bits are added up in windows: a sum beyond them is no answer, but no row's either.
    const rolls = windowed && !distinct && ['count', 'sum', 'avg'].includes(fn) && type !== 'Long!' && draw.oneIn(3)
    const options = [
      ...(of ? [`of: "${of}"`] : []),
      ...(distinct ? ['distinct: true'] : []),
      ...(where ? [`where: ${where}`] : []),
      ...(rolls ? [`window: ${windowText(draw, zoo, many.end)}`] : []),
    ]
    const search = searchable && !rolls ? draw.some([' @filter', ' @order'], 4).join('') : ''
    return [
      `  ${name}: ${type} @${fn}${options.length > 0 ? `(${options.join(', ')})` : ''}${search}`,
      ...(rolls && !type.endsWith('!') ? [] : readAgain(draw, name, type)),
    ]
  }
  switch (draw.below(7)) {
    case 0:
      return field(draw.pick(['Int!', 'Long!']), 'count', many.joins.length > 0 ? pathText(many.joins) : undefined)
    case 1: {
      const column = pick(SUMMED)
      return field(column.type === 'Decimal' ? 'Decimal!' : 'Long!', 'sum', pathText(joins, column.name))
    }
    case 2:
      return field('Decimal', 'avg', pathText(joins, pick(SUMMED).name))
    case 3:
    case 4: {
      const column = pick([...ORDERED, 'Float', 'ID'])
      return field(column.type, draw.pick(['min', 'max']), pathText(joins, column.name))
    }
    default: {
      const column = pick([...ORDERED, 'ID', 'Kind', 'Boolean'])
      return field(draw.pick(['Int!', 'Long!']), 'count', pathText(joins, column.name), draw.oneIn(2))
    }
  }
}

const SPANS = ['last: "PT1M"', 'last: "PT1H", step: "PT20M"', 'last: "P1D", step: "PT1H"', 'last: "P400D", step: "P1D"']

const windowText = (draw: Draw, zoo: Zoo, counted: EntitySpec): string => {
  const { joins, end } = walk(draw, zoo, counted, draw.pick([0, 0, 1]), isToOne)
  const column = draw.pick(columnsOf(end).filter((c) => c.type === 'DateTime'))
  return `{ on: "${pathText(joins, column.name)}", ${draw.pick(SPANS)} }`
}

/** An expression over an aggregate changes whenever that does. */
const readAgain = (draw: Draw, name: string, type: string): readonly string[] =>
  /^(Int|Long|Decimal)/.test(type) && draw.oneIn(5)
    ? [
        draw.oneIn(2)
          ? `  ${name}Over: Boolean${type.endsWith('!') ? '!' : ''} @expr(sql: "${name} > 2")`
          : `  ${name}None: Boolean! @expr(sql: "${name} is null")`,
      ]
    : []
