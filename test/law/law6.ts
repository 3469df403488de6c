/** law 6, held over whatever happens meanwhile: see law6.redis.test.ts. LAW6_SECONDS: how long (default 4); FOREBAY_LAW_SEED: which schedule. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { startMaintainer } from '../../src/ingest/maintain/maintainer.ts'
import { publisher } from '../../src/ingest/publish.ts'
import { metricsText } from '../../src/platform/metrics.ts'
import { connect } from '../../src/platform/postgres.ts'
import { connectRedis } from '../../src/platform/redis.ts'
import { until } from '../kafka/client.ts'
import { type Asked, startDesk } from '../support/desk.ts'
import { numbers } from './numbers.ts'
import { seed } from './runs.ts'
import { customer, openStage, type Stage } from './stage.ts'

const seconds = Number(process.env.LAW6_SECONDS ?? 4)
/** Answers that a schedule is held over at least. */
const enough = 150
const reader = { roles: ['READER'], tenant: 'acme' }

/** What is in the log, by key, each with its number and a moment by which it was there. */
const startHistory = () => {
  const logged = new Map<string, { readonly n: number; readonly at: number }[]>()
  return {
    log: (id: string, n: number, at: number) => {
      logged.set(id, [...(logged.get(id) ?? []), { n, at }])
    },
    /** The last that was there before a moment. */
    before: (id: string, moment: number): number =>
      (logged.get(id) ?? []).reduce((last, { n, at }) => (at < moment ? Math.max(last, n) : last), 0),
  }
}
type History = ReturnType<typeof startHistory>

/** A log partition, of which nobody else writes the keys. */
const writer = async (stage: Stage, partition: number, history: History, over: () => boolean): Promise<void> => {
  const { sql } = stage.database
  for (let n = 1; !over(); n++) {
    const id = `c${partition * 4 + (n % 4)}`
    const [row] = await sql<{ at: number }[]>`select (extract(epoch from clock_timestamp()) * 1000)::float8 as at`
    history.log(id, n, row!.at)
    await stage.apply(partition, customer(id, n, String(n)))
    // All that was in the log then has been applied.
    await sql`update forebay.positions set frontier = to_timestamp(${row!.at}::float8 / 1000), observed_at = clock_timestamp()
      where partition = ${partition} and topic in ('log', 'customers')`
    await sleep(n % 5)
  }
}

type Way = { readonly name: string; readonly asks: string; readonly most?: number; readonly strong?: boolean }
const ways: readonly Way[] = [
  { name: 'anything', asks: '' },
  { name: 'at most a second old', asks: '@fresh(maxStaleness: "1s", onStale: FAIL)', most: 1_000 },
  { name: 'current', asks: '@fresh(consistency: STRONG, onStale: WAIT, wait: "5s")', strong: true },
]

/** Asks for hot keys until it is over. Answers with how long the slowest answer took. */
const asker = async (
  desk: Asked,
  history: History,
  draw: () => number,
  asked: { answers: number },
  over: () => boolean,
): Promise<number> => {
  let slowestMs = 0
  while (!over()) {
    const id = `c${Math.floor(draw() ** 2 * 8)}`
    const way = ways[Math.floor(draw() * 8)] ?? ways[0]!
    const sent = Date.now()
    const least = way.strong ? history.before(id, Number.POSITIVE_INFINITY) : 0
    const began = performance.now()
    const { data, extensions, errors } = await desk.ask(
      reader,
      `query ${way.asks} { customerOrders(id: "${id}") { id name } }`,
    )
    slowestMs = Math.max(slowestMs, performance.now() - began)
    if (errors) {
      expect(['STALE', 'UNAVAILABLE'], JSON.stringify(errors)).toContain(errors[0].extensions.code)
      continue
    }
    const asOf = extensions.freshness.asOf === null ? null : Date.parse(extensions.freshness.asOf)
    const shown = Number(data.customerOrders?.name ?? 0)
    asked.answers += 1
    const what = `${id}, ${way.name}: shows ${shown} as of ${extensions.freshness.asOf}`
    if (asOf !== null) expect(shown, what).toBeGreaterThanOrEqual(history.before(id, asOf))
    expect(shown, what).toBeGreaterThanOrEqual(least)
    if (way.most !== undefined) expect(asOf, what).toBeGreaterThanOrEqual(sent - way.most)
  }
  return slowestMs
}

