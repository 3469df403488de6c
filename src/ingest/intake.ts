/** source ─► decode ─► apply: what moves positions. Maintenance follows by the dirty log alone. */
import type { Model } from '../model/model.ts'
import type { Config } from '../platform/config.ts'
import { connect, type Sql } from '../platform/postgres.ts'
import { present } from '../platform/present.ts'
import { type Applied, createApplier } from './apply/apply.ts'
import { createDecoder } from './decode.ts'
import type { Catalog } from './generations.ts'
import { type Pump, startPump, usualLanes } from './pump/pump.ts'
import { plans } from './session-settings.ts'
import { journalSource } from './source/journal.ts'
import { kafkaSource } from './source/kafka.ts'
import type { LogSource } from './source.ts'

export type IntakeOptions = {
  readonly config: Config & { readonly databaseUrl: string }
  readonly model: Model
  readonly sql: Sql
  readonly catalog: Catalog
  /** The smallest promise of any view. */
  readonly maxLagMs: number
  /** After each commit. */
  readonly applied: (result: Applied) => void
  /** This process can't go on; the pump has stopped. */
  readonly failed: (error: Error) => void
}
export type Intake = {
  readonly source: LogSource
  readonly pump: Pump
  /** Begins to read; what came before it (an observer, a maintainer) sees all of it. */
  start(): Promise<void>
  stop(): Promise<void>
}

export const openIntake = ({ config, model, sql, catalog, maxLagMs, applied, failed }: IntakeOptions): Intake => {
  const decoder = createDecoder(model)
  const source: LogSource = config.kafkaBrokers
    ? kafkaSource({
        brokers: config.kafkaBrokers,
        ...present({ security: config.kafkaSecurity }),
        topics: decoder.topics,
        groupId: 'forebay',
        maxLagMs,
      })
    : journalSource({ sql, topics: decoder.topics })
  const writer = connect(config.databaseUrl, { max: usualLanes, name: 'apply', settings: plans })
  const pump = startPump({
    sql,
    source,
    decoder,
    applier: createApplier(writer, model, catalog),
    applied,
    failed: (reason) => failed(new Error(reason)),
  })
  return {
    source,
    pump,
    start: () => source.start(pump.sink),
    async stop() {
      await source.stop()
      await pump.stop()
      await writer.end({ timeout: 1 })
    },
  }
}
