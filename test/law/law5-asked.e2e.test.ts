/**
 * law 5 over replicas and asked freshness: no answer is older than asked, ever, nor than it says. Two gateways with a Redis read from a primary and
 * a streaming standby of it, while writers write, replay is paused, the standby and Redis die and come back, ingest stands still and
 * maintenance is held up. Readers ask for a staleness, for STRONG, for what was just written, and for no less than their last answer,
 * now of one gateway, now of the other.
 *
 * LAW5_SECONDS: how long (default 10); FOREBAY_LAW_SEED: which schedule.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadSchema } from '../../src/model/load.ts'
import { compileView } from '../../src/model/sql/compile-view.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { positionOf } from '../../src/position.ts'
import { until } from '../kafka/client.ts'
import { makePlace, type Place, type Running, startForebay } from '../support/forebay.ts'
import { series } from '../support/metrics.ts'
import { ownRedis, pidOf } from '../support/redis.ts'
import { type Replicated, startReplicated } from '../support/replicated-postgres.ts'
import { startHistory } from './law5-history.ts'
import { type Answer, accounts, byKey, declaration, labels, lies, startWriter } from './law5-shop.ts'
import { numbers } from './numbers.ts'
import { seed } from './runs.ts'

const seconds = Number(process.env.LAW5_SECONDS ?? 10)

let pair: Replicated
let place: Place
let redisPid: number
let table: string
let locker: Sql
let ingest: Running
let gateways: readonly Running[]
const ends: (() => Promise<unknown>)[] = []
const later = <T>(made: T, end: (made: T) => Promise<unknown>): T => {
  ends.push(() => end(made))
  return made
}

beforeAll(async () => {
  const redis = later(await ownRedis(), (made) => made.stop())
  redisPid = await pidOf(redis.url)
  pair = later(await startReplicated(), (made) => made.stop())
  const { url, sql } = pair.database
  const made = await makePlace(declaration)
  const more = { DATABASE_URL: url, DATABASE_READ_URL: pair.standby.url, REDIS_URL: redis.url }
  place = later({ ...made, env: { ...made.env, ...more } }, (one) => one.remove())
  const loaded = await loadSchema(place.env.FOREBAY_SCHEMA!)
  if (!loaded.ok) throw new Error('the schema has faults')
  await installModel(sql, loaded.model)
  table = compileView(loaded.model, loaded.model.views.get('Sheet')!).table.table
  locker = later(connect(url, { max: 1, name: 'holds maintenance up' }), (one) => one.end({ timeout: 1 }))
  ingest = later(await startForebay(place, 'ingest'), async ({ child }) => {
    if (child.alive()) signal(child.pid, 'SIGCONT')
    await child.stop()
  })
  const start = async () => later(await startForebay(place, 'gateway'), ({ child }) => child.stop())
  gateways = [await start(), await start()]
  for (const gateway of gateways) await until(async () => (await gateway.readyz()).status === 200, 'ready')
}, 120_000)
afterAll(async () => {
  for (const end of ends.reverse()) await end()
}, 60_000)

/** To the process and the shell that guards it. */
const signal = (pid: number, name: NodeJS.Signals): void => void process.kill(-pid, name)
const primaryNow = async (): Promise<number> => {
  const [row] = await pair.database.sql<{ ms: number }[]>`
    select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`
  return row!.ms
}
const clerk = { roles: ['CLERK'] }

