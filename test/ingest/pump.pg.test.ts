/** From a log to the tables: what can't be applied ends in quarantine alone, and nothing is lost or doubled on the way. */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { LogRecord } from '../../src/ingest/change.ts'
import { until } from '../kafka/client.ts'
import { hold, untilBlocked } from '../law/stage.ts'
import { memorySource } from './memory-source.ts'
import {
  bothTopics,
  CUSTOMERS,
  customer,
  customers,
  database,
  holdApplier,
  holdPosition,
  incompressible,
  order,
  parked,
  run,
  setUpPumps,
  sql,
  startPumpOn,
  untilAt,
} from './pumps.ts'

setUpPumps()

describe('C19 a record that can not be applied is parked alone', () => {
  test('C19 with its bytes, headers, place and reason, whether decoding or Postgres refuses it', async () => {
    const bytes = Buffer.from([0xff, 0x00, 0x7b, 0x22])
    const source = memorySource(bothTopics)
    const bad = new Map<number, [record: LogRecord, reason: RegExp]>([
      [3, [customer(3, { id: 'c3' }, { value: bytes, headers: { trace: bytes, many: ['a', 'b'] } }), /not UTF-8/]],
      [5, [customer(5, { id: 'c5', name: null }), /Customer.name is null, but declared non-null/]],
      [8, [customer(8, { id: incompressible() }), /SQLSTATE 54000/]],
      [9, [customer(9, { id: 'c9', region: incompressible() }), /SQLSTATE 54000/]],
      [14, [customer(14, { id: 'c14', data: JSON.stringify({ n: 1 }).replace('1', '1e200000') }), /./]],
      [15, [customer(15, { id: 'c15', data: '\u0000' }), /./]],
    ])
    for (let offset = 0; offset < 20; offset++) {
      source.append(bad.get(offset)?.[0] ?? customer(offset, { id: `c${offset}` }), order(offset, { id: `o${offset}` }))
    }
    await run(source)
    await Promise.all([untilAt('customers', 20), untilAt('orders', 20)])
    const rows = await parked()
    expect(rows.map(({ offset }) => Number(offset))).toEqual([...bad.keys()])
    for (const row of rows) {
      const [{ key, value, timestamp }, reason] = bad.get(Number(row.offset))!
      expect(row).toMatchObject({ topic: 'customers', entity: 'Customer', key, value, at: timestamp })
      expect(row.reason).toMatch(reason)
    }
    expect(rows[0]!.headers).toEqual({
      trace: [bytes.toString('base64')],
      many: ['a', 'b'].map((text) => Buffer.from(text).toString('base64')),
    })
    const good = [...Array(20).keys()].filter((offset) => !bad.has(offset)).map((offset) => `c${offset}`)
    expect((await customers()).map(({ id }) => id)).toEqual(good.sort())
    const [orders] = await sql`select count(*)::int as n from shop.order`
    expect(orders).toEqual({ n: 20 })
  })

  test('C19 those around it are applied in the order of the log', async () => {
    const source = memorySource([CUSTOMERS])
    for (let offset = 0; offset < 40; offset++) {
      const poison = offset % 10 === 7 ? { region: incompressible() } : {}
      source.append(customer(offset, { id: `c${offset % 3}`, name: `n${offset}`, ...poison }))
    }
    await run(source)
    await untilAt('customers', 40)
    expect((await customers()).map(({ name }) => name)).toEqual(['n39', 'n34', 'n38'])
    expect((await parked()).map(({ offset }) => offset)).toEqual(['7', '17', '27', '37'])
  })

  test('C19 a burst of poison in a row holds up neither what is among and behind it nor other partitions', async () => {
    const source = memorySource(bothTopics)
    const length = 80
    const isGood = (offset: number) => offset === length / 2 || offset >= length
    for (let offset = 0; offset <= length; offset++) {
      // Half of it decoding refuses, half of it Postgres, which does not say which record it means.
      const bad = offset % 2 === 0 ? { name: null } : { region: incompressible() }
      source.append(customer(offset, { id: `c${offset}`, ...(isGood(offset) ? {} : bad) }))
      if (offset % 10 === 0) source.append(order(offset / 10, { id: `o${offset}` }))
    }
    const { failures } = await run(source, { lanes: 1 })
    await Promise.all([untilAt('customers', length + 1), untilAt('orders', length / 10 + 1)])
    expect((await customers()).map(({ id }) => id)).toEqual([`c${length / 2}`, `c${length}`].sort())
    expect((await parked()).map(({ offset }) => Number(offset))).toEqual(
      [...Array(length + 1).keys()].filter((offset) => !isGood(offset)),
    )
    expect(await sql`select count(*)::int as n from shop.order`).toEqual([{ n: length / 10 + 1 }])
    expect(failures).toEqual([])
  })

  test('C19 a key that moves to another tenant is parked, and the key stays with its own', async () => {
    const source = memorySource([CUSTOMERS])
    source.append(
      customer(0, { id: 'c', name: 'first' }),
      customer(1, { id: 'c', name: 'stolen', tenant_id: 'globex' }),
      customer(2, { id: 'other', tenant_id: 'globex' }),
      customer(3, { id: 'c', name: 'last' }),
    )
    await run(source)
    await untilAt('customers', 4)
    expect(await customers()).toMatchObject([
      { id: 'c', name: 'last', tenant_id: 'acme' },
      { id: 'other', tenant_id: 'globex' },
    ])
    const rows = await parked()
    expect(rows).toMatchObject([{ offset: '1', entity: 'Customer' }])
    expect(rows[0]!.reason).toMatch(/another tenant/)
  })
})

