/**
 * How a field of a view or part comes about: the directive it carries, resolved from the row's entity, with the type and the
 * nullability that the value has of itself. Whether the declared type agrees is judged in fields.ts.
 */
import { type FieldDefinitionNode, Kind } from 'graphql'
import type { Bucket } from '../event-time.ts'
import { type Produced, readAggregate, readNarrowing, readWalk, type Setting } from './aggregate-value.ts'
import { type Directive, directiveNamed, fieldOf, textOf } from './directive.ts'
import type { Folder } from './document.ts'
import { instead } from './fault.ts'
import { centuryMs, nameOfType, readDuration } from './literal.ts'
import { joinNames, noWalk, readPath, type Walk } from './path.ts'
import { entityRow, follow } from './row.ts'
import { isZone, optional } from './source.ts'

export const valueDirectives = ['from', 'list', 'first', 'count', 'sum', 'avg', 'min', 'max', 'expr'] as const

/** The value of every field but an @expr; undefined when it has a fault, which is then reported. */
export const readValue = (
  setting: Setting,
  field: FieldDefinitionNode,
  directive: Directive | undefined,
): Produced | undefined => {
  if (directive === undefined) return readPlain(setting, field)
  switch (directive.name) {
    case 'from':
      return readFrom(setting, directive)
    case 'list':
    case 'first':
      return readRows(setting, directive, directive.name)
    case 'count':
    case 'sum':
    case 'avg':
    case 'min':
    case 'max':
      return readAggregate(setting, directive, directive.name)
    default:
      return undefined
  }
}

const readPlain = (setting: Setting, field: FieldDefinitionNode): Produced | undefined => {
  const { of, scope, owner } = setting
  const name = field.name.value
  const row = entityRow(of)
  const column = row.columns.get(name)
  if (column !== undefined) return fromWalk(setting, { ...noWalk(of), column }, undefined)
  const join = row.joins.get(name)
  if (join?.many === true)
    return scope.report(
      field.name,
      `${owner}.${name} shows the to-many join ${of.name}.${name}`,
      `Add @list(of: "${name}", first: …, orderBy: …), or @count.`,
    )
  if (join !== undefined) {
    const target = follow(scope, of, join, { ...locate(field) })
    return target && fromWalk(setting, { joins: [join], many: -1, counted: of, end: target }, undefined)
  }
  if (scope.faulty.has(`${of.name}.${name}`)) return undefined
  return scope.report(
    field.name,
    `${owner}.${name} takes ${of.name}.${name}, which does not exist`,
    `${instead(name, [...row.columns.keys(), ...row.joins.keys()])} A field of another name or place needs @from(path: …).`,
  )
}

const locate = ({ name }: FieldDefinitionNode) => ({
  file: name.loc!.source.name,
  line: name.loc!.startToken.line,
  column: name.loc!.startToken.column,
})

const readFrom = (setting: Setting, directive: Directive): Produced | undefined => {
  const { scope, of } = setting
  const literal = directive.literal('path')
  const walk = literal && readPath(scope, of, literal)
  if (literal === undefined || walk === undefined) return undefined
  const many = walk.joins[walk.many]
  if (many !== undefined)
    return scope.report(
      literal,
      `@from follows ${many.name}, which is to-many`,
      'Use @list, @first, @count or another aggregate.',
    )
  const bucket = directive.literal('bucket')
  if (bucket === undefined) return fromWalk(setting, walk, undefined)
  if (
    walk.column === undefined ||
    walk.column.type.kind !== 'scalar' ||
    walk.column.type.scalar !== 'DateTime' ||
    walk.column.list
  )
    return scope.report(
      bucket,
      `a bucket truncates a DateTime, and this is ${walk.column === undefined ? 'a row' : nameOfType(walk.column.type)}`,
      walk.column !== undefined && nameOfType(walk.column.type) === 'Date'
        ? 'Bucketing a Date is not expressible: group by the Date itself.'
        : 'Remove it.',
    )
  const zone = fieldOf(bucket, 'zone')
  const zoneName = zone?.kind === Kind.STRING ? zone.value : 'UTC'
  if (!isZone(zoneName))
    return scope.report(zone ?? bucket, `"${zoneName}" is no time zone`, 'Write an IANA name such as "Europe/Berlin".')
  const lateness = fieldOf(bucket, 'lateness')
  const latenessMs = lateness?.kind === Kind.STRING ? readDuration(lateness.value) : 0
  if (latenessMs === undefined || latenessMs > centuryMs)
    return scope.report(
      lateness ?? bucket,
      'the lateness of a bucket is no duration of at most a century',
      'Write an ISO 8601 duration such as "PT15M"; months and years have no fixed length.',
    )
  const by = fieldOf(bucket, 'by')
  return by?.kind === Kind.ENUM
    ? fromWalk(setting, walk, { by: by.value as Bucket['by'], zone: zoneName, latenessMs })
    : undefined
}

