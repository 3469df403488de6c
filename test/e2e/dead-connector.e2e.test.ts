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
import { type History, startHistory } from '../law/law5-history.ts'
import { type ConnectService, startConnect } from '../support/connect.ts'
import { makePlace, type Running, startForebay } from '../support/forebay.ts'
import { startKafka } from '../support/kafka.ts'
import { series } from '../support/metrics.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'
import { startSourcePostgres } from '../support/source-postgres.ts'

const declaration = `
extend enum Role { CLERK }
extend schema @domain(name: "shop", owner: "test")
type Item @entity(domain: "shop", key: "id", source: { topic: "shop.public.items" }) { id: ID! n: Int! }
type Shelf @view(of: "Item", maxLag: "PT6S") @allow(roles: [CLERK]) { id: ID! n: Int! }
`
const keys = ['i0', 'i1', 'i2', 'i3', 'i4', 'i5']
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
  await source`create table items (id text primary key, n int not null)`
  // A topic comes into being with its first record.
  await source`insert into items values ('first', 0)`
  worker = await startConnect({ brokers, group })
  ends.push(() => worker.kill9())
  await worker.createConnector('shop', {
    ...connectorConfig('shop', 'public.items', new URL(postgres.url)),
    'heartbeat.interval.ms': '500',
    'topic.creation.default.partitions': '2',
  })
  const place = later(await makePlace(declaration), (one) => one.remove())
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

type View = {
  readonly asOf: string | null
  readonly lagMs: number | null
  readonly state: string
  readonly basis: string
  readonly logAsOf?: string
  readonly sources: readonly { readonly source: string; readonly state: string; readonly detail: string }[]
}
type Shown = { readonly rows: ReadonlyMap<string, number>; readonly view: View }
const query = '{ shelfs(first: 20) { edges { node { id n } } } }'
const ask = async (): Promise<Shown | undefined> => {
  const { body } = await gateway.ask(query, { roles: ['CLERK'] })
  const view = body?.extensions?.freshness?.views?.Shelf as View | undefined
  const edges = body?.data?.shelfs?.edges as readonly { readonly node: { id: string; n: number } }[] | undefined
  return view && edges && { view, rows: new Map(edges.map(({ node }) => [node.id, node.n])) }
}
const view = async (): Promise<View | undefined> => (await ask())?.view
const primaryNow = async (): Promise<number> => {
  const [row] = await database.sql<
    { ms: number }[]
  >`select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`
  return row!.ms
}

let states = 0
/** Commits a change at the source, and notes when it surely had been. */
const commit = async (history: History, key: string, gone = false): Promise<void> => {
  states += 1
  const done = history.begin(key, gone ? null : states)
  if (gone) await source`delete from items where id = ${key}`
  else await source`insert into items values (${key}, ${states}) on conflict (id) do update set n = excluded.n`
  done(await primaryNow())
}
/** What an answer lacks that was committed before the bound it states. */
const lies = (history: History, { rows, view }: Shown): readonly string[] =>
  view.basis !== 'SOURCE' || view.asOf === null
    ? []
    : keys.flatMap((key) => history.judge(key, rows.get(key) ?? null, Date.parse(view.asOf!), false) ?? [])

test('law 5 C23 nothing that was committed at the source before asOf is missing, and a dead connector is no idle source', async () => {
  const history = startHistory()
  await until(async () => (await view())?.basis === 'SOURCE', 'its first bound about the source', 40_000)
  const found: string[] = []
  /** What would have been found if the bound about the log were one about the source. */
  const byLog: string[] = []
  let [judged, over] = [0, false]
  const writing = (async () => {
    for (let n = 0; !over; n++) {
      await commit(history, keys[n % keys.length]!, n % 11 === 7)
      await sleep(15)
    }
  })()
  const reading = (async () => {
    while (!over) {
      const shown = await ask()
      if (shown) {
        found.push(...lies(history, shown))
        const { logAsOf } = shown.view
        if (logAsOf) byLog.push(...lies(history, { ...shown, view: { ...shown.view, asOf: logAsOf } }))
        judged += 1
      }
      await sleep(20)
    }
  })()
  ends.push(async () => {
    over = true
    await Promise.allSettled([writing, reading])
  })
  await sleep(4_000)
  expect(await view()).toMatchObject({ basis: 'SOURCE', state: expect.stringMatching('FRESH|LAGGING'), sources: [] })

  // The log is read to its end, and the source goes on.
  await worker.kill9()
  const died = await primaryNow()
  await until(async () => (await view())?.state === 'STALE', 'it grows old', 30_000)
  await until(async () => (await view())!.sources.some(({ state }) => state === 'STUCK'), 'it is said', 30_000)
  const stale = (await view())!
  expect(stale).toMatchObject({ basis: 'SOURCE', state: 'STALE' })
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
  over = true
  await Promise.all([writing, reading])
  expect(found).toEqual([])
  expect(judged).toBeGreaterThan(50)
  expect(byLog.length, 'the check can find what is missing').toBeGreaterThan(0)

  const wrote = await primaryNow()
  await until(async () => Date.parse((await view())?.asOf ?? '') > wrote, 'the connector has caught up', 40_000)
  const shown = (await ask())!
  expect(keys.map((key) => shown.rows.get(key) ?? null)).toEqual(keys.map((key) => history.last(key)))
  // At rest: nothing is written but heartbeats, and that is fresh.
  await sleep(6_000)
  expect(await view()).toMatchObject({ basis: 'SOURCE', state: expect.stringMatching('FRESH|LAGGING'), sources: [] })
}, 180_000)
