/** A small shop read from a broker by the real intake: versions are offsets, since its records have no order of their own. */
import { type Catalog, registerViews } from '../../src/ingest/generations.ts'
import { openIntake } from '../../src/ingest/intake.ts'
import { startReplays } from '../../src/ingest/replay/worker.ts'
import { startObserver } from '../../src/ingest/source/observe.ts'
import type { Model } from '../../src/model/model.ts'
import { entityTable } from '../../src/model/names.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { databaseClock } from '../../src/platform/clock.ts'
import { readConfig } from '../../src/platform/config.ts'
import { connect } from '../../src/platform/postgres.ts'
import { loadModel } from '../law/model.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'

const shopOn = (topic: string): string => `
extend enum Role { READER }
extend schema @domain(name: "shop", owner: "test", source: { format: JSON, naming: AS_IS })
type Item @entity(domain: "shop", key: "id", shared: true, source: { topic: "${topic}" }) { id: ID! label: String! }
`

export type Shop = {
  readonly database: Database
  readonly model: Model
  readonly catalog: Catalog
  /** Starts another intake, with its observer and its replays. */
  start(): Promise<{ stop(): Promise<void> }>
  /** Labels by id. */
  items(): Promise<Record<string, string>>
  positions(): Promise<readonly PositionRow[]>
  close(): Promise<void>
}
type PositionRow = {
  readonly topic: string
  readonly partition: number
  readonly epoch: number
  readonly next: number
  readonly state: string
  readonly reason: string | null
  readonly waits: boolean
}

/** `topic`: what its group is called by, and its one topic where no other folder is given. */
export const openShop = async (
  brokers: readonly string[],
  topic: string,
  { folder = shopOn(topic), env = {} }: { readonly folder?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Shop> => {
  const model = await loadModel(folder)
  const database = await freshDatabase()
  const { sql } = database
  await installModel(sql, model)
  const catalog = await registerViews(sql, model)
  const config = {
    ...readConfig({ KAFKA_BROKERS: brokers.join(','), KAFKA_GROUP: topic, ...env }),
    databaseUrl: database.url,
  }
  const running = new Set<() => Promise<void>>()
  return {
    database,
    model,
    catalog,
    async start() {
      const clock = databaseClock(sql)
      await clock.refresh()
      const ignore = () => {}
      const intake = openIntake({
        config,
        model,
        sql,
        catalog,
        clock,
        maxLagMs: 1_000,
        applied: ignore,
        failed: ignore,
      })
      const observer = startObserver({ sql, clock, source: intake.source, topics: intake.topics, maxLagMs: 1_000 })
      const again = connect(database.url, { max: 1, name: 'replay' })
      const { source, decoder, schemas } = intake
      const replays = startReplays({ sql: again, model, catalog, source, decoder, schemas, applied: ignore })
      await intake.start()
      const stop = async () => {
        running.delete(stop)
        await replays.stop()
        await again.end({ timeout: 1 })
        await observer.stop()
        await intake.stop()
      }
      running.add(stop)
      return { stop }
    },
    async items() {
      const rows = await sql.unsafe<{ id: string; label: string }[]>(
        `select id, label from ${entityTable(model.entities.get('Item')!)}`,
      )
      return Object.fromEntries(rows.map(({ id, label }) => [id, label]))
    },
    positions: () => sql<PositionRow[]>`
      select topic, partition, epoch, next_offset::int as next, state, reason, waits_for is not null as waits
      from forebay.positions order by topic, partition`,
    async close() {
      await Promise.all([...running].map((stop) => stop()))
      await database.drop()
    },
  }
}

export const item = (id: string, label: string): string => JSON.stringify({ id, label })
