/**
 * How a field of a view or part comes about: the directive it carries, resolved from the row's entity, with the type and the
 * nullability that the value has of itself. Whether the declared type agrees is judged in fields.ts.
 */
import { type FieldDefinitionNode, Kind } from 'graphql'
import { type Directive, directiveNamed, fieldOf, textOf } from './directive.ts'
import type { Folder } from './document.ts'
import { instead } from './fault.ts'
import { nameOfType, readDuration } from './literal.ts'
import type { Bucket, Column, Entity, FieldValue, OrderBy, ValueType, Where } from './model.ts'
import { joinNames, noWalk, readPath, type Walk } from './path.ts'
import { entityRow, follow, type Scope } from './row.ts'
import { isZone, optional } from './source.ts'
import { entitySite, readOrderBy, readWhere } from './where.ts'

/** `row`: the value is an object, a part of that entity. `nullable`: why it can be null; absent: it can't. */
export type Produced = {
  readonly type: ValueType | { readonly kind: 'row'; readonly entity: Entity }
  readonly list: boolean
  readonly nullable?: string
  /** Gives the value once the declared part's name is known. */
  readonly value: (part: string | undefined) => FieldValue
}
/** What a field is read in. `grouped`: rows of `of` are members of groups. `known`: what the view's condition rules null out of. */
export type Setting = {
  readonly folder: Folder
  readonly scope: Scope
  readonly owner: string
  readonly of: Entity
  readonly grouped: boolean
  readonly known: ReadonlySet<string>
}

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
  if (lateness?.kind === Kind.STRING && readDuration(lateness.value) !== 0)
    return scope.report(
      lateness,
      '`lateness` of a bucket is not running yet',
      'Leave it out: rows change whenever a late event arrives.',
    )
  const by = fieldOf(bucket, 'by')
  return by?.kind === Kind.ENUM ? fromWalk(setting, walk, { by: by.value as Bucket['by'], zone: zoneName }) : undefined
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
  const walk = readCounted(setting, directive)
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

const readCounted = ({ scope, of }: Setting, directive: Directive): Walk | undefined => {
  const literal = directive.literal('of')
  return literal && readPath(scope, of, literal)
}

/** `where` and `orderBy`, which speak of the row at the path's last to-many join. */
const readNarrowing = (
  { scope }: Setting,
  directive: Directive,
  walk: Walk,
): { readonly where?: Where; readonly orderBy: readonly OrderBy[] } | undefined => {
  const literal = directive.literal('where')
  const where = literal && readWhere(scope, entitySite(walk.counted), literal)
  const orderBy = readOrderBy(scope, walk.counted, directive.literal('orderBy'))
  if (orderBy === undefined || (literal !== undefined && where === undefined)) return undefined
  return { ...optional('where', where), orderBy }
}

const readAggregate = (
  setting: Setting,
  directive: Directive,
  fn: 'count' | 'sum' | 'avg' | 'min' | 'max',
): Produced | undefined => {
  const { scope, of, grouped } = setting
  const literal = directive.literal('of')
  const window = directive.literal('window')
  if (window !== undefined)
    scope.report(window, '`window` is not running yet', 'Leave the field out, or count without a window.')
  if (literal === undefined && !grouped)
    return fn === 'count'
      ? scope.report(
          directive.node,
          '@count says not of what',
          'Write @count(of: "aToManyJoin"); only a grouped view counts its members.',
        )
      : undefined
  const walk = literal === undefined ? noWalk(of) : readPath(scope, of, literal)
  const narrowed = walk && readNarrowing(setting, directive, walk)
  if (walk === undefined || narrowed === undefined) return undefined
  const { column } = walk
  if (walk.many < 0 && !grouped)
    return scope.report(
      literal!,
      `@${fn} follows no to-many join`,
      'Start the path at a to-many join, or show the one value with @from.',
    )
  if (column === undefined && fn !== 'count')
    return scope.report(
      literal!,
      `@${fn} ends at rows of ${walk.end.name}, not at a value`,
      `End the path at a field: "${joinNames(walk).join('.')}.…".`,
    )
  if (column === undefined && walk.many < walk.joins.length - 1)
    return scope.report(
      literal!,
      '@count ends at a to-one join',
      'End at a to-many join to count rows, or at a scalar to count its values.',
    )
  const distinct = directive.value('distinct') === true
  if (distinct && column === undefined)
    return scope.report(
      directive.literal('distinct')!,
      'distinct rows: every row is',
      'End the path at the scalar whose values are to differ.',
    )
  const type = column === undefined ? ({ kind: 'scalar', scalar: 'Int' } as const) : aggregateType(fn, column, distinct)
  if (typeof type === 'string')
    return scope.report(literal!, `@${fn} of ${column!.name}: ${type}`, aggregateRemedy(fn, column!))
  const value: FieldValue = {
    kind: 'aggregate',
    fn,
    joins: joinNames(walk),
    many: walk.many,
    ...optional('column', column?.name),
    distinct,
    ...optional('where', narrowed.where),
  }
  const never = fn === 'count' || fn === 'sum'
  return { type, list: false, ...(never ? {} : { nullable: 'there may be no row' }), value: () => value }
}

/** The type of an aggregate of a column; text: why there is none. */
const aggregateType = (
  fn: 'count' | 'sum' | 'avg' | 'min' | 'max',
  column: Column,
  distinct: boolean,
): ValueType | string => {
  if (column.list) return 'it is a list'
  const { type } = column
  const scalar = type.kind === 'scalar' ? type.scalar : undefined
  const scale = type.kind === 'scalar' ? type.scale : undefined
  const whole = scalar === 'Int' || scalar === 'Long'
  switch (fn) {
    case 'count':
      if (distinct && (scalar === 'Float' || scalar === 'JSON')) return `values of ${scalar} do not compare exactly`
      return { kind: 'scalar', scalar: 'Int' }
    case 'sum':
      if (whole) return { kind: 'scalar', scalar: 'Long' }
      if (scalar === 'Decimal') return type
      return scalar === 'Float'
        ? 'a sum of Float depends on the order of its rows'
        : `a ${nameOfType(type)} is no number`
    case 'avg':
      if (whole) return { kind: 'scalar', scalar: 'Decimal', scale: 6 }
      if (scalar === 'Decimal')
        return { kind: 'scalar', scalar: 'Decimal', scale: scale === undefined ? 16 : Math.max(scale + 4, 6) }
      return scalar === 'Float'
        ? 'an average of Float depends on the order of its rows'
        : `a ${nameOfType(type)} is no number`
    case 'min':
    case 'max':
      if (scalar === undefined || scalar === 'Boolean' || scalar === 'JSON') return `a ${nameOfType(type)} has no order`
      return type
  }
}

const aggregateRemedy = (fn: string, column: Column): string =>
  column.type.kind === 'scalar' && column.type.scalar === 'Float' && (fn === 'sum' || fn === 'avg')
    ? `Declare ${column.name} Decimal.`
    : `Use @${fn} of a ${fn === 'count' ? 'scalar that compares exactly' : fn === 'min' || fn === 'max' ? 'number, time or text' : 'number'}.`

export const valueDirective = (folder: Folder, field: FieldDefinitionNode): Directive | undefined =>
  valueDirectives.map((name) => directiveNamed(folder, field, name)).find((directive) => directive !== undefined)

export const expressionOf = (directive: Directive): string | undefined => textOf(directive.value('sql'))
