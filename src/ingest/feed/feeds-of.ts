/** The feeds that a schema folder asks for. */
import type { Model, TableSource } from '../../model/model.ts'
import { connectionVariable } from '../../platform/config.ts'
import type { Sql } from '../../platform/postgres.ts'
import type { Feed } from '../feed.ts'
import { pollFeed } from './poll.ts'

export type Connections = Readonly<Record<string, string>>
type Read = { readonly topic: string; readonly table: TableSource }

const tablesOf = (model: Model): readonly Read[] => {
  const tables = new Map<string, Read>()
  for (const { source } of model.entities.values())
    if (source.table) tables.set(source.topic, { topic: source.topic, table: source.table })
  return [...tables.values()]
}

/** The variables that are missing, one line each. */
export const missingConnections = (model: Model, connections: Connections): readonly string[] => {
  const entities = [...model.entities.values()].filter(
    ({ source }) => source.table && !connections[source.table.connection],
  )
  const byName = Map.groupBy(entities, ({ source }) => source.table!.connection)
  return [...byName].map(
    ([name, users]) =>
      `${connectionVariable(name)} is missing; ${users.map((entity) => entity.name).join(', ')} ${users.length === 1 ? 'is' : 'are'} read from it: write a URL like postgres://user:password@host:5432/database`,
  )
}

export const feedsOf = (model: Model, connections: Connections, sql: Sql): readonly Feed[] =>
  tablesOf(model).flatMap(({ topic, table }) => {
    const { poll } = table
    const url = connections[table.connection]!
    if (!poll)
      throw new Error(`${topic} has no watermark, and following a table by its replication slot is not running yet`)
    return [pollFeed({ url, topic, table: { ...table, poll }, sql })]
  })
