/** Where ingest is measured: a broker and a Postgres of its own, a database a run with the bench's tables, and ingest as a process. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Admin, Kafka, logLevel, type Producer } from 'kafkajs'
import { loadSchema } from '../../src/model/load.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { startPostgres } from '../../src/platform/embedded-postgres.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { type Child, startChild } from '../support/child.ts'
import { ownKafka } from '../support/kafka.ts'
import { familyCpuSeconds } from './process.ts'
import { topics as bench, createTopics } from './topics.ts'

const forebay = join(import.meta.dirname, '../../bin/forebay')
const intake = join(import.meta.dirname, 'intake.ts')

export type Run = {
  readonly sql: Sql
  /** `ingest`: the whole half; `intake`: without maintenance. */
  start(what: 'ingest' | 'intake', env?: Readonly<Record<string, string>>): Child
}
export type Database = { readonly sql: Sql; readonly url: string }
export type Stand = {
  readonly brokers: readonly string[]
  readonly producer: Producer
  readonly admin: Admin
  readonly postgresUrl: string
  /** Of all its processes, seconds. */
  postgresCpu(): Promise<number>
  /** A database that nothing was applied to yet. */
  run(): Promise<Run>
  /** One that holds nothing at all. */
  database(): Promise<Database>
  stop(): Promise<void>
}

/** `folder`: what is declared; `topics`: what it reads; `settings`: Postgres's. */
export const openStand = async ({
  folder = join(import.meta.dirname, 'schema'),
  topics = bench,
  settings = {},
} = {}): Promise<Stand> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'forebay-bench-'))
  const [kafka, postgres] = [await ownKafka(4), await startPostgres({ dataDir, settings })]
  const client = new Kafka({ brokers: kafka.brokers, logLevel: logLevel.NOTHING })
  const producer = client.producer({ allowAutoTopicCreation: false })
  const administrator = connect(postgres.url, { max: 1, name: 'bench' })
  const opened: Sql[] = [administrator]
  const admin = client.admin()
  await admin.connect()
  await createTopics(admin, topics)
  await producer.connect()
  const database = async (): Promise<Database> => {
    const name = `bench_${opened.length}`
    await administrator.unsafe(`create database ${name}`)
    const url = new URL(postgres.url)
    url.pathname = `/${name}`
    const sql = connect(url.href, { max: 4, name: 'bench' })
    opened.push(sql)
    return { sql, url: url.href }
  }
  return {
    brokers: kafka.brokers,
    producer,
    admin,
    postgresUrl: postgres.url,
    postgresCpu: () => familyCpuSeconds(postgres.pid),
    database,
    async run() {
      const { sql, url } = await database()
      const loaded = await loadSchema(folder)
      if (!loaded.ok) throw new Error('the bench schema has faults: forebay check says which')
      await installModel(sql, loaded.model)
      const env = {
        FOREBAY_SCHEMA: folder,
        DATABASE_URL: url,
        KAFKA_BROKERS: kafka.brokers.join(),
        PORT: '0',
        FOREBAY_DATA: dataDir,
      }
      return {
        sql,
        start: (what, more = {}) =>
          what === 'ingest'
            ? startChild(forebay, ['ingest'], { env: { ...env, ...more } })
            : startChild(process.execPath, ['--max-semi-space-size=16', '--heap-growing-percent=60', intake], {
                env: { ...env, ...more },
              }),
      }
    },
    async stop() {
      await producer.disconnect()
      await admin.disconnect()
      for (const sql of opened) await sql.end({ timeout: 1 })
      await postgres.stop()
      await kafka.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

/** Offsets passed, over all partitions. */
export const applied = async (sql: Sql): Promise<number> => {
  const [row] = await sql<{ n: number }[]>`select coalesce(sum(next_offset), 0)::int as n from forebay.positions`
  return row!.n
}
export const pending = async (sql: Sql): Promise<boolean> => {
  const [row] = await sql<{ any: boolean }[]>`select exists (select from forebay.dirty) as any`
  return row!.any
}
/** When it was so. Throws when the process ends before. */
export const when = async (condition: () => Promise<boolean>, child: Child): Promise<number> => {
  while (!(await condition())) {
    if (!child.alive()) throw new Error(`ingest ended:\n${child.output()}`)
    await sleep(20)
  }
  return performance.now()
}