describe('a lost compare-and-set', () => {
  test('a position that somebody else moved is read again, and nothing is doubled', async () => {
    const source = memorySource([CUSTOMERS], 2)
    source.append(...[0, 1, 2, 3].map((offset) => customer(offset, { id: `c${offset}` })))
    const held = await holdPosition(CUSTOMERS)
    const { applied } = await run(source)
    await untilBlocked(sql, 1)
    // The other process has applied the first three, and says so before it lets go.
    await held.moveTo(3)
    await untilAt('customers', 4)
    expect((await customers()).map(({ id }) => id)).toEqual(['c3'])
    expect(applied.reduce((total, { rows }) => total + rows, 0)).toBe(1)
    expect(source.rewound).toContainEqual(expect.objectContaining({ ...CUSTOMERS, offset: 3n }))
  })
})

describe('back-pressure', () => {
  const waits = async (promise: Promise<void>): Promise<boolean> =>
    (await Promise.race([promise.then(() => 'done'), sleep(150).then(() => 'waits')])) === 'waits'
  /** Skipped: they cost nothing to apply. */
  const heartbeats = (from: number, count: number, value: Buffer): LogRecord[] =>
    Array.from({ length: count }, (_, i) => customer(from + i, { id: '' }, { value }))

  const blockedPump = async () => {
    const { pump, applied } = startPumpOn({ rewind: () => {} })
    await pump.sink.assigned([{ ...CUSTOMERS, start: 0n, end: 0n }])
    const held = await holdPosition(CUSTOMERS)
    const deliver = (from: number, records: readonly LogRecord[]) =>
      pump.sink.deliver({ ...CUSTOMERS, from: BigInt(from), to: BigInt(from + records.length), records })
    await deliver(0, [customer(0, { id: 'first' })])
    await untilBlocked(sql, 1)
    return { pump, held, deliver, applied }
  }

  test('deliver waits while more than 4,000 records of its lane do, and nothing further is decoded', async () => {
    const { pump, held, deliver } = await blockedPump()
    const value = Buffer.from('{"ts_ms":1}')
    expect(await waits(deliver(1, heartbeats(1, 4_000, value)))).toBe(false)
    const over = deliver(4_001, heartbeats(4_001, 1, value))
    expect(await waits(over)).toBe(true)
    const further = deliver(4_002, heartbeats(4_002, 1_000, value))
    expect(await waits(further)).toBe(true)
    expect(pump.backlog()).toBe(4_001)
    await held.moveTo(0)
    await Promise.all([over, further])
    await untilAt('customers', 5_002)
  })

  test('deliver waits while more than 5 MiB do', async () => {
    const { held, deliver } = await blockedPump()
    const value = Buffer.from(`{"ts_ms":"${'x'.repeat(1024 * 1024 - 20)}"}`)
    expect(await waits(deliver(1, heartbeats(1, 5, value)))).toBe(false)
    const over = deliver(6, heartbeats(6, 1, value))
    expect(await waits(over)).toBe(true)
    await held.moveTo(0)
    await over
    await untilAt('customers', 7)
  })

  test('what stays at a rebalance is neither dropped nor to come again', async () => {
    const { pump, held, deliver } = await blockedPump()
    const value = Buffer.from('{"ts_ms":1}')
    await deliver(1, heartbeats(1, 2, value))
    const customers0 = { ...CUSTOMERS, start: 0n, end: 3n }
    const other = { topic: 'orders', partition: 0, start: 0n, end: 0n }
    expect(await pump.sink.assigned([customers0])).toMatchObject([{ offset: 3n }])
    expect(pump.backlog()).toBeGreaterThan(0)
    const grown = pump.sink.assigned([customers0, other])
    await held.moveTo(0)
    expect((await grown).map(({ topic, offset }) => [topic, offset])).toEqual(
      expect.arrayContaining([
        ['customers', 3n],
        ['orders', 0n],
      ]),
    )
    await deliver(3, heartbeats(3, 1, value))
    await untilAt('customers', 4)
  })

  test('what was held back is dropped when its partition goes elsewhere meanwhile, and comes again when it is back', async () => {
    const { pump, held, deliver } = await blockedPump()
    const value = Buffer.from('{"ts_ms":1}')
    await deliver(1, heartbeats(1, 4_000, value))
    const over = deliver(4_001, heartbeats(4_001, 1, value))
    const stale = deliver(4_002, [customer(4_002, { id: 'stale' })])
    expect(await waits(stale)).toBe(true)
    await pump.sink.assigned([])
    const assigned = pump.sink.assigned([{ ...CUSTOMERS, start: 0n, end: 0n }])
    await held.moveTo(0)
    expect(await assigned).toMatchObject([{ ...CUSTOMERS, offset: 1n }])
    await Promise.all([over, stale])
    expect(pump.backlog()).toBe(0)
    await deliver(1, [customer(1, { id: 'again' })])
    await untilAt('customers', 2)
    expect((await customers()).map(({ id }) => id)).toEqual(['again', 'first'])
  })
})

