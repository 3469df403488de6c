/**
 * Debezium's JDBC sink on a Kafka Connect worker: the bench's topics into flat tables, by upsert, deletes included. One connector a
 * topic, since the schema that the records lack is said by each one's converter.
 */
import { randomUUID } from 'node:crypto'
import { startSinkConnect } from '../../support/connect.ts'
import { type Table, tables } from '../changes.ts'
import { columns, namesOf } from '../expected.ts'
import type { Database } from '../stand.ts'

const batch = 5_000

export type JdbcSink = {
  /** Consumer groups whose committed offsets say how far it is. */
  readonly groups: readonly string[]
  stop(): Promise<void>
}

/** Its tables are public ones, named as the bench's. */
export const startJdbcSink = async (brokers: readonly string[], { sql, url }: Database): Promise<JdbcSink> => {
  for (const table of tables) await sql.unsafe(`create table public.${table} (${columns[table]}, primary key (id))`)
  const connect = await startSinkConnect(brokers)
  const name = (table: Table): string => `sink-${table}-${randomUUID().slice(0, 8)}`
  const named = tables.map((table) => [table, name(table)] as const)
  try {
    await Promise.all(named.map(([table, connector]) => connect.createConnector(connector, settings(table, url))))
  } catch (error) {
    await connect.kill9()
    throw error
  }
  return { groups: named.map(([, connector]) => `connect-${connector}`), stop: () => connect.kill9() }
}

const settings = (table: Table, url: string): Readonly<Record<string, string>> => {
  const { hostname, port, pathname, username, password } = new URL(url)
  const converter = (schema: object, of: 'key' | 'value') => ({
    [`${of}.converter`]: 'org.apache.kafka.connect.json.JsonConverter',
    [`${of}.converter.schemas.enable`]: 'true',
    [`${of}.converter.schema.content`]: JSON.stringify(schema),
  })
  return {
    'connector.class': 'io.debezium.connector.jdbc.JdbcSinkConnector',
    'tasks.max': '1',
    topics: `bench.${table}`,
    // As it is fastest: many rows a statement, of which none may come twice.
    'connection.url': `jdbc:postgresql://${hostname}:${port}${pathname}?stringtype=unspecified&reWriteBatchedInserts=true`,
    'connection.username': username,
    'connection.password': decodeURIComponent(password),
    'insert.mode': 'upsert',
    'primary.key.mode': 'record_key',
    'delete.enabled': 'true',
    'schema.evolution': 'none',
    'collection.name.format': `public.${table}`,
    'batch.size': String(batch),
    'use.reduction.buffer': 'true',
    'consumer.override.max.poll.records': String(batch),
    'consumer.override.fetch.min.bytes': '1',
    ...converter(struct([text('id', false)], 'bench.Key', false), 'key'),
    ...converter(envelope(table), 'value'),
  }
}

type Schema = Readonly<Record<string, unknown>>
const struct = (fields: readonly Schema[], name: string, optional = true): Schema => ({
  type: 'struct',
  fields,
  name,
  optional,
})
const text = (field: string, optional = true): Schema => ({ field, type: 'string', optional })
const long = (field: string): Schema => ({ field, type: 'int64', optional: true })

const envelope = (table: Table): Schema => {
  const fields = namesOf(table)
    .split(', ')
    .map((field) => text(field, field !== 'id'))
  const row = struct(fields, `bench.${table}.Value`)
  const source = struct(
    [
      ...['version', 'connector', 'name', 'db', 'schema', 'table'].map((field) => text(field)),
      long('ts_ms'),
      long('lsn'),
    ],
    'io.debezium.connector.postgresql.Source',
  )
  return struct(
    [
      { ...row, field: 'before' },
      { ...row, field: 'after' },
      { ...source, field: 'source' },
      text('op', false),
      long('ts_ms'),
    ],
    `bench.${table}.Envelope`,
    false,
  )
}
