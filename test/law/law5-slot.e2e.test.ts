/**
 * law 5 about the source's own commits, through a slot feed: while rows change at the source, the process that follows it is stopped and
 * killed, its connections are cut, and it is shut out; every answer over HTTP is held against what was committed when.
 *
 * LAW5_SECONDS: how long (default 10).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadSchema } from '../../src/model/load.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { until } from '../kafka/client.ts'
import { makePlace, type Place, type Running, startForebay } from '../support/forebay.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'
import { startSourcePostgres } from '../support/source-postgres.ts'
import { clockOf, declarationOf, rowsOf, startWork, table, untilStuck, viewOf } from './source-shop.ts'

const seconds = Number(process.env.LAW5_SECONDS ?? 10)

let source: Sql
let database: Database
let place: Place
let ingest: Running
let gateway: Running
const ends: (() => Promise<unknown>)[] = []
const later = <T>(made: T, end: (made: T) => Promise<unknown>): T => {
  ends.push(() => end(made))
  return made
}
const startIngest = async (): Promise<Running> =>
  later(await startForebay(place, 'ingest'), ({ child }) => {
    if (child.alive()) signal('SIGCONT', child.pid)
    return child.stop()
  })
/** To the process and the shell that guards it. */
const signal = (name: NodeJS.Signals, pid = ingest.child.pid): void => void process.kill(-pid, name)

beforeAll(async () => {
  const server = later(await startSourcePostgres(), (made) => made.stop())
  source = later(connect(server.url, { max: 4, name: 'slot law' }), (sql) => sql.end({ timeout: 1 }))
  await source.unsafe(`${table}; insert into items values ('first', 0);
    create role feeder login replication password 'x' in role pg_read_all_data;
    grant create on database ${new URL(server.url).pathname.slice(1)} to feeder; alter table items owner to feeder`)
  const feeder = new URL(server.url)
  feeder.username = 'feeder'
  feeder.password = 'x'
  database = later(await freshDatabase(), (made) => made.drop())
  const made = later(await makePlace(declarationOf('connection: "shop", table: "items"')), (one) => one.remove())
  place = { ...made, env: { ...made.env, DATABASE_URL: database.url, FOREBAY_CONNECTION_SHOP: feeder.href } }
  const loaded = await loadSchema(place.env.FOREBAY_SCHEMA!)
  if (!loaded.ok) throw new Error('the schema has faults')
  await installModel(database.sql, loaded.model)
  ingest = await startIngest()
  gateway = later(await startForebay(place, 'gateway'), ({ child }) => child.stop())
}, 60_000)
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

const cut = () => source`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'feeder'`

test('law 5 C23 nothing that was committed at the source before asOf is missing, whatever befalls who follows it', async () => {
  const view = () => viewOf(gateway)
  await until(async () => (await view())?.basis === 'SOURCE', 'its first bound about the source')
  const work = startWork(source, database.sql, gateway)
  ends.push(() => work.stop().catch(() => {}))
  const faults = [
    cut,
    // Nothing can be put into the journal, so that it is read to its end while the source is further.
    () =>
      database.sql.begin(async (tx) => {
        await tx`lock table forebay.journal in share row exclusive mode`
        await sleep(600)
      }),
    async () => {
      signal('SIGSTOP')
      await sleep(900)
      signal('SIGCONT')
    },
    async () => {
      await ingest.child.kill9()
      ingest = await startIngest()
    },
  ]
  const deadline = Date.now() + seconds * 1_000
  for (let n = 0; Date.now() < deadline || work.judged <= 50; n++) {
    await sleep(500)
    await faults[n % faults.length]!()
  }

  // Shut out, as a connector that is dead: the journal is read to its end, and the source goes on.
  await source`alter role feeder nologin`
  const shut = await clockOf(database.sql)
  await cut()
  const stale = await untilStuck(gateway)
  expect(Date.parse(stale.asOf!)).toBeLessThan(shut)
  expect(stale.sources[0]).toMatchObject({ source: 'shop.public.items-0', state: 'STUCK' })
  await source`alter role feeder login`

  const last = await work.stop()
  expect(work.found).toEqual([])
  expect(work.judged).toBeGreaterThan(50)
  expect(work.missing.length, 'the check can find what is missing').toBeGreaterThan(0)
  const stopped = await clockOf(database.sql)
  await until(async () => Date.parse((await view())?.asOf ?? '') > stopped, 'it has caught up')
  expect(await rowsOf(gateway)).toEqual(last)
  await sleep(3_000)
  expect(await view(), 'idle is fresh').toMatchObject({ basis: 'SOURCE', state: 'FRESH', sources: [] })
}, 120_000)