/** `closing` takes what ends it, to be called from the last. `faults`: until it is over. `redisUrl`: the feed comes through it, else over Postgres. */
export const holdLaw6 = async (
  closing: (() => unknown)[],
  redisUrl: string | undefined,
  faults: (stage: Stage, over: () => boolean) => Promise<void>,
): Promise<void> => {
  console.info(`FOREBAY_LAW_SEED=${seed}`)
  const next = numbers(seed)
  const draw = (): number => next(2 ** 20) / 2 ** 20
  const stage = await openStage()
  closing.push(() => stage.close())
  const { sql } = stage.database
  await sql`insert into forebay.positions (topic, partition, next_offset, frontier, observed_at)
    select t, p, 0, clock_timestamp() + case when t = 'customers' then interval '0' else interval '1 hour' end, clock_timestamp()
    from unnest(array['customers', 'orders', 'lines']) t, generate_series(0, 1) p`
  for (const partition of [0, 1]) {
    await stage.apply(partition, customer(`first${partition}`, 1))
    await sql`update forebay.positions set frontier = clock_timestamp() where topic = 'log' and partition = ${partition}`
  }
  const redis = redisUrl === undefined ? undefined : connectRedis(redisUrl)
  closing.push(() => redis?.end())
  // Two owners, each with half of the keys and a feed of its own.
  for (const name of ['owner', 'other owner']) {
    const own = connect(stage.database.url, { max: 1, name })
    const maintainer = startMaintainer({
      sql: own,
      catalog: stage.catalog,
      ...(redis ? { transport: 'LATER', published: publisher(redis, sql) } : { published: async () => {} }),
    })
    closing.push(
      () => own.end({ timeout: 1 }),
      () => maintainer.stop(),
    )
  }
  const cached = await startDesk(stage.database, stage.model, redisUrl === undefined ? {} : { REDIS_URL: redisUrl })
  closing.push(() => cached.stop())

  const hits = async (): Promise<number> =>
    Number(/^forebay_near_cache_reads_total\{result="hit"\} (\d+)$/m.exec((await metricsText()).text)?.[1] ?? 0)
  const before = await hits()
  const history = startHistory()
  const until0 = Date.now() + seconds * 1_000
  /** And as long as it takes for enough of them. */
  const asked = { answers: 0 }
  const over = (): boolean => Date.now() > until0 && asked.answers >= enough
  // Who asks for what is current waits for what is written after it.
  let answered = false
  const asking = Promise.all(Array.from({ length: 6 }, () => asker(cached, history, draw, asked, over))).finally(() => {
    answered = true
  })
  const [slowest] = await Promise.all([
    asking,
    ...[0, 1].map((partition) => writer(stage, partition, history, () => answered)),
    faults(stage, over),
  ])
  const used = (await hits()) - before
  console.info(
    `${asked.answers} answers, ${used} of them kept in the process, the slowest after ${Math.round(Math.max(...slowest))} ms`,
  )
  expect(used, 'the cache was used').toBeGreaterThan(0)

  const plain = await startDesk(stage.database, stage.model, { FOREBAY_NEAR_CACHE_MB: '1' })
  closing.push(() => plain.stop())
  for (let key = 0; key < 8; key++) {
    const id = `c${key}`
    const last = String(history.before(id, Number.POSITIVE_INFINITY))
    const names = async () => {
      const query = `{ customerOrders(id: "${id}") { name } }`
      const answers = await Promise.all([cached, cached, plain].map((desk) => desk.ask(reader, query)))
      return [(await stage.read('CustomerOrders', id))?.name, ...answers.map(({ data }) => data?.customerOrders?.name)]
    }
    await until(async () => (await names()).every((name) => name === last), `${id} is ${last} everywhere`)
  }
}
