/** The feeds that a schema folder asks for. */
import type { Model, TableSource } from '../../model/model.ts'
import { type Config, connectionVariable } from '../../platform/config.ts'
import type { Sql } from '../../platform/postgres.ts'
import type { Feed } from '../feed.ts'
import { pollFeed } from './poll.ts'
import { slotFeed } from './slot-feed.ts'

export type Connections = Readonly<Record<string, string>>
type Read = { readonly topic: string; readonly table: TableSource; readonly entity: string }

const tablesOf = (model: Model): readonly Read[] => {
  const tables = new Map<string, Read>()
  for (const { name: entity, source } of model.entities.values())
    if (source.table) tables.set(source.topic, { topic: source.topic, table: source.table, entity })
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

/** One feed a polled table; one a connection for all that its slot follows. */
export const feedsOf = (
  model: Model,
  { connections = {}, journal }: Pick<Config, 'connections' | 'journal'>,
  sql: Sql,
): readonly Feed[] => {
  const { slotRetained } = journal
  const tables = tablesOf(model)
  const polls = tables.flatMap(({ topic, table }) => {
    const { poll } = table
    return poll ? [pollFeed({ url: connections[table.connection]!, topic, table: { ...table, poll }, sql })] : []
  })
  const followed = Map.groupBy(
    tables.filter(({ table }) => table.poll === undefined),
    ({ table }) => table.connection,
  )
  return [
    ...polls,
    ...[...followed].map(([connection, of]) =>
      slotFeed({ url: connections[connection]!, connection, entity: of[0]!.entity, tables: of, slotRetained }),
    ),
  ]
}