test('a Postgres that ends transactions midway and drops connections loses nothing and doubles nothing', async () => {
  const source = memorySource(bothTopics, 20)
  const { applied } = await run(source)
  let count = 0
  const append = (records: number) => {
    for (const end = count + records; count < end; count++)
      source.append(customer(count, { id: `c${count}` }), order(count, { id: `o${count % 50}`, total: count }))
  }
  const allApplied = () => Promise.all([untilAt('customers', count), untilAt('orders', count)])
  append(100)
  await allApplied()
  const appliers = sql`from pg_stat_activity where datname = current_database() and application_name = 'forebay apply'`
  for (const id of ['o1', 'o30', 'o49']) {
    // It has moved its positions and written rows when it comes to this one. Its transaction is ended there by a cancel: a
    // connection that goes inside a transaction can end this process with it (porsager/postgres#1208), so those go between two.
    const held = await hold(database.url, `select from shop.order where id = '${id}' for update`)
    append(100)
    await untilBlocked(sql, 1)
    expect(await sql`select pg_cancel_backend(pid) ${appliers} and wait_event_type = 'Lock'`).toHaveLength(1)
    await held.release()
    await allApplied()
    await sql`select pg_terminate_backend(pid) ${appliers}`
  }
  append(100)
  await allApplied()
  expect(await customers()).toHaveLength(count)
  const orders = await sql<{ total: number }[]>`select total from shop.order order by total`
  expect(orders.map(({ total }) => total)).toEqual([...Array(50).keys()].map((i) => count - 50 + i))
  expect(await parked()).toEqual([])
  const counts = applied.flatMap(({ rows, dropped }) => [rows, ...dropped.map((one) => one.count)])
  expect(counts.reduce((total, n) => total + n, 0)).toBe(2 * count)
})

test('C22 an entry has its own topic’s frontier before the batch: another topic that lags holds it back by nothing', async () => {
  const source = memorySource(bothTopics)
  const running = await run(source, { lanes: 1 })
  const gate = await holdApplier(running)
  await sql`update forebay.positions set frontier = case topic when 'customers' then timestamptz '2026-01-01Z' else timestamptz '2026-06-01Z' end where topic <> 'gate'`
  source.append(customer(0, { id: 'c', region: 'n' }), order(0, { id: 'o', region: 'n' }))
  await until(() => running.pump.backlog() === 2, 'both wait for one batch')
  await gate.release()
  await untilAt('orders', 1)
  const origins = await sql`select offsets, forebay.iso(origin) as origin, path from forebay.dirty order by path`
  expect(origins.map(({ origin, path }) => [path, origin])).toEqual([
    [0, '2026-01-01T00:00:00Z'],
    // An order is counted: it reaches the total's own keys first.
    [2, '2026-06-01T00:00:00Z'],
  ])
})