const fromWalk = (setting: Setting, walk: Walk, bucket: Bucket | undefined): Produced => {
  const joins = joinNames(walk)
  const { column } = walk
  const nullable = whyNull(setting, walk)
  const type = column === undefined ? ({ kind: 'row', entity: walk.end } as const) : column.type
  return {
    type,
    list: column?.list ?? false,
    ...optional('nullable', nullable),
    value: (part) =>
      column === undefined
        ? { kind: 'part', joins, part: part ?? '' }
        : { kind: 'path', joins, column: column.name, ...optional('bucket', bucket) },
  }
}

/** Why the value at a to-one walk's end may be null, unless the view's condition rules it out. */
const whyNull = ({ known }: Setting, { joins, column }: Walk): string | undefined => {
  const path: string[] = []
  for (const join of joins) {
    path.push(join.name)
    if (!join.promised && !known.has(path.join('.'))) return `the join ${path.join('.')} is not promised`
  }
  if (column === undefined || column.nonNull) return undefined
  return known.has([...path, column.name].join('.')) ? undefined : `${column.name} may be null`
}

const readRows = (setting: Setting, directive: Directive, kind: 'list' | 'first'): Produced | undefined => {
  const { scope } = setting
  const walk = readWalk(setting, directive)
  const narrowed = walk && readNarrowing(setting, directive, walk)
  if (walk === undefined || narrowed === undefined) return undefined
  const literal = directive.literal('of')!
  if (setting.grouped)
    return scope.report(
      directive.node,
      `@${kind} stands in a grouped view, whose fields are aggregates`,
      'Use @count, @sum, @avg, @min or @max.',
    )
  if (walk.many < 0) return scope.report(literal, `@${kind} follows no to-many join`, 'Use @from.')
  if (walk.column?.list === true)
    return scope.report(
      literal,
      `${walk.column.name} is itself a list`,
      'End at a scalar, or show the list within a part.',
    )
  const first = directive.value('first')
  const limit = kind === 'first' ? 1 : typeof first === 'number' ? first : 1
  if (limit < 1 || limit > 10_000)
    return scope.report(directive.literal('first')!, `a list of the first ${limit}`, 'Ask for 1 to 10000.')
  const { column } = walk
  return {
    type: column === undefined ? { kind: 'row', entity: walk.end } : column.type,
    list: kind === 'list',
    ...(kind === 'first' ? { nullable: 'there may be no row' } : {}),
    value: (part) => ({
      kind,
      joins: joinNames(walk),
      many: walk.many,
      ...(column === undefined ? { part: part ?? '' } : { column: column.name }),
      ...narrowed,
      limit,
    }),
  }
}

export const valueDirective = (folder: Folder, field: FieldDefinitionNode): Directive | undefined =>
  valueDirectives.map((name) => directiveNamed(folder, field, name)).find((directive) => directive !== undefined)

export const expressionOf = (directive: Directive): string | undefined => textOf(directive.value('sql'))
