/** A source that is a table, read by the engine itself: by replication slot, or by a poll along a watermark. */
import type { ConstValueNode } from 'graphql'
import type { Place, Poll, TableSource } from '../model.ts'
import { readDuration } from './literal.ts'
import type { Scope } from './row.ts'

export type SourceFields = {
  /** As written in the entity's own source. */
  own(name: string): ConstValueNode | undefined
  /** The entity's own, else the domain's. */
  find(name: string): ConstValueNode | undefined
  text(name: string): string | undefined
}

/** The topic that holds a table's changes. No name in it has a dot, so no two tables share one. */
export const tableTopic = ({ connection, schema, name }: TableSource): string => `${connection}.${schema}.${name}`

const pollWords = ['every', 'overlap', 'sweep'] as const

/** Undefined where it was reported. */
export const readTable = (scope: Scope, entity: string, fields: SourceFields, at: Place): TableSource | undefined => {
  const { find, text } = fields
  const connection = text('connection')
  const table = text('table')
  if (connection === undefined || table === undefined) {
    const [given, missing] = connection === undefined ? ['table', 'connection'] : ['connection', 'table']
    return scope.report(at, `${entity} has a ${given} without a ${missing}`, `Add \`${missing}: "…"\` to its source.`)
  }
  // It becomes part of a variable's name, of a slot's and of a topic's.
  if (!/^[a-z][a-z0-9_]{0,39}$/.test(connection))
    scope.report(
      find('connection') ?? at,
      `"${connection}" can't name a connection`,
      'Write lower-case letters, digits and underscores: `connection: "crm"` is FOREBAY_CONNECTION_CRM.',
    )
  const [schema, name, ...rest] = table.includes('.') ? table.split('.') : ['public', table]
  if (schema === '' || name === undefined || name === '' || rest.length > 0)
    scope.report(find('table') ?? at, `"${table}" names no table`, 'Write `"table"` or `"schema.table"`.')
  const format = text('format')
  if (format !== undefined && format !== 'DEBEZIUM')
    scope.report(
      find('format') ?? at,
      `${entity} reads a table, whose records are never ${format}`,
      'Leave the format out.',
    )
  const poll = readPoll(scope, entity, fields, at)
  return { connection, schema: schema ?? '', name: name ?? '', ...(poll ? { poll } : {}) }
}

const readPoll = (scope: Scope, entity: string, { own, find, text }: SourceFields, at: Place): Poll | undefined => {
  const watermark = text('watermark')
  if (watermark === undefined) {
    for (const name of pollWords)
      if (own(name) !== undefined)
        scope.report(
          own(name)!,
          `${entity} has \`${name}\` without a watermark`,
          'A table without one is followed by its replication slot, which knows no polls: leave it out.',
        )
    return undefined
  }
  const duration = (name: (typeof pollWords)[number], fallback: number, least: number): number => {
    const ms = text(name) === undefined ? fallback : readDuration(text(name)!)
    if (ms !== undefined && ms >= least && ms <= 2 ** 31 - 1) return ms
    scope.report(
      find(name) ?? at,
      `${name} is no duration ${least > 0 ? 'above zero' : 'from zero'} to 24 days`,
      'Write an ISO 8601 duration such as "PT5S"; months and years have no fixed length.',
    )
    return fallback
  }
  return {
    watermark,
    everyMs: duration('every', 1_000, 1),
    overlapMs: duration('overlap', 30_000, 0),
    sweepMs: duration('sweep', 900_000, 0),
  }
}

/** The entity's own `topic` stands against its domain's connection, its own `table` against its domain's topic. */
export const readsTable = ({ own, find, text }: SourceFields): boolean => {
  if (own('table') ?? own('connection')) return true
  if (own('topic')) return false
  return find('table') !== undefined || (find('connection') !== undefined && text('topic') === undefined)
}
