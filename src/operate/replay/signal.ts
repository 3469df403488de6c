/**
 * Debezium's signal `execute-snapshot`: reads a table anew, in chunks, while the connector streams on. What it needs to know stands in
 * the records that came of that table: the connector's prefix, and the table's own name, which a topic's name may have lost.
 * https://debezium.io/documentation/reference/configuration/signalling.html
 */
import { randomUUID } from 'node:crypto'
import { Kafka, logLevel } from 'kafkajs'
import type { LogRecord } from '../../ingest/change.ts'
import { journalSource } from '../../ingest/source/journal.ts'
import { kafkaSource } from '../../ingest/source/kafka.ts'
import type { LogSource } from '../../ingest/source.ts'
import type { Config } from '../../platform/config.ts'
import { connectionOptions } from '../../platform/kafka.ts'
import { connect, type Sql } from '../../platform/postgres.ts'
import { present } from '../../platform/present.ts'

/** `prefix`: the connector's topic.prefix. `collection`: the table as the connector calls it. */
export type Captured = { readonly prefix: string; readonly collection: string }

/** Records looked at, from the end of each partition. */
const lookedAt = 100n

/** The log that the topic is in, to be asked and stopped. */
export const openLog = (config: Config, sql: Sql, topic: string): LogSource =>
  config.kafkaBrokers
    ? kafkaSource({
        brokers: config.kafkaBrokers,
        ...present({ security: config.kafkaSecurity }),
        topics: [topic],
        groupId: 'forebay',
        maxLagMs: 10_000,
      })
    : journalSource({ sql, topics: [topic] })

/** Throws where no record says; Avro's would take the registry to be read. */
export const findCaptured = async (source: LogSource, topic: string): Promise<Captured> => {
  const ranges = (await source.extents()).map(({ topic, partition, start, end }) => ({
    topic,
    partition,
    from: end - lookedAt > start ? end - lookedAt : start,
    until: end,
  }))
  for await (const { records } of source.reread(ranges, new AbortController().signal)) {
    for (const record of records.toReversed()) {
      const captured = capturedIn(record)
      if (captured) return captured
    }
  }
  throw new Error(
    `no late record of ${topic} says which table it came from (its JSON has no source block): name it with --table, as the connector does, and the connector's topic.prefix with --prefix`,
  )
}

const capturedIn = ({ value }: LogRecord): Captured | undefined => {
  if (value === null) return undefined
  try {
    const document = JSON.parse(value.toString()) as { payload?: unknown }
    const { source } = (document.payload ?? document) as { source?: Record<string, unknown> }
    const { name, db, schema, table } = source ?? {}
    if (typeof name !== 'string' || typeof table !== 'string') return undefined
    // SQL Server and Oracle name all three; Postgres leaves the database out, MySQL has no schema.
    const parts = source?.connector === 'postgresql' ? [schema, table] : [db, schema, table]
    return { prefix: name, collection: parts.filter((part) => typeof part === 'string').join('.') }
  } catch {
    return undefined
  }
}

const dataOf = ({ collection }: Captured) => ({ 'data-collections': [collection], type: 'INCREMENTAL' })

/** Through the topic that the connector's `signal.kafka.topic` names; the key says which connector is meant. */
export const signalByTopic = async (config: Config, topic: string, captured: Captured): Promise<void> => {
  if (!config.kafkaBrokers) throw new Error('KAFKA_BROKERS is not set, so there is no topic to signal through')
  const kafka = new Kafka({
    clientId: 'forebay-signal',
    ...connectionOptions(config.kafkaBrokers, config.kafkaSecurity),
    logLevel: logLevel.NOTHING,
    retry: { retries: 3 },
  })
  const producer = kafka.producer({ allowAutoTopicCreation: false })
  try {
    await producer.connect()
    const value = JSON.stringify({ type: 'execute-snapshot', data: dataOf(captured) })
    await producer.send({ topic, messages: [{ key: captured.prefix, value, partition: 0 }], acks: -1 })
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new Error(`the signal topic ${topic} can't be written: ${why}`, { cause: error })
  } finally {
    await producer.disconnect().catch(() => {})
  }
}

const quoted = (name: string): string =>
  name
    .split('.')
    .map((part) => `"${part.replaceAll('"', '""')}"`)
    .join('.')

/** Through the table that the connector's `signal.data.collection` names. */
export const signalByTable = async (url: string, table: string, captured: Captured): Promise<void> => {
  const sql = connect(url, { max: 1, name: 'signal' })
  try {
    await sql.unsafe(`insert into ${quoted(table)} (id, type, data) values ($1, $2, $3)`, [
      randomUUID(),
      'execute-snapshot',
      JSON.stringify(dataOf(captured)),
    ])
  } finally {
    await sql.end({ timeout: 1 })
  }
}

/** What to run at the source where it can't be done from here. */
export const byHand = (captured: Captured): readonly string[] => [
  `Ask Debezium (connector ${captured.prefix}) for an incremental snapshot of ${captured.collection}, in one of these ways:`,
  `  in the source database, into the connector's signal.data.collection:`,
  `    insert into debezium_signal (id, type, data) values ('${randomUUID()}', 'execute-snapshot', '${JSON.stringify(dataOf(captured))}');`,
  `  or through Kafka, into the connector's signal.kafka.topic, with the key ${captured.prefix}:`,
  `    ${JSON.stringify({ type: 'execute-snapshot', data: dataOf(captured) })}`,
  `Or let this do it: --signal-topic TOPIC, or --signal-table TABLE with --connection NAME (FOREBAY_CONNECTION_<NAME>).`,
]
