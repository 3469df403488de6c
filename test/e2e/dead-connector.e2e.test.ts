/**
 * law 5 about the source's own commits (C23), by the real chain: Debezium streams a source database to Kafka, Forebay's halves run as
 * processes of their own, and every answer over HTTP is held against what had been committed at the source when. Then Kafka Connect is
 * killed: an idle log is not taken for a source that is at rest.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connectorConfig } from '../../docker/connectors.ts'
import { loadSchema } from '../../src/model/load.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { until } from '../kafka/client.ts'
import { clockOf, declarationOf, rowsOf, startWork, table, untilStuck, viewOf } from '../law/source-shop.ts'
import { type ConnectService, startConnect } from '../support/connect.ts'
import { makePlace, type Running, startForebay } from '../support/forebay.ts'
import { startKafka } from '../support/kafka.ts'
import { series } from '../support/metrics.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'
import { startSourcePostgres } from '../support/source-postgres.ts'

const group = `dead-${randomUUID()}`

let source: Sql
let database: Database
let brokers: string[]
let worker: ConnectService
let ingest: Running
let gateway: Running
const ends: (() => Promise<unknown>)[] = []
const later = <T>(made: T, end: (made: T) => Promise<unknown>): T => {
  ends.push(() => end(made))
  return made
}

beforeAll(async () => {
  const [kafka, postgres] = await Promise.all([startKafka({ partitions: 2 }), startSourcePostgres()])
  later(kafka, (made) => made.stop())
  later(postgres, (made) => made.stop())
  brokers = kafka.brokers
  database = later(await freshDatabase(), (made) => made.drop())
  source = later(connect(postgres.url, { max: 3, name: 'dead' }), (sql) => sql.end())
  await source.unsafe(table)
  // A topic comes into being with its first record.
  await source`insert into items values ('first', 0)`
  worker = await startConnect({ brokers, group })
  ends.push(() => worker.kill9())
  await worker.createConnector('shop', {
    ...connectorConfig('shop', 'public.items', new URL(postgres.url)),
    'heartbeat.interval.ms': '500',
    'topic.creation.default.partitions': '2',
  })
  const place = later(await makePlace(declarationOf('topic: "shop.public.items"')), (one) => one.remove())
  const loaded = await loadSchema(place.env.FOREBAY_SCHEMA!)
  if (!loaded.ok) throw new Error('the schema has faults')
  await installModel(database.sql, loaded.model)
  const env = {
    ...place.env,
    DATABASE_URL: database.url,
    KAFKA_BROKERS: brokers.join(','),
    KAFKA_GROUP: `${group}-forebay`,
    FOREBAY_CONNECT_OFFSETS: `${group}.offsets`,
    FOREBAY_CONNECTION_SHOP: postgres.url,
  }
  ingest = later(await startForebay({ ...place, env }, 'ingest'), ({ child }) => child.stop())
  gateway = later(await startForebay({ ...place, env }, 'gateway'), ({ child }) => child.stop())
}, 180_000)
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

test('law 5 C23 nothing that was committed at the source before asOf is missing, and a dead connector is no idle source', async () => {
  const view = () => viewOf(gateway)
  await until(async () => (await view())?.basis === 'SOURCE', 'its first bound about the source', 40_000)
  const work = startWork(source, database.sql, gateway)
  ends.push(() => work.stop().catch(() => {}))
  await sleep(4_000)
  expect(await view()).toMatchObject({ basis: 'SOURCE', state: expect.stringMatching('FRESH|LAGGING'), sources: [] })

  // The log is read to its end, and the source goes on.
  await worker.kill9()
  const died = await clockOf(database.sql)
  const stale = await untilStuck(gateway)
  expect(Date.parse(stale.asOf!)).toBeLessThan(died)
  expect(Date.parse(stale.logAsOf!), 'about the log all is well').toBeGreaterThan(died + 5_000)
  expect(stale.sources[0]).toMatchObject({
    source: expect.stringMatching(/^shop\.public\.items-[01]$/),
    state: 'STUCK',
    detail: expect.stringContaining('the connector shop has committed no offset past what its source had'),
  })
  const ages = [...(await series(ingest.url, 'forebay_partition_source_freshness_seconds')).values()]
  expect(ages.length > 0 && ages.every((age) => age > 5)).toBe(true)
  expect(Math.max(...(await series(ingest.url, 'forebay_partition_freshness_seconds')).values())).toBeLessThan(3)

  worker = await startConnect({ brokers, group })
  await worker.running('shop')
  const last = await work.stop()
  expect(work.found).toEqual([])
  expect(work.judged).toBeGreaterThan(50)
  expect(work.missing.length, 'the check can find what is missing').toBeGreaterThan(0)

  const wrote = await clockOf(database.sql)
  await until(async () => Date.parse((await view())?.asOf ?? '') > wrote, 'the connector has caught up', 40_000)
  expect(await rowsOf(gateway)).toEqual(last)
  // At rest: nothing is written but heartbeats, and that is fresh.
  await sleep(6_000)
  expect(await view()).toMatchObject({ basis: 'SOURCE', state: expect.stringMatching('FRESH|LAGGING'), sources: [] })
}, 180_000)
