/** Aggregates: over a path's last to-many join, or over a group's members. Each is computed alone. */

import type { OrderBy, Where } from '../condition.ts'
import type { Column, Entity, FieldValue, ValueType } from '../model.ts'
import type { Directive } from './directive.ts'
import type { Folder } from './document.ts'
import { nameOfType } from './literal.ts'
import { joinNames, noWalk, readPath, type Walk } from './path.ts'
import type { Scope } from './row.ts'
import { optional } from './source.ts'
import { entitySite, readOrderBy, readWhere } from './where.ts'
import { readWindow } from './window.ts'

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
  readonly part: boolean
  readonly known: ReadonlySet<string>
}

export const readWalk = ({ scope, of }: Setting, directive: Directive): Walk | undefined => {
  const literal = directive.literal('of')
  return literal && readPath(scope, of, literal)
}

/** `where` and `orderBy`, which speak of the row at the path's last to-many join. */
export const readNarrowing = (
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

export const readAggregate = (
  setting: Setting,
  directive: Directive,
  fn: 'count' | 'sum' | 'avg' | 'min' | 'max',
): Produced | undefined => {
  const { scope, of, grouped } = setting
  const literal = directive.literal('of')
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
  const rolling = directive.literal('window')
  const window = rolling && readWindow(setting, directive, rolling, walk)
  if (rolling !== undefined && window === undefined) return undefined
  const value: FieldValue = {
    kind: 'aggregate',
    fn,
    joins: joinNames(walk),
    many: walk.many,
    ...optional('column', column?.name),
    distinct,
    ...optional('where', narrowed.where),
    ...optional('window', window),
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
      if (scalar === 'Decimal') return { kind: 'scalar', scalar: 'Decimal', scale: Math.max((scale ?? 0) + 4, 6) }
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
