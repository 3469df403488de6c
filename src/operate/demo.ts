/** `forebay demo`: both halves over an embedded Postgres, and the schema folder's simulation at work. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../platform/config.ts'
import { connectionOptions } from '../platform/kafka.ts'
import { supervise } from '../platform/lifetime.ts'
import { type Feeder, startFeeder } from './demo/feeder.ts'
import { journalWriter } from './demo/journal-writer.ts'
import { kafkaWriter } from './demo/kafka-writer.ts'
import { reportProgress } from './demo/progress.ts'
import { loadSimulation, type Simulation, type Size } from './demo/simulation.ts'
import { welcome } from './demo/welcome.ts'
import { banner, both, type Running, startForebay } from './start.ts'
import { developmentToken } from './token.ts'

export type DemoOptions = {
  /** Records a second that the sources send: 50. */
  readonly rate?: number
  /** Duplicates, late and bad records, a schema change: on. */
  readonly faults?: boolean
  /** 1. */
  readonly seed?: number
  /** What the sources hold at the first start: small. */
  readonly size?: Size
  /** Throws the embedded database away first. */
  readonly fresh?: boolean
}

const defaultRate = 50

/**
 * Returns the exit code once stopped. With KAFKA_BROKERS the simulation produces to Kafka, with DATABASE_URL and REDIS_URL those are
 * used; nothing else changes. Throws, for the operator, in production, and where `fresh` would mean a database that isn't ours.
 */
export const runDemo = (config: Config, options: DemoOptions = {}): Promise<number> => {
  if (config.production)
    throw new Error('The demo makes development tokens, so it does not run with NODE_ENV=production.')
  if (options.fresh && config.databaseUrl)
    throw new Error('--fresh throws only the embedded Postgres away; unset DATABASE_URL, or give it an empty database.')
  return supervise(async (lifetime) => {
    if (options.fresh) await rm(join(config.dataDir, 'postgres'), { recursive: true, force: true })
    const simulation = await loadSimulation(config.schema)
    const running = await startForebay(config, lifetime)
    if (!simulation) {
      process.stdout.write(`${banner(running, both).join('\n')}\n`)
      process.stdout.write(
        `${config.schema} has no simulation.ts: nothing changes until you POST to /ingest/<topic>.\n`,
      )
      return
    }
    const feeder = await feed(running, simulation, options)
    lifetime.resources.defer(() => feeder.stop())
    await untilVisible(running)
    process.stdout.write(await greeting(running, simulation, options))
    const progress = reportProgress(running.sql, feeder.written, process.stdout)
    lifetime.resources.defer(async () => progress.stop())
  })
}

const feed = async ({ config, model, sql }: Running, simulation: Simulation, options: DemoOptions): Promise<Feeder> => {
  const topics = [...new Set([...model.entities.values()].map(({ source }) => source.topic))]
  return startFeeder({
    simulation,
    sql,
    writer: await (config.kafkaBrokers
      ? kafkaWriter(connectionOptions(config.kafkaBrokers, config.kafkaSecurity), topics)
      : journalWriter(sql, topics)),
    rate: options.rate ?? defaultRate,
    faults: options.faults ?? true,
    seed: options.seed ?? 1,
    size: options.size ?? 'small',
  })
}

/** Everything written so far is in the views. A demo that can't get there in time goes on and says so by its progress. */
const untilVisible = async ({ sql, ready }: Running): Promise<void> => {
  const deadline = Date.now() + 15_000
  const [now] = await sql<{ moment: string }[]>`select clock_timestamp() as moment`
  const passed = async (): Promise<boolean> => {
    const [row] = await sql<{ passed: boolean }[]>`
      select coalesce(bool_and(frontier >= ${now!.moment}), false) and not exists (
        select from forebay.dirty where origin is null or origin < ${now!.moment}) as passed
      from forebay.positions`
    return row!.passed
  }
  while (Date.now() < deadline && !((await ready()).ready && (await passed()))) await sleep(50)
}

const greeting = async (running: Running, simulation: Simulation, options: DemoOptions): Promise<string> => {
  const tokens = await Promise.all(
    simulation.callers.map(async (caller) => {
      const { role, ...rest } = caller
      return { caller, token: await developmentToken(running.config, { roles: [role], ...rest }) }
    }),
  )
  const host = running.config.host === '0.0.0.0' ? 'localhost' : running.config.host
  return welcome({
    banner: banner(running, both),
    url: `http://${host}:${running.port}/graphql`,
    tokens,
    query: simulation.query,
    rate: options.rate ?? defaultRate,
  })
}
