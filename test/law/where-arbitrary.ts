/** Random conditions and orders over an entity's own columns and its to-one joins. */
import type { Draw } from './draw.ts'
import type { ColumnSpec, EntitySpec } from './entity-arbitrary.ts'
import { columnsOf, isToOne, specOf, type Zoo } from './walk-arbitrary.ts'

export const whereText = (draw: Draw, zoo: Zoo, entity: EntitySpec, depth = 2): string => {
  const toOnes = entity.joins.filter(isToOne)
  switch (depth > 0 ? draw.below(6) : 0) {
    case 2: {
      if (toOnes.length === 0) break
      const join = draw.pick(toOnes)
      const inner = draw.oneIn(4)
        ? `{ exists: ${draw.pick(['true', 'false'])} }`
        : whereText(draw, zoo, specOf(zoo, join.target), depth - 1)
      return `{ ${join.name}: ${inner} }`
    }
    case 3:
      return `{ or: [${whereText(draw, zoo, entity, depth - 1)}, ${whereText(draw, zoo, entity, depth - 1)}] }`
    case 4:
      return `{ not: ${whereText(draw, zoo, entity, depth - 1)} }`
    case 5:
      return `{ and: [${whereText(draw, zoo, entity, depth - 1)}, ${whereText(draw, zoo, entity, depth - 1)}] }`
  }
  return `{ ${compareText(draw, entity)} }`
}

const compareText = (draw: Draw, entity: EntitySpec): string => {
  const column = draw.pick(columnsOf(entity).filter((c) => c.name !== 'tenantId' && c.type !== 'JSON'))
  if (column.list) return `${column.name}: { has: "a" }`
  if (!column.nonNull && draw.oneIn(4)) return `${column.name}: { isNull: ${draw.pick(['true', 'false'])} }`
  const value = literal(draw, column)
  const alike = columnsOf(entity).filter(
    (c) => c.type === column.type && c !== column && !c.list && c.scale === column.scale,
  )
  const equality = draw.pick(['eq', 'ne'])
  switch (column.type) {
    case 'Kind':
    case 'Boolean':
    case 'ID':
      return column.type !== 'Boolean' && draw.oneIn(3)
        ? `${column.name}: { ${draw.pick(['in', 'notIn'])}: [${value}, ${literal(draw, column)}] }`
        : `${column.name}: { ${equality}: ${value} }`
    case 'String':
      return `${column.name}: { ${draw.oneIn(3) ? 'startsWith' : draw.pick([equality, 'lt', 'gte'])}: ${value} }`
    default: {
      const op = draw.pick(['eq', 'ne', 'lt', 'lte', 'gt', 'gte'])
      const other = alike.length > 0 && draw.oneIn(3) ? `{ field: "${draw.pick(alike).name}" }` : value
      return `${column.name}: { ${op}: ${other} }`
    }
  }
}

const literal = (draw: Draw, { type }: ColumnSpec): string => {
  switch (type) {
    case 'Kind':
      return draw.pick(['A', 'B', 'C', 'OTHER'])
    case 'Boolean':
      return draw.pick(['true', 'false'])
    case 'Int':
    case 'Long':
      return String(draw.below(6))
    case 'Float':
      return draw.pick(['0.5', '1.25', '-3'])
    case 'Decimal':
      return draw.pick(['0', '1.5', '-2'])
    case 'DateTime':
      return '"2026-03-29T00:30:00Z"'
    case 'Date':
      return '"2026-03-29"'
    case 'ID':
      return draw.pick(['"k0"', '"k1"', '"k2"'])
    case 'JSON':
      throw new Error('JSON is opaque')
    case 'String':
      return draw.pick(['"a"', '"B"', '""', '"é"'])
  }
}

export const orderText = (draw: Draw, zoo: Zoo, entity: EntitySpec): string => {
  const one = (): string => {
    const direction = draw.pick(['ASC', 'DESC'])
    const toOnes = entity.joins.filter(isToOne)
    const join = toOnes.length > 0 && draw.oneIn(3) ? draw.pick(toOnes) : undefined
    const column = draw.pick(
      columnsOf(join ? specOf(zoo, join.target) : entity).filter((c) => !c.list && c.type !== 'JSON'),
    )
    const order = `{ ${column.name}: ${direction} }`
    return join ? `{ ${join.name}: ${order} }` : order
  }
  return draw.oneIn(3) ? `[${one()}, ${one()}]` : one()
}
