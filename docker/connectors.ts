/** Gives Kafka Connect the shop's Debezium connectors, one a topic prefix, as a team a database would have them. Run once. */
import { setTimeout as sleep } from 'node:timers/promises'
import { connectors } from '../schema/simulation/source-sql.ts'

/** What Forebay needs of Debezium's Postgres connector, and nothing else: exact decimals, ISO times, truncates, tombstones, order. */
export function connectorConfig(prefix: string, tables: string, database: URL): Readonly<Record<string, string>> {
  return {
    'connector.class': 'io.debezium.connector.postgresql.PostgresConnector',
    'tasks.max': '1',
    'database.hostname': database.hostname,
    'database.port': database.port || '5432',
    'database.user': decodeURIComponent(database.username),
    'database.password': decodeURIComponent(database.password),
    'database.dbname': database.pathname.slice(1),
    'topic.prefix': prefix,
    'table.include.list': tables,
    'plugin.name': 'pgoutput',
    'slot.name': `${prefix}_slot`,
    'publication.name': `${prefix}_publication`,
    'publication.autocreate.mode': 'filtered',
    'snapshot.mode': 'initial',
    'decimal.handling.mode': 'string',
    'time.precision.mode': 'isostring',
    // By default truncates are left out.
    'skipped.operations': 'none',
    'tombstones.on.delete': 'true',
    'provide.transaction.metadata': 'true',
    'heartbeat.interval.ms': '1000',
    // Passes through the source's log, so that offsets go on while its tables are at rest, and the slot lets the log go.
    'heartbeat.action.query': `select pg_logical_emit_message(false, 'heartbeat', '')`,
    'poll.interval.ms': '20',
    'topic.creation.default.partitions': '4',
    'topic.creation.default.replication.factor': '1',
  }
}

/** PUT is the same however often it is sent, so it is sent until Connect takes it. */
async function put(connect: string, name: string, config: Readonly<Record<string, string>>): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  for (let left = 60; ; left -= 1) {
    const said = await fetch(`${connect}/connectors/${name}/config`, {
      method: 'PUT',
      headers,
      body: JSON.stringify(config),
    }).then(
      async (response) => (response.ok ? undefined : `${response.status} ${await response.text()}`),
      (error: unknown) => String(error),
    )
    if (said === undefined) return
    if (left === 0) throw new Error(`Kafka Connect at ${connect} doesn't take the connector ${name}: ${said}`)
    await sleep(1_000)
  }
}

if (import.meta.main) {
  const { CONNECT_URL, SOURCE_DATABASE_URL } = process.env
  if (!CONNECT_URL || !SOURCE_DATABASE_URL) throw new Error('Set CONNECT_URL and SOURCE_DATABASE_URL.')
  for (const { prefix, tables } of connectors) {
    await put(CONNECT_URL, prefix, connectorConfig(prefix, tables, new URL(SOURCE_DATABASE_URL)))
    process.stdout.write(`connector ${prefix}: ${tables}\n`)
  }
}
