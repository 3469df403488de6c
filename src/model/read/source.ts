/** Where an entity's changes come from: its own words, then its domain's, then the defaults. */
import { type ConstValueNode, Kind } from 'graphql'
import type { Literal } from '../condition.ts'
import {
  type Column,
  type Format,
  isDebezium,
  type Place,
  type Source,
  type SourceEvent,
  type TimeUnit,
} from '../model.ts'
import { snakeCase } from '../names.ts'
import { fieldOf, itemsOf, textOf } from './directive.ts'
import { instead } from './fault.ts'
import { readLiteral } from './literal.ts'
import type { Scope } from './row.ts'
import { readsTable, readTable, type SourceFields, tableTopic } from './table-source.ts'

/** A source as written: the literal and its coerced fields. */
export type SourceWords = {
  readonly literal?: ConstValueNode | undefined
  readonly value: Readonly<Record<string, unknown>>
}

export const sourceWords = (literal: ConstValueNode | undefined, value: unknown): SourceWords => ({
  literal,
  value: typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {},
})

/** How a field's name becomes a source name where no @column says. */
export const namingOf = (own: SourceWords, domain: SourceWords): ((name: string) => string) => {
  switch (own.value.naming ?? domain.value.naming) {
    case 'AS_IS':
      return (name) => name
    case 'UPPER_SNAKE':
      return (name) => snakeCase(name).toUpperCase()
    default:
      return snakeCase
  }
}

export const readSource = (
  scope: Scope,
  entity: string,
  columns: readonly Column[],
  own: SourceWords,
  domain: SourceWords,
  at: Place,
): Source | undefined => {
  const find = (name: string) => fieldOf(own.literal, name) ?? fieldOf(domain.literal, name)
  const text = (name: string) => textOf(own.value[name] ?? domain.value[name])
  const format = (text('format') ?? 'DEBEZIUM') as Format
  const from = readOrigin(scope, entity, { own: (name) => fieldOf(own.literal, name), find, text }, at)
  if (from === undefined) return undefined
  const zone = text('zone') ?? 'UTC'
  const zoneNode = find('zone')
  if (zoneNode !== undefined && !isZone(zone))
    scope.report(zoneNode, `"${zone}" is no time zone`, 'Write an IANA name such as "Europe/Berlin".')
  const typeAt = steps(text('typeAt'))
  const eventsNode = find('events')
  if (typeAt !== undefined && isDebezium(format))
    scope.report(
      find('typeAt')!,
      `typeAt stands with format ${format}, whose records have no event type`,
      'Use format JSON, JSON_SCHEMA, AVRO or CLOUDEVENTS, or leave typeAt and events out.',
    )
  if (typeAt !== undefined && eventsNode === undefined)
    scope.report(
      find('typeAt')!,
      'typeAt without events would skip every record',
      'Add `events: [{ type: "…", op: UPSERT }]`.',
    )
  if (typeAt === undefined && eventsNode !== undefined)
    scope.report(
      eventsNode,
      'events without typeAt: nothing says which event a record is',
      'Add `typeAt: "path.of.the.type"`.',
    )
  const events = itemsOf(eventsNode).map((node) => readEvent(scope, entity, columns, node))
  repeated(scope, eventsNode)
  return {
    ...from,
    format,
    ...optional('version', steps(text('version'))),
    ...optional('time', steps(text('time'))),
    ...optional('unit', text('unit') as TimeUnit | undefined),
    zone,
    ...optional('each', steps(text('each'))),
    ...optional('typeAt', typeAt),
    ...(eventsNode === undefined ? {} : { events }),
  }
}

const readOrigin = (
  scope: Scope,
  entity: string,
  fields: SourceFields,
  at: Place,
): Pick<Source, 'topic' | 'table'> | undefined => {
  if (readsTable(fields)) {
    const topicNode = fields.own('topic')
    if (topicNode !== undefined)
      scope.report(topicNode, `${entity} has a topic and a table`, 'Keep one: a table is read without a topic.')
    const table = readTable(scope, entity, fields, at)
    return table && { topic: tableTopic(table), table }
  }
  const topic = fields.text('topic')
  if (topic === undefined || topic === '')
    return scope.report(
      at,
      `${entity} has no topic to read`,
      'Add `topic: "…"` to its source, or `connection` and `table`.',
    )
  return { topic }
}

const repeated = (scope: Scope, events: ConstValueNode | undefined): void => {
  const seen = new Set<string>()
  for (const node of itemsOf(events)) {
    const type = fieldOf(node, 'type')
    if (type?.kind !== Kind.STRING) continue
    if (seen.has(type.value)) scope.report(type, `event type "${type.value}" stands twice`, 'Keep one of them.')
    seen.add(type.value)
  }
}

const readEvent = (scope: Scope, entity: string, columns: readonly Column[], node: ConstValueNode): SourceEvent => {
  const map = new Map<string, readonly string[]>()
  const set = new Map<string, Literal>()
  const column = (name: string, at: ConstValueNode) => {
    const found = columns.find((known) => known.name === name)
    if (found === undefined && !scope.faulty.has(`${entity}.${name}`))
      scope.report(
        at,
        `${entity} has no stored field ${name}`,
        instead(
          name,
          columns.map((known) => known.name),
        ),
      )
    return found
  }
  for (const { name, value } of entries(scope, fieldOf(node, 'map'))) {
    if (column(name, value) === undefined) continue
    const path = value.kind === Kind.STRING ? steps(value.value) : undefined
    if (path === undefined) scope.report(value, `${name} is mapped to no path`, 'Write `"path.in.the.record"`.')
    else map.set(name, path)
  }
  for (const { name, value } of entries(scope, fieldOf(node, 'set'))) {
    const found = column(name, value)
    if (found === undefined) continue
    if (found.list)
      scope.report(value, `${name} is a list, which \`set\` can not give`, 'Map it to a path of the record.')
    else {
      const literal = readLiteral(value, found.type, scope.enums, scope.report)
      if (literal !== undefined) set.set(name, literal)
    }
  }
  const word = (name: string) => {
    const value = fieldOf(node, name)
    return value?.kind === Kind.STRING || value?.kind === Kind.ENUM ? value.value : undefined
  }
  return {
    type: word('type') ?? '',
    op: (word('op') ?? 'UPSERT') as SourceEvent['op'],
    ...optional('at', steps(word('at'))),
    map,
    set,
  }
}

const entries = (
  scope: Scope,
  node: ConstValueNode | undefined,
): readonly { name: string; value: ConstValueNode }[] => {
  if (node === undefined) return []
  if (node.kind !== Kind.OBJECT) {
    scope.report(node, 'not an object', 'Write `{ entityField: … }`.')
    return []
  }
  return node.fields.map((field) => ({ name: field.name.value, value: field.value }))
}

/** A dot steps inside. */
export const steps = (path: string | undefined): readonly string[] | undefined =>
  path === undefined || path === '' ? undefined : path.split('.')

/** An IANA zone by name; offsets are refused, since Postgres and ISO 8601 disagree on their sign. */
export const isZone = (zone: string): boolean => {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone })
    return /^[A-Za-z]/.test(zone)
  } catch {
    return false
  }
}

/** `{ [name]: value }`, or nothing: exact optional properties hold no undefined. */
export const optional = <Name extends string, Value>(
  name: Name,
  value: Value | undefined,
): { readonly [key in Name]?: Value } =>
  (value === undefined ? {} : { [name]: value }) as { readonly [key in Name]?: Value }
