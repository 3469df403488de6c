/**
 * law 5: no change that was in the log before an answer's asOf is missing from it, parked records excepted and said. Two ingest processes
 * and a gateway with Redis work a shared database while writers write, consumers are stopped and killed, maintenance is held up, one
 * topic stays silent and the sources' clocks are an hour ahead; every answer over HTTP is held against what was in the log when.
 *
 * LAW5_SECONDS: how long (default 12); FOREBAY_LAW_SEED: which schedule.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadSchema } from '../../src/model/load.ts'
import { compileView } from '../../src/model/sql/compile-view.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { until } from '../kafka/client.ts'
import { makePlace, type Place, type Running, startForebay } from '../support/forebay.ts'
import { series } from '../support/metrics.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'
import { startRedis } from '../support/redis.ts'
import { startHistory } from './law5-history.ts'
import {
  type Answer,
  accounts,
  all,
  alone,
  byKey,
  declaration,
  type Freshness,
  items,
  labels,
  lies,
  startWriter,
} from './law5-shop.ts'
import { numbers } from './numbers.ts'
import { seed } from './runs.ts'

const seconds = Number(process.env.LAW5_SECONDS ?? 12)

let database: Database
let place: Place
let locker: Sql
let table: string
let gateway: Running
const ingests: Running[] = []
const ends: (() => Promise<unknown>)[] = []
const later = <T>(made: T, end: (made: T) => Promise<unknown>): T => {
  ends.push(() => end(made))
  return made
}

const startIngest = async (): Promise<Running> =>
  later(await startForebay(place, 'ingest'), ({ child }) => {
    if (child.alive()) signal(child.pid, 'SIGCONT')
    return child.stop()
  })
/** To the process and the shell that guards it. */
const signal = (pid: number, name: NodeJS.Signals): void => void process.kill(-pid, name)

beforeAll(async () => {
  const redis = later(await startRedis(), (made) => made.stop())
  database = later(await freshDatabase(), (made) => made.drop())
  const made = await makePlace(declaration)
  place = { ...made, env: { ...made.env, DATABASE_URL: database.url, REDIS_URL: redis.url } }
  later(place, (one) => one.remove())
  const loaded = await loadSchema(place.env.FOREBAY_SCHEMA!)
  if (!loaded.ok) throw new Error('the schema has faults')
  await installModel(database.sql, loaded.model)
  table = compileView(loaded.model, loaded.model.views.get('Sheet')!).table.table
  locker = later(connect(database.url, { max: 1, name: 'holds maintenance up' }), (sql) => sql.end({ timeout: 1 }))
  ingests.push(await startIngest(), await startIngest())
  gateway = later(await startForebay(place, 'gateway'), ({ child }) => child.stop())
  await until(async () => (await gateway.readyz()).status === 200, 'the gateway is ready')
}, 60_000)
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

const clerk = { roles: ['CLERK'] }
const ask = async (query: string): Promise<Answer> => (await gateway.ask(query, clerk)).body as Answer
const freshness = async (): Promise<Freshness | undefined> => (await ask(all)).extensions?.freshness

