/** Live answers of a Forebay that runs, told of changes by the feed: over Postgres alone, and over Redis, whatever becomes of either. */
import { expect, test } from 'vitest'
import { developmentToken } from '../../src/operate/token.ts'
import { type Followed, followOver, type Transport } from '../gateway/support/live.ts'
import type { Running } from '../support/forebay.ts'
import { series } from '../support/metrics.ts'
import { ownRedis } from '../support/redis.ts'
import { clerk, customers, later, order, place, start } from './fault-shop.ts'

const patience = { timeout: 40_000, interval: 20 }
const transports: readonly Transport[] = ['WebSocket', 'event stream']

const total = (told: Followed) => told.all.at(-1)?.data?.contactChanged?.orderCount
const query = 'subscription { contactChanged(id: "c1") { id email orderCount spent } }'
const told = async (running: Running) =>
  [...(await series(running.url, 'forebay_feed_rows_total')).values()].reduce((sum, one) => sum + one, 0)

/** Orders of c1, one more with each call. */
const orderer = (running: Running) => {
  let sent = 0
  return async () => {
    sent += 1
    await expect
      .poll(() => running.post('orders', [order(9 * sent + 1)]).then(({ status }) => status), patience)
      .toBe(202)
    return sent
  }
}

test.each([false, true])('what changed reaches whoever follows it, with Redis: %s', async (redis) => {
  const where = await place()
  const cache = redis ? later(await ownRedis(), (one) => one.stop()) : undefined
  const running = await start({ ...where, env: { ...where.env, ...(cache ? { REDIS_URL: cache.url } : {}) } })
  await expect.poll(() => running.readyz().then(({ status }) => status), patience).toBe(200)
  await running.post('customers', customers)
  const token = await developmentToken({ production: false, dataDir: where.dataDir }, clerk)
  const all = transports.map((transport) => followOver(transport, running.url, token, { query }))
  const list = followOver('WebSocket', running.url, token, { query: 'query @live { contacts { totalCount } }' })
  await expect.poll(() => all.map(total), patience).toEqual([0, 0])
  const another = orderer(running)
  const before = await told(running)
  for (let times = 0; times < 5; times++) {
    const sent = await another()
    await expect.poll(() => all.map(total), patience).toEqual([sent, sent])
  }
  expect((await told(running)) - before, 'told of by the feed').toBeGreaterThanOrEqual(5)
  for (const { all: answers } of all) {
    const counts = answers.flatMap(({ data }) => data.contactChanged?.orderCount ?? [])
    expect(counts, 'none twice, none out of order').toEqual([...new Set(counts)].sort((a, b) => a - b))
    expect(answers.at(-1).data.contactChanged.email).toBe('***@e***.com')
  }
  await running.post('customers', [{ id: 'c9', email: 'nine@example.com' }])
  await expect.poll(() => list.all.at(-1)?.data?.contacts?.totalCount, patience).toBe(customers.length + 1)

  if (cache) {
    await cache.kill9()
    const sent = await another()
    await expect.poll(() => all.map(total), patience).toEqual([sent, sent])
  }
  await running.child.stop(20_000)
  await Promise.all(all.map(({ ended }) => ended.catch(() => {})))
})
