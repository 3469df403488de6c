/** Random views over given entities: plain fields, paths, parts, lists, first, aggregates, groups, expressions. */
import type { Draw } from './draw.ts'
import { type ColumnSpec, type EntitySpec, typeText } from './entity-arbitrary.ts'
import { aggregateField, expressionFields } from './measure-arbitrary.ts'
import { columnsOf, isToOne, pathText, walk, walkMany, type Zoo } from './walk-arbitrary.ts'
import { orderText, whereText } from './where-arbitrary.ts'

/** Collects field lines, and the parts that they need. */
type Writer = {
  readonly draw: Draw
  readonly zoo: Zoo
  readonly prefix: string
  readonly parts: string[]
  count: number
}

export const makeView = (draw: Draw, zoo: Zoo, index: number): string => {
  const writer: Writer = { draw, zoo, prefix: `V${index}`, parts: [], count: 0 }
  const root = draw.pick(zoo)
  const where = draw.oneIn(3) ? `, where: ${whereText(draw, zoo, root)}` : ''
  const text = draw.oneIn(3)
    ? groupedView(writer, root, where)
    : `type V${index} @view(of: "${root.name}"${where}) @allow(roles: [READER]) {\n${shapeFields(writer, root, 2).join('\n')}\n}`
  return [...writer.parts, text].join('\n')
}

const plainText = (column: ColumnSpec): string => `  ${column.name}: ${typeText(column)}`

/** Views only: a part's fields can't be searched. */
const searchText = (draw: Draw, { type, list }: ColumnSpec): string => {
  const possible = ['@filter', ...(list ? [] : ['@order', ...(type === 'Boolean' ? [] : ['@lookup'])])]
  return type === 'JSON'
    ? ''
    : draw
        .some(possible, 4)
        .map((directive) => ` ${directive}`)
        .join('')
}

const shapeFields = (writer: Writer, entity: EntitySpec, depth: number): readonly string[] => {
  const { draw } = writer
  const plain = [...entity.key, ...draw.some(entity.columns)]
  const computed = Array.from({ length: 1 + draw.below(4) }, () => computedField(writer, entity, depth))
  return [
    ...plain.map((c) => plainText(c) + (depth === 2 ? searchText(draw, c) : '')),
    ...computed.flat(),
    ...expressionFields(draw, plain),
  ]
}

const computedField = (writer: Writer, entity: EntitySpec, depth: number): readonly string[] => {
  const { draw, zoo } = writer
  const name = `f${writer.count++}`
  switch (draw.below(6)) {
    case 0:
      return aggregateField(draw, zoo, entity, name)
    case 1:
      return pathField(writer, entity, name)
    case 2:
    case 3:
      return depth > 0 ? listField(writer, entity, name, depth) : []
    case 4:
      return depth > 0 ? embeddedPart(writer, entity, name, depth) : []
    default:
      return aggregateField(draw, zoo, entity, name)
  }
}

const pathField = ({ draw, zoo }: Writer, entity: EntitySpec, name: string): readonly string[] => {
  const { joins, end } = walk(draw, zoo, entity, 1 + draw.below(2), isToOne)
  const column = draw.pick(columnsOf(end))
  if (joins.length === 0) return []
  const nonNull = column.nonNull && joins.every((j) => j.promised) && !draw.oneIn(3)
  return [`  ${name}: ${typeText({ ...column, nonNull })} @from(path: "${pathText(joins, column.name)}")`]
}

const makePart = (writer: Writer, of: EntitySpec, depth: number): string => {
  const name = `${writer.prefix}P${writer.count++}`
  const fields = shapeFields(writer, of, depth - 1)
  writer.parts.push(`type ${name} @part(of: "${of.name}") {\n${fields.join('\n')}\n}`)
  return name
}

const embeddedPart = (writer: Writer, entity: EntitySpec, name: string, depth: number): readonly string[] => {
  const { draw, zoo } = writer
  const { joins, end } = walk(draw, zoo, entity, 1 + draw.below(2), isToOne)
  if (joins.length === 0) return []
  const nonNull = joins.every((j) => j.promised) && !draw.oneIn(3)
  return [`  ${name}: ${makePart(writer, end, depth)}${nonNull ? '!' : ''} @from(path: "${pathText(joins)}")`]
}

const listField = (writer: Writer, entity: EntitySpec, name: string, depth: number): readonly string[] => {
  const { draw, zoo } = writer
  const many = walkMany(draw, zoo, entity)
  if (!many) return []
  const where = draw.oneIn(2) ? `, where: ${whereText(draw, zoo, many.end)}` : ''
  const orderBy = `, orderBy: ${orderText(draw, zoo, many.end)}`
  const single = draw.oneIn(3)
  const directive = (path: string): string =>
    single
      ? `@first(of: "${path}"${where}${orderBy})`
      : `@list(of: "${path}"${where}, first: ${1 + draw.below(4)}${orderBy})`
  if (draw.oneIn(2)) {
    const part = makePart(writer, many.end, depth)
    return [`  ${name}: ${single ? part : `[${part}!]!`} ${directive(pathText(many.joins))}`]
  }
  const tail = walk(draw, zoo, many.end, draw.below(2), isToOne)
  const column = draw.pick(columnsOf(tail.end).filter((c) => !c.list && c.type !== 'JSON'))
  return [
    `  ${name}: ${single ? column.type : `[${column.type}!]!`} ${directive(pathText([...many.joins, ...tail.joins], column.name))}`,
  ]
}

const ZONES = ['UTC', 'America/New_York', 'Asia/Kolkata', 'Europe/Berlin']

const groupedView = (writer: Writer, root: EntitySpec, where: string): string => {
  const { draw, zoo, prefix } = writer
  const keys: string[] = []
  const fields: string[] = []
  const groupable = columnsOf(root).filter((c) => ['kind', 'label', 'day', 'gone', 'area', 'spare'].includes(c.name))
  for (const column of [draw.pick(groupable), ...draw.some(groupable, 4)].filter((c, i, all) => all.indexOf(c) === i)) {
    keys.push(column.name)
    fields.push(plainText(column))
  }
  const { joins, end } = walk(draw, zoo, root, 1 + draw.below(2), isToOne)
  if (joins.length > 0 && draw.oneIn(2)) {
    const column = draw.pick([...end.key, ...end.columns.filter((c) => ['kind', 'label', 'area'].includes(c.name))])
    const nonNull = column.nonNull && joins.every((j) => j.promised) && draw.oneIn(2)
    keys.push('through')
    fields.push(`  through: ${typeText({ ...column, nonNull })} @from(path: "${pathText(joins, column.name)}")`)
  }
  if (draw.oneIn(3)) {
    keys.push('slot')
    const bucket = `{ by: ${draw.pick(['HOUR', 'MINUTE', 'DAY', 'WEEK'])}, zone: "${draw.pick(ZONES)}" }`
    fields.push(`  slot: DateTime! @from(path: "at", bucket: ${bucket})`)
  }
  fields.push('  members: Int! @count')
  for (let left = 1 + draw.below(3); left > 0; left--)
    fields.push(...aggregateField(draw, zoo, root, `f${writer.count++}`, true))
  const options = `of: "${root.name}"${where}, groupBy: ${JSON.stringify(keys)}`
  return `type ${prefix} @view(${options}) @allow(roles: [READER]) {\n${fields.join('\n')}\n}`
}