test('law 5 freshness tells the truth, whatever is stopped, killed, held up or silent', async () => {
  process.stdout.write(`law 5: FOREBAY_LAW_SEED=${seed} LAW5_SECONDS=${seconds}\n`)
  const history = startHistory()
  const writer = startWriter(database.sql, history)
  const deadline = Date.now() + seconds * 1_000
  const over = () => Date.now() > deadline

  const write = async (mine: readonly string[], draw: (below: number) => number): Promise<void> => {
    for (const key of mine) await writer.write(key, writer.next())
    while (!over()) {
      const key = mine[draw(mine.length)]!
      const [kind, gone] = [draw(40), key.startsWith('i')]
      await writer.write(key, gone && kind < 6 ? null : gone && kind === 6 ? 'BAD' : writer.next())
      await sleep(draw(25))
    }
  }
  const keys = [...accounts, ...items, ...labels]
  const writers = [0, 1, 2].map((n) =>
    write(
      keys.filter((_, i) => i % 3 === n),
      numbers(seed + n),
    ),
  )

  const found: string[] = []
  /** What would have been found if asOf were the time of the sources' latest change. */
  const byEventTime: string[] = []
  let answers = 0
  const read = async (draw: (below: number) => number): Promise<void> => {
    while (!over()) {
      const account = accounts[draw(accounts.length)]!
      const single = draw(2) === 0
      const answer = await ask(single ? [byKey, alone][draw(2)]!(account) : all)
      const asked = single ? [account] : accounts
      found.push(...lies(history, asked, answer))
      byEventTime.push(...lies(history, asked, answer, () => Date.now() + 3_600_000))
      if (answer.extensions?.freshness?.asOf) answers += 1
      await sleep(draw(10))
    }
  }
  const readers = [7, 8].map((n) => read(numbers(seed + n)))

  const stop = async (some: readonly Running[], ms: number): Promise<void> => {
    for (const { child } of some) signal(child.pid, 'SIGSTOP')
    await sleep(ms)
    for (const { child } of some) signal(child.pid, 'SIGCONT')
  }
  const faults: Record<string, (draw: (below: number) => number) => Promise<unknown>> = {
    'a consumer is stopped': (draw) => stop([ingests[draw(2)]!], 200 + draw(1_200)),
    'all consumers are stopped': (draw) => stop(ingests, 200 + draw(1_200)),
    'a consumer is killed': async (draw) => {
      const which = draw(2)
      await ingests[which]!.child.kill9()
      ingests[which] = await startIngest()
    },
    'maintenance is held up': (draw) =>
      locker.begin(async (tx) => {
        await tx.unsafe(`lock table ${table} in share row exclusive mode`)
        await sleep(200 + draw(1_200))
      }),
  }
  const draw = numbers(seed + 99)
  const names = Object.keys(faults)
  while (!over()) {
    await sleep(draw(600))
    await faults[names[draw(names.length)]!]!(draw)
  }
  await Promise.all([...writers, ...readers])
  expect(found, `FOREBAY_LAW_SEED=${seed}`).toEqual([])
  expect(answers).toBeGreaterThan(20)
  expect(byEventTime.length, 'the check can find what is missing').toBeGreaterThan(0)

  // At rest everything is there, and said to be.
  const [now] = await database.sql<
    { ms: number }[]
  >`select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`
  await until(async () => Date.parse((await freshness())?.asOf ?? '') > now!.ms, 'asOf passes the last change')
  expect(lies(history, accounts, await ask(all))).toEqual([])
}, 120_000)

test('law 5 while every consumer is stopped asOf holds still and the partitions say so, and all goes on by itself after', async () => {
  for (const { child } of ingests) signal(child.pid, 'SIGSTOP')
  // Records that the first test left parked keep the view DEGRADED: its age tells, not its state.
  await until(async () => ((await freshness())?.lagMs ?? 0) > 2_000, 'older than promised')
  const held = (await freshness())!.asOf
  await until(async () => (await freshness())!.views.Sheet!.sources.some(({ state }) => state === 'STUCK'), 'said')
  expect((await freshness())!.asOf).toBe(held)
  const [[labels, age]] = [...(await series(gateway.url, 'forebay_view_freshness_seconds'))] as [[string, number]]
  expect({ labels, old: age > 2 }).toEqual({ labels: 'view="Sheet"', old: true })
  expect((await series(gateway.url, 'forebay_view_basis')).get('view="Sheet",basis="LOG"')).toBe(1)
  for (const { child } of ingests) signal(child.pid, 'SIGCONT')
  await until(async () => (await freshness())!.views.Sheet!.sources.every(({ state }) => state !== 'STUCK'), 'answered')
  await until(async () => Date.parse((await freshness())!.asOf!) > Date.parse(held!), 'goes on')
}, 60_000)