test('law 5 no answer is older than asked, nor than it says, from whichever server it comes', async () => {
  process.stdout.write(`law 5 asked: FOREBAY_LAW_SEED=${seed} LAW5_SECONDS=${seconds}\n`)
  const history = startHistory()
  const writer = startWriter(pair.database.sql, history)
  const deadline = Date.now() + seconds * 1_000
  const over = () => Date.now() > deadline
  for (const key of labels) await writer.write(key, writer.next())

  /** Of each account, its latest change that was surely written. */
  const written = new Map<string, Awaited<ReturnType<typeof writer.write>>>()
  const write = async (draw: (below: number) => number, mine: readonly string[]): Promise<void> => {
    for (const key of mine) written.set(key, await writer.write(key, writer.next()))
    while (!over()) {
      const key = mine[draw(mine.length)]!
      written.set(key, await writer.write(key, writer.next()))
      await sleep(draw(20))
    }
  }
  const writers = [0, 1].map((n) =>
    write(
      numbers(seed + n),
      accounts.filter((_, i) => i % 2 === n),
    ),
  )

  const found: string[] = []
  /** What would have been found, had everything been asked that was there once the answer had come. */
  const beyond: string[] = []
  const answered: Record<string, number> = {}
  const refused: Record<string, number> = {}

  /** What is asked, and the moment by the primary's clock before which every change must be shown then. */
  type Asking = { readonly headers: Record<string, string>; readonly floor: number | null }
  const askings: Record<string, (draw: (below: number) => number, account: string) => Promise<Asking>> = {
    strong: async () => ({ headers: { 'Forebay-Consistency': 'strong' }, floor: await primaryNow() }),
    staleness: async (draw) => {
      const most = [0, 40, 200, 1_000, 3_000][draw(5)]!
      return { headers: { 'Forebay-Max-Staleness': `${most}ms` }, floor: (await primaryNow()) - most }
    },
    'own write': async (_, account) => {
      const { position, at } = written.get(account)!
      return { headers: { 'Forebay-After': positionOf(position) }, floor: at + 0.001 }
    },
    nothing: async () => ({ headers: {}, floor: null }),
  }
  const read = async (draw: (below: number) => number): Promise<void> => {
    /** Of each account: the last answer that this reader had. */
    const last = new Map<string, { readonly token: string; readonly place: number }>()
    while (!over()) {
      const account = accounts[draw(accounts.length)]!
      if (!written.has(account)) {
        await sleep(5)
        continue
      }
      const kinds = Object.keys(askings)
      const kind = kinds[draw(kinds.length)]!
      const { headers, floor } = await askings[kind]!(draw, account)
      const before = draw(2) === 0 ? last.get(account) : undefined
      const after = [headers['Forebay-After'], before?.token].filter((one) => one !== undefined).join(',')
      const onStale = ['wait', 'wait', 'fail', 'serve'][draw(4)]!
      const asked = {
        ...headers,
        ...(after ? { 'Forebay-After': after } : {}),
        'Forebay-On-Stale': onStale,
        'Forebay-Wait': '3s',
      }
      const { status, body } = await gateways[draw(2)]!.ask(byKey(account), clerk, asked)
      const answer = body as Answer & {
        readonly errors?: readonly { readonly extensions: { readonly code: string } }[]
      }
      if (answer.errors) {
        const { code } = answer.errors[0]!.extensions
        refused[code] = (refused[code] ?? 0) + 1
        if (code !== 'STALE' && code !== 'UNAVAILABLE') found.push(`${status} ${JSON.stringify(body)}`)
        continue
      }
      const freshness = answer.extensions!.freshness!
      const n = answer.data?.sheet?.n ?? null
      const about = `${kind} ${JSON.stringify({ ...asked, 'Forebay-After': undefined })} asOf ${freshness.asOf}`
      found.push(...lies(history, [account], answer).map((one) => `${about}: ${one}`))
      if (freshness.met === true || (onStale !== 'serve' && floor !== null)) {
        answered[kind] = (answered[kind] ?? 0) + 1
        const wrong = floor === null ? undefined : history.judge(account, n, floor, true)
        if (wrong) found.push(`older than asked by ${about}: ${wrong}`)
        const place = history.place(account, n)
        if (before) answered.echoed = (answered.echoed ?? 0) + 1
        if (before && place < before.place) found.push(`went back by ${about}: ${before.place} then ${place}`)
        const late = history.judge(account, n, Date.now() + 3_600_000, true)
        if (late) beyond.push(late)
      }
      last.set(account, { token: freshness.position, place: history.place(account, n) })
      await sleep(draw(8))
    }
  }
  const readers = [7, 8, 9].map((n) => read(numbers(seed + n)))

  const faults: Record<string, (draw: (below: number) => number) => Promise<unknown>> = {
    'replay is paused': async (draw) => {
      await pair.standby.pause()
      await sleep(200 + draw(2_000))
      await pair.standby.resume()
    },
    'the standby dies': async (draw) => {
      await pair.standby.kill()
      await sleep(draw(300))
      await pair.standby.start()
    },
    'Redis hangs': async (draw) => {
      process.kill(redisPid, 'SIGSTOP')
      await sleep(100 + draw(700))
      process.kill(redisPid, 'SIGCONT')
    },
    'ingest stands still': async (draw) => {
      signal(ingest.child.pid, 'SIGSTOP')
      await sleep(100 + draw(700))
      signal(ingest.child.pid, 'SIGCONT')
    },
    'maintenance is held up': (draw) =>
      locker.begin(async (tx) => {
        await tx.unsafe(`lock table ${table} in share row exclusive mode`)
        await sleep(100 + draw(700))
      }),
  }
  const draw = numbers(seed + 99)
  // Each once, then as it comes.
  for (let i = 0; !over() || i < Object.keys(faults).length; i++) {
    await sleep(draw(500))
    const names = Object.keys(faults)
    await faults[names[i < names.length ? i : draw(names.length)]!]!(draw)
  }
  await Promise.all([...writers, ...readers])
  expect(found, `FOREBAY_LAW_SEED=${seed}`).toEqual([])
  console.info({ answered, refused })
  for (const kind of ['strong', 'staleness', 'own write', 'echoed']) expect(answered[kind], kind).toBeGreaterThan(5)
  expect(beyond.length, 'the check can find what is missing').toBeGreaterThan(0)
  const requests = await Promise.all(gateways.map(({ url }) => series(url, 'forebay_replica_requests_total')))
  for (const one of requests) expect(one.get('from="replica"')).toBeGreaterThan(0)
}, 180_000)
