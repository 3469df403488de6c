/**
 * A re-snapshot by the real chain: columns that are added at the source with a default, of which Debezium sends nothing for the rows that are
 * there, until it is asked to read its table anew.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connectorConfig } from '../../docker/connectors.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { kafkaClient } from '../kafka/client.ts'
import { loadModel } from '../law/model.ts'
import { freePorts, ready, startChild } from '../support/child.ts'
import { startConnect } from '../support/connect.ts'
import { run } from '../support/find.ts'
import { startKafka } from '../support/kafka.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'
import { startSourcePostgres } from '../support/source-postgres.ts'

const root = join(import.meta.dirname, '../..')
const folder = `
extend enum Role { READER }
extend schema @domain(name: "crm", owner: "test")
type Customer @entity(domain: "crm", key: "id", source: { topic: "again.public.customers" }) {
  id: ID!
  name: String!
  tier: String
  segment: String
}
type CustomerCard @view(of: "Customer") @allow(roles: [READER]) { id: ID! name: String! tier: String segment: String }
`
let source: Sql
let database: Database
let environment: Record<string, string>
const ends: (() => Promise<unknown>)[] = []
const later = <T extends { stop(): Promise<unknown> }>(service: T): T => {
  ends.push(() => service.stop())
  return service
}

beforeAll(async () => {
  const [kafka, postgres, place] = await Promise.all([
    startKafka({ partitions: 2 }),
    startSourcePostgres(),
    mkdtemp(join(tmpdir(), 'forebay-again-')),
  ])
  later(kafka)
  later(postgres)
  ends.push(() => rm(place, { recursive: true, force: true }))
  database = await freshDatabase()
  ends.push(() => database.drop())
  await installModel(database.sql, await loadModel(folder))
  await mkdir(join(place, 'schema'))
  await writeFile(join(place, 'schema/crm.graphql'), folder)
  const [port] = (await freePorts(1)) as [number]
  environment = {
    PORT: String(port),
    DATABASE_URL: database.url,
    KAFKA_BROKERS: kafka.brokers.join(','),
    FOREBAY_SCHEMA: join(place, 'schema'),
    FOREBAY_DATA: place,
    FOREBAY_CONNECTION_CRM: postgres.url,
  }

  source = connect(postgres.url, { max: 2, name: 'again' })
  ends.push(() => source.end())
  await source`create table customers (id text primary key, name text not null)`
  await source`create table debezium_signal (id text primary key, type text not null, data text)`
  await source`insert into customers select 'c' || i, 'Customer ' || i from generate_series(1, 300) i`
  const client = await kafkaClient(kafka.brokers)
  await client.admin.createTopics({ topics: [{ topic: 'again-signals', numPartitions: 1 }] })
  await client.close()
  const worker = await startConnect({ brokers: kafka.brokers })
  ends.push(() => worker.kill9())
  await worker.createConnector('again', {
    ...connectorConfig('again', 'public.customers,public.debezium_signal', new URL(postgres.url)),
    'signal.enabled.channels': 'source,kafka',
    'signal.data.collection': 'public.debezium_signal',
    'signal.kafka.topic': 'again-signals',
    'signal.kafka.bootstrap.servers': kafka.brokers.join(','),
    // Every 5 s by default, and to join its group takes a new connector several looks.
    'signal.poll.interval.ms': '500',
    'incremental.snapshot.chunk.size': '100',
  })
  const ingest = later(
    startChild(process.execPath, [join(root, 'src/cli.ts'), 'ingest'], { cwd: root, env: environment }),
  )
  await ready('ingest', ingest, async () => {
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200)
  })
}, 180_000)
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

const forebay = async (...args: string[]): Promise<string> => {
  const env = { ...process.env, ...environment }
  return (await run(process.execPath, [join(root, 'src/cli.ts'), ...args], { env, cwd: root })).stdout
}
const atSource = (columns: string) => source.unsafe(`select id, ${columns} from customers order by id collate "C"`)
const here = (columns: string) =>
  database.sql.unsafe(`select id, ${columns} from crm.customer where not _deleted order by id`)
const becomesEqual = async (columns: string): Promise<void> => {
  const wanted = Array.from(await atSource(columns))
  await expect.poll(() => here(columns), { timeout: 30_000, interval: 200 }).toEqual(wanted)
}

test('fact 18: a column added with a default is missing from the rows that were there, until a re-snapshot', async () => {
  await becomesEqual('name')
  await source`alter table customers add column tier text default 'BASIC'`
  await source`insert into customers values ('n1', 'New', 'GOLD')`
  await becomesEqual('name')
  expect(await here('tier').then((rows) => rows.filter(({ tier }) => tier !== null))).toEqual([
    { id: 'n1', tier: 'GOLD' },
  ])

  const said = await forebay(
    'replay',
    '--entity',
    'Customer',
    '--snapshot',
    '--signal-table',
    'public.debezium_signal',
    '--connection',
    'crm',
  )
  expect(said).toContain(
    'Asked Debezium for an incremental snapshot of public.customers through public.debezium_signal.',
  )
  expect(said).toContain('100% of 301 rows renewed')
  expect(await here('tier')).toEqual(Array.from(await atSource('tier')))

  await source`alter table customers add column segment text default 'RETAIL'`
  const again = forebay('replay', '--entity', 'Customer', '--snapshot', '--signal-topic', 'again-signals')
  // Rows change while they are read anew: what is later in the log stays.
  for (let i = 1; i <= 60; i++)
    await source`update customers set segment = ${`S${i}`}, name = ${`Changed ${i}`} where id = ${`c${i * 5}`}`
  await source`delete from customers where id = 'c7'`
  expect(await again).toContain('through again-signals.')
  await becomesEqual('name, tier, segment')
  const [left] = await database.sql<
    { n: number }[]
  >`select count(*)::int as n from crm.customer where segment is null and not _deleted`
  expect(left).toEqual({ n: 0 })
}, 150_000)

test('without a way to ask, it says what to run at the source', async () => {
  const said = await forebay('replay', '--entity', 'Customer', '--snapshot', '--detach')
  expect(said).toContain('Ask Debezium (connector again) for an incremental snapshot of public.customers')
  expect(said).toContain('insert into debezium_signal (id, type, data) values')
})
