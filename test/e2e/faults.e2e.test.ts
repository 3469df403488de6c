/** What may happen to a running Forebay: parts that are away, kill -9, bad records, a full disk. Each time all that was taken is there in the end. */
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { append } from '../../src/ingest/source/journal.ts'
import { loadSchema } from '../../src/model/load.ts'
import type { Model } from '../../src/model/model.ts'
import { runningPostgres, startPostgres } from '../../src/platform/embedded-postgres.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { kafkaClient } from '../kafka/client.ts'
import type { Row } from '../law/seen.ts'
import { expectViewsEqualQuery } from '../law/tables.ts'
import { freePorts } from '../support/child.ts'
import { begin, makePlace, type Place, processesOf, type Running, startForebay } from '../support/forebay.ts'
import { ownRestartableKafka } from '../support/kafka.ts'
import { freshDatabase } from '../support/postgres.ts'
import { ownRedis } from '../support/redis.ts'
import { canMount, mountSmall } from '../support/small-disk.ts'

const declaration = `
extend enum Role { CLERK }
extend schema
  @domain(name: "shop", owner: "shop-team", source: { format: JSON, naming: AS_IS })
  @policy(role: CLERK, masked: [EMAIL])
type Customer @entity(domain: "shop", key: "id", source: { topic: "customers" }) {
  id: ID! @subject
  email: String! @pii(kind: EMAIL)
  orders: [Order!]! @join(to: "customerId")
}
type Order @entity(domain: "shop", key: "id", source: { topic: "orders" }) {
  id: ID!
  customerId: ID!
  total: Int!
  customer: Customer @join(from: "customerId")
}
type Contact @view(of: "Customer") @allow(roles: [CLERK]) {
  id: ID!
  email: String!
  orderCount: Int! @count(of: "orders")
  spent: Long! @sum(of: "orders.total")
  largest: [Int!]! @list(of: "orders.total", first: 3, orderBy: { total: DESC })
}
`
const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})
const later = <T>(made: T, end: (made: T) => Promise<unknown>): T => {
  cleanups.push(() => end(made))
  return made
}
const place = async (dataDir?: string): Promise<Place> =>
  later(await makePlace(declaration, dataDir), (made) => made.remove())
const start = async (where: Pick<Place, 'env' | 'dataDir'>): Promise<Running> =>
  later(await startForebay(where), ({ child }) => child.stop())
const connected = (url: string): Sql => later(connect(url, { max: 4, name: 'test' }), (sql) => sql.end({ timeout: 1 }))
const model = async (where: Place): Promise<Model> => {
  const loaded = await loadSchema(where.env.FOREBAY_SCHEMA!)
  if (!loaded.ok) throw new Error('the schema has faults')
  return loaded.model
}

type Customer = { readonly id: string; readonly email: string }
type Order = { readonly id: string; readonly customerId: string; readonly total: number }
const customers: readonly Customer[] = Array.from({ length: 8 }, (_, i) => ({
  id: `c${i}`,
  email: `c${i}@example.com`,
}))
const order = (i: number): Order => ({ id: `o${i}`, customerId: `c${i % 9}`, total: (i * 7) % 1000 })
const orders = (from: number, to: number): readonly Order[] =>
  Array.from({ length: to - from }, (_, i) => order(from + i))

const clerk = { roles: ['CLERK'] }
const card = '{ contact(id: "c1") { id email orderCount spent largest } }'
const answered = async (running: Running) => (await running.ask(card, clerk)).body?.data?.contact
const codeOf = async (running: Running) => (await running.ask(card, clerk)).body?.errors?.[0]?.extensions?.code
const ready = (running: Running) =>
  expect.poll(() => running.readyz(), { timeout: 20_000 }).toMatchObject({ status: 200 })
/** What answers may say of a fault: nothing of the inside. */
const leak = /127\.0\.0\.1|ECONN|CONNECTION|select |insert |postgres|node_modules|\.ts:|\n +at /i

/** Waits until all that is in the journal is applied and in the views, and compares them with what the sources had. */
const expectAll = async (
  sql: Sql,
  where: Place,
  sent: { readonly customers: readonly Customer[]; readonly orders: readonly Order[] },
) => {
  await expect
    .poll(
      async () => {
        const [row] = await sql<{ behind: string; dirty: number }[]>`
          select (select coalesce(sum(e.next_offset - coalesce(p.next_offset, 0)), 0)::text
              from forebay.journal_ends e left join forebay.positions p using (topic, partition)) as behind,
            (select count(*)::int from forebay.dirty) as dirty`
        return row
      },
      { timeout: 40_000, interval: 100 },
    )
    .toEqual({ behind: '0', dirty: 0 })
  const byId = (rows: readonly Row[]) => new Map(rows.map((row) => [String(row.id), row]))
  await expectViewsEqualQuery(
    sql,
    await model(where),
    new Map([
      ['Customer', byId(sent.customers)],
      ['Order', byId(sent.orders)],
    ]),
  )
}

