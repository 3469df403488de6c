/** @retention: how long the rows of an entity or a view are kept, and by which of their times. */
import type { Column, Retention, ViewRetention } from '../model.ts'
import type { FieldDraft } from './declared.ts'
import { type Directive, directiveNamed, textOf } from './directive.ts'
import type { Folder, TypeDeclaration } from './document.ts'
import { instead } from './fault.ts'
import { centuryMs, nameOfType, readDuration } from './literal.ts'
import type { Scope } from './row.ts'
import { optional } from './source.ts'

export const readRetention = (
  folder: Folder,
  scope: Scope,
  declaration: TypeDeclaration,
  columns: readonly Column[],
): Retention | undefined => {
  const directive = directiveNamed(folder, declaration, 'retention')
  if (directive === undefined) return undefined
  const { name } = declaration
  const ttlMs = readTtl(scope, directive, name)
  const at = directive.literal('on')
  const on = textOf(directive.value('on'))
  const fault = on === undefined || at === undefined ? undefined : columnFault(scope, name, on, columns)
  if (fault !== undefined) scope.report(at!, fault[0], fault[1])
  if (conflictOf(folder, declaration) === 'FIELD_CLOCK' && at !== undefined && fault === undefined) {
    scope.report(
      at,
      `${name} keeps a clock for each field, so that a row's age is that of its latest change`,
      'Leave `on` out, or use conflict: EVENT_TIME.',
    )
    return undefined
  }
  return ttlMs === undefined || fault !== undefined ? undefined : { ttlMs, ...optional('on', on) }
}

/** Of a view, whose rows are no one change's: `on` must be said. `grouped`: what its rows are grouped by. */
export const readViewRetention = (
  folder: Folder,
  scope: Scope,
  declaration: TypeDeclaration,
  fields: readonly FieldDraft[],
  grouped: readonly string[] | undefined,
): ViewRetention | undefined => {
  const directive = directiveNamed(folder, declaration, 'retention')
  if (directive === undefined) return undefined
  const { name } = declaration
  const ttlMs = readTtl(scope, directive, name)
  const on = textOf(directive.value('on'))
  const fitting = fields.filter((field) => fieldFault(field, grouped) === undefined).map((field) => field.name)
  if (on === undefined) {
    const remedy =
      fitting.length === 0
        ? 'Show a DateTime or Date of the row and name it, or put @retention on the entity.'
        : `Write on: "${fitting[0]}"${fitting.length > 1 ? `, or another of ${fitting.slice(1).join(', ')}` : ''}.`
    if (directive.literal('on') === undefined)
      scope.report(
        directive.node,
        `@retention of the view ${name} says no \`on\`: many changes make a row, and none of them tells its age`,
        remedy,
      )
    return undefined
  }
  const field = fields.find((known) => known.name === on)
  const fault = field && fieldFault(field, grouped)
  if (field?.value.kind === 'path' && fault === undefined)
    return ttlMs === undefined ? undefined : { ttlMs, on, value: field.value }
  const [problem, remedy] = fault ?? [`${name} has no field ${on}`, instead(on, fitting)]
  return scope.faulty.has(`${name}.${on}`) ? undefined : scope.report(directive.literal('on')!, problem, remedy)
}

/** What is stored with the row and no aggregate moves: then whether it goes is known from the row itself. */
const fieldFault = (
  { name, value, type, list, allow }: FieldDraft,
  grouped: readonly string[] | undefined,
): readonly [string, string] | undefined => {
  if (type.kind !== 'scalar' || (type.scalar !== 'DateTime' && type.scalar !== 'Date') || list)
    return [
      `rows would be kept by ${name}, ${list ? 'a list' : type.kind === 'part' ? 'a part' : `a ${nameOfType(type)}`}`,
      'Name a DateTime or Date of the view.',
    ]
  if (value.kind !== 'path')
    return [
      `rows would be kept by ${name}, which is computed`,
      'Name a field that takes a stored DateTime or Date over, of the root or by to-one joins.',
    ]
  if (grouped !== undefined && !grouped.includes(name))
    return [`rows would be kept by ${name}, which is no group key`, 'Name a field of groupBy.']
  if (allow?.when !== undefined)
    return [
      `rows would be kept by ${name}, which only some of them show`,
      'Name a field that is shown without a condition.',
    ]
  return undefined
}

const readTtl = (scope: Scope, directive: Directive, name: string): number | undefined => {
  const text = textOf(directive.value('ttl'))
  const ttlMs = text === undefined ? undefined : readDuration(text)
  const literal = directive.literal('ttl')
  if (literal === undefined || (ttlMs !== undefined && ttlMs > 0 && ttlMs <= centuryMs)) return ttlMs
  return scope.report(
    literal,
    `the ttl ${text === undefined ? '' : `"${text}" `}of ${name} is no duration above zero and of at most a century`,
    'Write an ISO 8601 duration such as "P180D"; months and years have no fixed length.',
  )
}

const conflictOf = (folder: Folder, declaration: TypeDeclaration): unknown =>
  directiveNamed(folder, declaration, 'entity')?.value('conflict')

const columnFault = (
  scope: Scope,
  name: string,
  on: string,
  columns: readonly Column[],
): readonly [string, string] | undefined => {
  if (scope.faulty.has(`${name}.${on}`)) return undefined
  const times = columns.filter(isTime)
  const column = columns.find((known) => known.name === on)
  if (column === undefined)
    return [
      `${name} has no stored field ${on}`,
      instead(
        on,
        times.map((time) => time.name),
      ),
    ]
  if (!isTime(column))
    return [
      `rows of ${name} would be kept by ${on}, ${column.list ? 'a list' : `a ${nameOfType(column.type)}`}`,
      'Name a DateTime or Date, or leave `on` out: the time of the latest change.',
    ]
  if (column.pii !== undefined)
    return [
      `whether a row of ${name} is kept depends on ${on}, which is ${column.pii.kind}: everyone would see it by the row's absence`,
      'Decide by a field that is no personal data.',
    ]
  return undefined
}

const isTime = ({ type, list }: Column): boolean =>
  !list && type.kind === 'scalar' && (type.scalar === 'DateTime' || type.scalar === 'Date')
