/** Random views over given entities: plain fields, paths, parts, lists, first, aggregates, groups, expressions. */
import type { Draw } from './draw.ts'
import { type ColumnSpec, type EntitySpec, typeText } from './entity-arbitrary.ts'
import { expressionFields } from './expression-arbitrary.ts'
import { aggregateFields } from './measure-arbitrary.ts'
import { retentionText } from './retention-arbitrary.ts'
import { columnsOf, isToOne, pathText, walk, walkMany, type Zoo } from './walk-arbitrary.ts'
import { orderText, whereText } from './where-arbitrary.ts'

/** How deep a view's own fields are: parts can be in parts below them. */
const TOP = 2

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
  const text = draw.oneIn(3) ? groupedView(writer, root, where) : plainView(writer, root, where)
  return [...writer.parts, text].join('\n')
}

const plainView = (writer: Writer, root: EntitySpec, where: string): string => {
  const fields = shapeFields(writer, root, TOP)
  return `type ${writer.prefix} @view(of: "${root.name}"${where}) @allow(roles: [READER])${keptFor(writer, fields)} {\n${fields.join('\n')}\n}`
}

const keptFor = ({ draw }: Writer, fields: readonly string[]): string =>
  draw.oneIn(3) ? retentionText(draw, fields) : ''

const plainText = (column: ColumnSpec): string => `  ${column.name}: ${typeText(column)}`

/** Views only: a part's fields can't be searched. */
const searchText = (draw: Draw, { type, list }: ColumnSpec): string => {
  const possible = ['@filter', ...(list ? [] : ['@order', ...(['Boolean', 'Float'].includes(type) ? [] : ['@lookup'])])]
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
  const lines = [
    ...plain.map((c) => plainText(c) + (depth === TOP ? searchText(draw, c) : '')),
    ...computed.flat(),
    ...expressionFields(draw, plain),
  ]
  const told = { ...entity, columns: plain.filter((c) => !entity.key.includes(c) && c.nonNull && !c.list), joins: [] }
  return lines.map((line) => (draw.oneIn(8) ? shownBy(line, whereText(draw, writer.zoo, told)) : line))
}

/** What may be null, or is a list, may be shown by a condition, unless it rolls. */
const shownBy = (line: string, condition: string): string =>
  /^ {2}\w+: (\w+( |$)|\[)/.test(line) && !line.includes('window: {') ? `${line} @allow(when: ${condition})` : line

const computedField = (writer: Writer, entity: EntitySpec, depth: number): readonly string[] => {
  const { draw, zoo } = writer
  switch (draw.below(7)) {
    case 0:
      return pathField(writer, entity, nextName(writer), depth)
    case 1:
    case 2:
      return depth > 0 ? listField(writer, entity, nextName(writer), depth) : []
    case 3:
      return depth > 0 ? embeddedPart(writer, entity, nextName(writer), depth) : []
    default:
      return aggregateFields(draw, zoo, entity, {
        name: () => nextName(writer),
        searchable: depth === TOP,
        windowed: depth === TOP,
      })
  }
}

const nextName = (writer: Writer): string => `f${writer.count++}`

const pathField = ({ draw, zoo }: Writer, entity: EntitySpec, name: string, depth: number): readonly string[] => {
  const { joins, end } = walk(draw, zoo, entity, 1 + draw.below(2), isToOne)
  if (draw.oneIn(6)) return [bucketField(draw, zoo, entity, name)]
  const column = draw.pick(columnsOf(end))
  if (joins.length === 0) return []
  const nonNull = column.nonNull && joins.every((j) => j.promised) && !draw.oneIn(3)
  const search = depth === TOP ? searchText(draw, column) : ''
  return [`  ${name}: ${typeText({ ...column, nonNull })} @from(path: "${pathText(joins, column.name)}")${search}`]
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

const NO_GROUP = ['JSON', 'Float']

const groupedView = (writer: Writer, root: EntitySpec, where: string): string => {
  const { draw, zoo, prefix } = writer
  const keys: string[] = []
  const fields: string[] = []
  const groupable = columnsOf(root).filter((c) => !c.list && !NO_GROUP.includes(c.type))
  const few = groupable.filter((c) => ['kind', 'label', 'day', 'gone', 'area', 'spare'].includes(c.name))
  const plain = [draw.pick(few), ...draw.some(few, 4), ...draw.some(groupable, 12)]
  for (const column of plain.filter((c, i) => plain.indexOf(c) === i)) {
    keys.push(column.name)
    fields.push(plainText(column) + searchText(draw, column))
  }
  const { joins, end } = walk(draw, zoo, root, 1 + draw.below(3), isToOne)
  if (joins.length > 0 && draw.oneIn(2)) {
    const column = draw.pick([
      ...end.key,
      ...end.columns.filter((c) => ['kind', 'label', 'area', 'rate'].includes(c.name)),
    ])
    const nonNull = column.nonNull && joins.every((j) => j.promised) && draw.oneIn(2)
    keys.push('through')
    fields.push(`  through: ${typeText({ ...column, nonNull })} @from(path: "${pathText(joins, column.name)}")`)
  }
  if (draw.oneIn(3)) {
    keys.push('slot')
    fields.push(bucketField(draw, zoo, root, 'slot'))
  }
  fields.push('  members: Int! @count')
  for (let left = 1 + draw.below(3); left > 0; left--)
    fields.push(
      ...aggregateFields(draw, zoo, root, {
        name: () => nextName(writer),
        grouped: true,
        searchable: true,
        windowed: true,
      }),
    )
  const options = `of: "${root.name}"${where}, groupBy: ${JSON.stringify(keys)}`
  const rule = draw.oneIn(4) ? ' @rows(minGroup: 2)' : ''
  return `type ${prefix} @view(${options}) @allow(roles: [READER])${rule}${keptFor(writer, fields)} {\n${fields.join('\n')}\n}`
}

/** A moment of the row's own, or of what it points at; null where it may be. */
const bucketField = (draw: Draw, zoo: Zoo, root: EntitySpec, name: string): string => {
  const { joins, end } = walk(draw, zoo, root, draw.pick([0, 0, 1]), isToOne)
  const column = draw.pick(columnsOf(end).filter((c) => c.type === 'DateTime'))
  const nonNull = column.nonNull && joins.every((j) => j.promised)
  const lateness = draw.oneIn(3) ? ', lateness: "PT5M"' : ''
  const bucket = `{ by: ${draw.pick(['HOUR', 'MINUTE', 'DAY', 'WEEK'])}, zone: "${draw.pick(ZONES)}"${lateness} }`
  return `  ${name}: DateTime${nonNull ? '!' : ''} @from(path: "${pathText(joins, column.name)}", bucket: ${bucket})`
}
