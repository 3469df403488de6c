/** Parts that a running Forebay needs, away and back. Each time callers are told, and all that was taken is there in the end. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { startPostgres } from '../../src/platform/embedded-postgres.ts'
import { kafkaClient } from '../kafka/client.ts'
import { freePorts } from '../support/child.ts'
import { begin } from '../support/forebay.ts'
import { ownRestartableKafka } from '../support/kafka.ts'
import { freshDatabase } from '../support/postgres.ts'
import { ownRedis, pidOf } from '../support/redis.ts'
import {
  answered,
  breakerOf,
  card,
  clerk,
  codeOf,
  connected,
  customers,
  expectAll,
  later,
  leak,
  type Order,
  order,
  orders,
  place,
  ready,
  start,
} from './fault-shop.ts'

test('a Postgres that never comes is given up with its place and without its password', async () => {
  const where = await place()
  const child = begin({ ...where.env, DATABASE_URL: 'postgres://forebay:hunter2@127.0.0.1:1/shop' })
  expect(await child.ended).toBe(1)
  expect(child.output()).toContain("Postgres at 127.0.0.1:1/shop can't be reached")
  expect(child.output()).not.toMatch(/hunter2|^ +at /m)
})

test('Postgres may come after Forebay, be killed midway and come back: callers are told, ingest goes on, nothing is lost', async () => {
  const where = await place()
  const [port] = (await freePorts(1)) as [number]
  const options = { dataDir: `${where.dataDir}-own`, port, settings: { fsync: 'off', shared_buffers: '32MB' } }
  const first = await startPostgres(options)
  const env = { ...where.env, DATABASE_URL: first.url }
  await first.stop()
  const starting = start({ ...where, env })
  await sleep(1_500)
  const server = later(await startPostgres(options), (made) => made.stop())
  const running = await starting
  expect((await running.post('customers', customers)).status).toBe(202)
  const sent: Order[] = []
  const send = async (from: number, to: number): Promise<number> => {
    const { status, text } = await running.post('orders', orders(from, to))
    if (status === 202) sent.push(...orders(from, to))
    else expect(text).not.toMatch(leak)
    return status
  }
  for (let i = 0; i < 10; i++) expect(await send(i * 20, i * 20 + 20)).toBe(202)
  await expect.poll(() => answered(running), { timeout: 10_000 }).toMatchObject({ id: 'c1' })

  process.kill(server.pid, 'SIGKILL')
  await server.exited
  await expect.poll(() => codeOf(running), { timeout: 10_000 }).toBe('UNAVAILABLE')
  expect(JSON.stringify(await running.ask(card, clerk))).not.toMatch(leak)
  expect(await send(200, 220)).toBe(503)
  expect((await running.readyz()).status).toBe(503)

  later(await startPostgres(options), (made) => made.stop())
  await expect.poll(() => send(200, 220), { timeout: 20_000 }).toBe(202)
  await ready(running)
  await expectAll(connected(server.url), where, { customers, orders: sent })
  const { largest, ...shown } = await answered(running)
  expect(shown).toMatchObject({ id: 'c1', orderCount: sent.filter(({ customerId }) => customerId === 'c1').length })
  expect(largest).toHaveLength(3)
})

test('Redis may be away at the start, come, and be killed at work: the answers stay the same', async () => {
  const where = await place()
  const [port] = (await freePorts(1)) as [number]
  const database = later(await freshDatabase(), (made) => made.drop())
  const running = await start({
    ...where,
    env: { ...where.env, DATABASE_URL: database.url, REDIS_URL: `redis://127.0.0.1:${port}` },
  })
  await running.post('customers', customers)
  await running.post('orders', orders(0, 90))
  await expectAll(database.sql, where, { customers, orders: orders(0, 90) })
  const wanted = await answered(running)
  expect(wanted).toMatchObject({ id: 'c1', orderCount: 10 })

  const redis = await ownRedis({ port })
  await expect.poll(() => breakerOf(running, 'redis'), { timeout: 10_000 }).toBe('0')
  expect(await Promise.all(Array.from({ length: 20 }, () => answered(running)))).toEqual(Array(20).fill(wanted))
  // It stands still: views go on, and what it holds of before does not come back with it.
  const pid = await pidOf(redis.url)
  process.kill(pid, 'SIGSTOP')
  expect((await running.post('orders', [order(91)])).status).toBe(202)
  await expect.poll(async () => (await answered(running)).orderCount, { timeout: 10_000 }).toBe(11)
  const more = await answered(running)
  process.kill(pid, 'SIGCONT')
  await expect.poll(() => breakerOf(running, 'redis'), { timeout: 10_000 }).toBe('0')
  const during = Array.from({ length: 60 }, async (_, i) => {
    await sleep(i * 5)
    return answered(running)
  })
  await sleep(100)
  await redis.kill9()
  expect(await Promise.all(during)).toEqual(Array(60).fill(more))

  expect((await running.post('orders', [order(100)])).status).toBe(202)
  await expect.poll(async () => (await answered(running)).orderCount).toBe(12)
  expect(running.child.alive()).toBe(true)
})

test('Kafka may be away at the start and die midway: both are said, and once it is back nothing is lost', async () => {
  const where = await place()
  const kafka = later(await ownRestartableKafka(1), ({ remove }) => remove())
  const database = later(await freshDatabase(), (made) => made.drop())
  const env = { ...where.env, DATABASE_URL: database.url, KAFKA_BROKERS: kafka.brokers.join(',') }
  const running = await start({ ...where, env })
  const waiting = () => running.readyz()
  await expect.poll(waiting, { timeout: 15_000 }).toMatchObject({
    status: 503,
    text: expect.stringMatching(/ingest.*no broker answers: .*ECONNREFUSED.*tried again/),
  })
  expect(await breakerOf(running, 'kafka')).toMatch(/[12]/)
  expect(running.child.output()).toContain('kafka.waiting')
  expect((await running.post('customers', customers)).status).toBe(409)

  const produce = async (topic: string, records: readonly { readonly id: string }[]) => {
    const client = await kafkaClient(kafka.brokers)
    const messages = records.map((record) => ({
      key: JSON.stringify({ id: record.id }),
      value: JSON.stringify(record),
    }))
    await client.producer.send({ topic, messages, acks: -1 })
    await client.close()
  }
  const expectOrders = (from: number, to: number) =>
    expect
      .poll(() => answered(running), { timeout: 40_000 })
      .toMatchObject({ orderCount: orders(from, to).filter(({ customerId }) => customerId === 'c1').length })
  const first = later(await kafka.start(), ({ kill9 }) => kill9())
  await produce('customers', customers)
  await produce('orders', orders(0, 300))
  await expectOrders(0, 300)
  await ready(running)

  await first.kill9()
  await expect
    .poll(waiting, { timeout: 20_000 })
    .toMatchObject({ status: 503, text: expect.stringContaining('no broker answers') })
  expect(await breakerOf(running, 'kafka')).toMatch(/[12]/)
  expect(await answered(running)).toMatchObject({ id: 'c1' })
  later(await kafka.start(), ({ kill9 }) => kill9())
  await produce('orders', orders(300, 600))
  await expectOrders(0, 600)
  await ready(running)
  expect(await breakerOf(running, 'kafka')).toBe('0')
  const applied = async () => {
    const [row] = await database.sql`select sum(next_offset)::int as n from forebay.positions`
    return row!.n
  }
  await expect.poll(applied, { timeout: 10_000 }).toBe(customers.length + 600)
  await expectAll(database.sql, where, { customers, orders: orders(0, 600) })
}, 120_000)
