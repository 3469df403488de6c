/** A Forebay that is killed, stopped, or has no space left: nothing that was taken is lost or doubled, and nothing stays behind. */
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { append } from '../../src/ingest/source/journal.ts'
import { runningPostgres } from '../../src/platform/embedded-postgres.ts'
import { connect } from '../../src/platform/postgres.ts'
import { begin, processesOf, type Running } from '../support/forebay.ts'
import { canMount, mountSmall } from '../support/small-disk.ts'
import {
  answered,
  connected,
  customers,
  expectAll,
  later,
  leak,
  type Order,
  orders,
  place,
  ready,
  start,
} from './fault-shop.ts'

const bytesOf = (record: object) => ({
  key: Buffer.from(JSON.stringify({ id: (record as { id: string }).id })),
  value: Buffer.from(JSON.stringify(record)),
})

test('kill -9 amid ingestion loses and doubles nothing, and records that mean nothing are in quarantine once, with their bytes', async () => {
  const where = await place()
  const first = await start(where)
  await first.post('customers', customers)
  const open = async () => connect((await runningPostgres(where.dataDir))!, { max: 3, name: 'test' })
  let sql = await open()
  // What HTTP would have refused, as another writer of the log may have put it there.
  const bad = [
    { key: Buffer.from('{"id":"b0"}'), value: Buffer.from([0xff, 0xfe, 0x00]), reason: /UTF-8|JSON/ },
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
    ['Postgres', { DATABASE_URL: 'postgres://127.0.0.1:1/shop' }, 'postgres.waiting'],
    ['Kafka and Redis', { KAFKA_BROKERS: '127.0.0.1:1', REDIS_URL: 'redis://127.0.0.1:1' }, 'kafka.waiting'],
  ] as const)('does not wait for an absent %s', async (_, env, said) => {
    const where = await place()
    const child = later(begin({ ...where.env, ...env }), (made) => made.stop())
    await expect.poll(() => child.output(), { timeout: 20_000 }).toContain(said)
    await sleep(500)
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
    await expect.poll(() => answered(running), { timeout: 20_000 }).toMatchObject({ id: 'c1' })
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