const bytesOf = (record: object) => ({
  key: Buffer.from(JSON.stringify({ id: (record as { id: string }).id })),
  value: Buffer.from(JSON.stringify(record)),
})

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
  const isOpen = async () => /^forebay_redis_open (\d)/m.exec(await (await fetch(`${running.url}/metrics`)).text())?.[1]
  await expect.poll(isOpen, { timeout: 10_000 }).toBe('0')
  expect(await Promise.all(Array.from({ length: 20 }, () => answered(running)))).toEqual(Array(20).fill(wanted))
  const during = Array.from({ length: 60 }, async (_, i) => {
    await sleep(i * 5)
    return answered(running)
  })
  await redis.kill9()
  expect(await Promise.all(during)).toEqual(Array(60).fill(wanted))

  expect((await running.post('orders', [order(91)])).status).toBe(202)
  await expect.poll(async () => (await answered(running)).orderCount).toBe(11)
  expect(running.child.alive()).toBe(true)
})

test('Kafka may be away at the start and die midway: both are said, and once it is back nothing is lost', async () => {
  const where = await place()
  const kafka = later(await ownRestartableKafka(1), ({ remove }) => remove())
  const database = later(await freshDatabase(), (made) => made.drop())
  const env = { ...where.env, DATABASE_URL: database.url, KAFKA_BROKERS: kafka.brokers.join(',') }
  const running = await start({ ...where, env })
  const waiting = () => running.readyz()
  await expect
    .poll(waiting, { timeout: 15_000 })
    .toMatchObject({ status: 503, text: expect.stringMatching(/ingest.*ECONNREFUSED/) })
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
    .toMatchObject({ status: 503, text: expect.stringContaining('reason') })
  expect(await answered(running)).toMatchObject({ id: 'c1' })
  later(await kafka.start(), ({ kill9 }) => kill9())
  await produce('orders', orders(300, 600))
  await expectOrders(0, 600)
  await ready(running)
  const applied = async () => {
    const [row] = await database.sql`select sum(next_offset)::int as n from forebay.positions`
    return row!.n
  }
  await expect.poll(applied, { timeout: 10_000 }).toBe(customers.length + 600)
  await expectAll(database.sql, where, { customers, orders: orders(0, 600) })
}, 120_000)

test('kill -9 amid ingestion loses and doubles nothing, and records that mean nothing are in quarantine once, with their bytes', async () => {
  const where = await place()
  const first = await start(where)
  await first.post('customers', customers)
  const open = async () => connect((await runningPostgres(where.dataDir))!, { max: 3, name: 'test' })
  let sql = await open()
  // What HTTP would have refused, as another writer of the log may have put it there.
  const bad = [
    { key: null, value: Buffer.from([0xff, 0xfe, 0x00]), reason: /UTF-8|JSON/ },
    {
      key: Buffer.from('{"id":"b1"}'),
      value: Buffer.from('{"id":"b1","customerId":"c1\\u0000","total":1}'),
      reason: /Order\.customerId .*NUL/,
    },
    {
      key: Buffer.from('{"id":"b2"}'),
      value: Buffer.from('{"id":"b2","customerId":"c1","total":"many"}'),
      reason: /Order\.total/,
    },
  ]
  const count = 4_000
  // Each order three times over, and what counts is the last.
  const versions = [2, 1, 0].flatMap((back) => orders(0, count).map((one) => ({ ...one, total: one.total + back })))
  const sent = versions.length + bad.length
  for (let i = 0; i < versions.length; i += count)
    await sql.begin((tx) =>
      append(tx, 'orders', [...versions.slice(i, i + count).map(bytesOf), ...(i === 0 ? bad : [])]),
    )
  const leave = async (running: Running): Promise<void> => {
    await running.child.kill9()
    await sql.end({ timeout: 1 })
  }
  /** What is still to do: records, and entries of the dirty log. */
  const left = async (): Promise<string> => {
    const [row] = await sql<{ records: string; entries: string }[]>`
      select (select ${sent} - coalesce(sum(next_offset), 0) from forebay.positions where topic = 'orders')::text as records,
        (select count(*) from forebay.dirty)::text as entries`
    return `${row!.records} records and ${row!.entries} entries`
  }
  await leave(first)
  const killed: string[] = []
  for (let kills = 0; kills < 2; kills++) {
    const running = await start(where)
    sql = await open()
    const before = await left()
    const deadline = Date.now() + 3_000
    while ((await left()) === before && Date.now() < deadline) await sleep(2)
    killed.push(await left())
    await leave(running)
  }
  expect(
    killed.filter((what) => what !== '0 records and 0 entries'),
    'killed amid it',
  ).not.toEqual([])
  await start(where)
  sql = await open()
  later(sql, (one) => one.end({ timeout: 1 }))
  await expectAll(sql, where, { customers, orders: orders(0, count) })
  const parked = await sql<{ topic: string; entity: string; reason: string; key: Buffer | null; value: Buffer }[]>`
    select topic, entity, reason, key, value from forebay.quarantine`
  expect(parked).toHaveLength(bad.length)
  for (const { key, value, reason } of bad)
    expect(parked).toContainEqual({
      topic: 'orders',
      entity: 'Order',
      reason: expect.stringMatching(reason),
      key,
      value,
    })
})

