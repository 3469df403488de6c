/** source ─► decode ─► apply: what moves positions. Maintenance follows by the dirty log alone. */
import type { Model } from '../model/model.ts'
import type { DatabaseClock } from '../platform/clock.ts'
import type { Config } from '../platform/config.ts'
import { connect, type Sql } from '../platform/postgres.ts'
import { present } from '../platform/present.ts'
import { type Applied, createApplier } from './apply/apply.ts'
import { createDecoder, type Decoder } from './decode.ts'
import { feedsOf } from './feed/feeds-of.ts'
import { observedSource } from './feed/observed.ts'
import { type Feeds, startFeeds } from './feed/run.ts'
import { type Catalog, topicsRead } from './generations.ts'
import { type Pump, startPump, usualLanes } from './pump/pump.ts'
import { watchQuarantine } from './quarantine-watch.ts'
import { type OpenedSchemas, openSchemas, registeredTopics } from './registry/open.ts'
import { frozen, plans, statementMs } from './session-settings.ts'
import { compositeSource } from './source/composite.ts'
import { journalSource } from './source/journal.ts'
import { kafkaSource } from './source/kafka.ts'
import type { LogSource } from './source.ts'

export type IntakeOptions = {
  readonly config: Config & { readonly databaseUrl: string }
  readonly model: Model
  readonly sql: Sql
  readonly catalog: Catalog
  readonly clock: DatabaseClock
  /** The smallest promise of any view. */
  readonly maxLagMs: number
  /** After each commit. */
  readonly applied: (result: Applied) => void
  /** This process can't go on; the pump has stopped. */
  readonly failed: (error: Error) => void
}
export type Intake = {
  readonly source: LogSource
  readonly topics: readonly string[]
  /** Who reads a topic. */
  readonly entitiesOf: (topic: string) => readonly string[]
  readonly pump: Pump
  readonly decoder: Decoder
  readonly schemas: OpenedSchemas
  /** Begins to read; what came before it (an observer, a maintainer) sees all of it. */
  start(): Promise<void>
  stop(): Promise<void>
}

export const openIntake = ({
  config,
  model,
  sql,
  catalog,
  clock,
  maxLagMs,
  applied,
  failed,
}: IntakeOptions): Intake => {
  const schemas = openSchemas(sql, config.schemaRegistry)
  const decoder = createDecoder(model, schemas)
  const readers = Map.groupBy(model.entities.values(), ({ source }) => source.topic)
  const entitiesOf = (topic: string) => (readers.get(topic) ?? []).map(({ name }) => name)
  const feeds = startFeeds({
    databaseUrl: config.databaseUrl,
    sql,
    clock,
    feeds: feedsOf(model, config, sql),
    room: config.journal.room,
    entitiesOf,
  })
  const source = logOf(config, sql, decoder.topics, feeds, maxLagMs)
  const quarantine = watchQuarantine({ sql, cap: config.quarantineCap, read: () => topicsRead(catalog) })
  const writer = connect(config.databaseUrl, {
    max: usualLanes,
    name: 'apply',
    statementTimeoutMs: statementMs,
    settings: { ...plans, ...frozen },
  })
  const pump = startPump({
    sql,
    source,
    decoder,
    schemas,
    applier: createApplier(writer, model, catalog, config.quarantineCap),
    applied,
    quarantined: () => quarantine.check(),
    failed: (reason) => failed(new Error(reason)),
  })
  return {
    source,
    topics: decoder.topics,
    entitiesOf,
    pump,
    decoder,
    schemas,
    async start() {
      await schemas.load(registeredTopics(model))
      await source.start(pump.sink)
    },
    async stop() {
      await feeds.stop()
      await source.stop()
      await pump.stop()
      await quarantine.stop()
      schemas.close()
      await writer.end({ timeout: 1 })
    },
  }
}

/** What feeds bring is in the journal, whatever the log of all other topics is. */
const logOf = (
  { kafkaBrokers: brokers, kafkaSecurity: security, kafkaGroup: groupId = 'forebay' }: Config,
  sql: Sql,
  topics: readonly string[],
  feeds: Feeds,
  maxLagMs: number,
): LogSource => {
  if (brokers === undefined) return observedSource(journalSource({ sql, topics }), feeds)
  const others = topics.filter((topic) => !feeds.topics.has(topic))
  const kafka = kafkaSource({ brokers, ...present({ security }), topics: others, groupId, maxLagMs })
  if (feeds.topics.size === 0) return kafka
  const journal = observedSource(journalSource({ sql, topics: [...feeds.topics] }), feeds)
  return compositeSource([
    { topics: new Set(others), source: kafka },
    { topics: feeds.topics, source: journal },
  ])
}