test('a port that is taken ends the start with its remedy, and the Postgres that it had begun', async () => {
  const holder = createServer().listen(0, '127.0.0.1')
  later(holder, async (made) => made.close())
  await once(holder, 'listening')
  const where = await place()
  const { port } = holder.address() as AddressInfo
  const child = begin({ ...where.env, PORT: String(port) })
  expect(await child.ended).toBe(1)
  expect(child.output()).toMatch(new RegExp(`${port}.*PORT`))
  expect(await processesOf(where.dataDir)).toEqual([])
})

describe('Ctrl-C', () => {
  /** As a terminal does: to the whole group. */
  const interrupt = (pid: number) => process.kill(-pid, 'SIGINT')

  test('ends everything that was started within 5 s, the embedded Postgres included', async () => {
    const where = await place()
    const running = await start(where)
    expect((await processesOf(where.dataDir)).some((command) => command.includes('postgres'))).toBe(true)
    const before = Date.now()
    interrupt(running.child.pid)
    expect(await running.child.ended).toBe(0)
    expect(Date.now() - before).toBeLessThan(5_000)
    expect(await processesOf(where.dataDir)).toEqual([])
  })

  test.each([
    ['Postgres', { DATABASE_URL: 'postgres://127.0.0.1:1/shop' }],
    ['Kafka and Redis', { KAFKA_BROKERS: '127.0.0.1:1', REDIS_URL: 'redis://127.0.0.1:1' }],
  ] as const)('does not wait for an absent %s', async (_, env) => {
    const where = await place()
    const child = later(begin({ ...where.env, ...env }), (made) => made.stop())
    await sleep(3_000)
    expect(child.alive(), child.output()).toBe(true)
    const before = Date.now()
    interrupt(child.pid)
    expect(await child.ended).toBe(0)
    expect(Date.now() - before).toBeLessThan(5_000)
    expect(await processesOf(where.dataDir)).toEqual([])
  })

  test.each([300, 900, 1_600])('%i ms into the start leaves nothing behind, and the next start works', async (ms) => {
    const where = await place()
    const child = later(begin(where.env), (made) => made.stop())
    await sleep(ms)
    const before = Date.now()
    interrupt(child.pid)
    await child.ended
    expect(Date.now() - before).toBeLessThan(5_000)
    await expect.poll(() => processesOf(where.dataDir), { timeout: 5_000 }).toEqual([])
    if (ms === 900) await ready(await start(where))
  })
})

describe.skipIf(!(await canMount()))('a full disk', () => {
  const open = async (dataDir: string) => connected((await runningPostgres(dataDir))!)

  test('is said without the inside, the process lives, and with space again it goes on and nothing is lost', async () => {
    const disk = later(await mountSmall(200), (made) => made.unmount())
    const where = await place(`${disk.folder}/data`)
    const running = await start(where)
    const sent: Order[] = []
    expect((await running.post('customers', customers)).status).toBe(202)
    const send = async (from: number): Promise<number> => {
      const { status, text } = await running.post('orders', orders(from, from + 500))
      if (status === 202) sent.push(...orders(from, from + 500))
      else expect(text).not.toMatch(leak)
      return status
    }
    await send(0)
    await disk.fill()
    const statuses: number[] = []
    for (let i = 1; statuses.filter((status) => status !== 202).length < 3 && i < 60; i++)
      statuses.push(await send(i * 500))
    expect(statuses.filter((status) => status !== 202)).toEqual([503, 503, 503])
    expect(running.child.output()).toContain('No space left on device')
    expect(running.child.alive()).toBe(true)
    expect(await answered(running)).toMatchObject({ id: 'c1' })

    await disk.free()
    expect(await send(100_000)).toBe(202)
    await ready(running)
    await expectAll(await open(where.dataDir), where, { customers, orders: sent })
  })

  test('that ends Postgres itself is given as the reason, and the next start has all that was taken', async () => {
    const disk = later(await mountSmall(200), (made) => made.unmount())
    const where = await place(`${disk.folder}/data`)
    const running = await start(where)
    await running.post('customers', customers)
    expect((await running.post('orders', orders(0, 500))).status).toBe(202)
    const sql = await open(where.dataDir)
    await disk.fill()
    // Its log of writes needs a further file, which there is no room for.
    for (let i = 0; running.child.alive() && i < 60; i++) {
      await sql`select pg_logical_emit_message(false, 'test', repeat('x', 1000000))`.catch(() => sleep(100))
    }
    expect(await running.child.ended).toBe(1)
    expect(running.child.output()).toMatch(/embedded Postgres in .* ended by itself .*No space left on device/)

    await disk.free()
    const again = await start(where)
    await ready(again)
    await expectAll(await open(where.dataDir), where, { customers, orders: orders(0, 500) })
  })
})
