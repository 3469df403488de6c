/** From a log to the tables: what can't be applied ends in quarantine alone, and nothing is lost or doubled on the way. */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Applied, createApplier } from '../../src/ingest/apply/apply.ts'
import type { LogRecord } from '../../src/ingest/change.ts'
import { createDecoder } from '../../src/ingest/decode.ts'
import { type Catalog, registerViews } from '../../src/ingest/generations.ts'
import { type Pump, startPump } from '../../src/ingest/pump.ts'
import type { Model } from '../../src/model/model.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { startEpoch } from '../../src/operate/replay.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { until } from '../kafka/client.ts'
import { loadModel } from '../law/model.ts'
import { hold, untilBlocked } from '../law/stage.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'
import { type MemorySource, memorySource } from './memory-source.ts'

const SHOP = `
extend enum Role { READER }
extend schema @domain(name: "shop", owner: "test")
type Customer @entity(domain: "shop", key: "id", source: { topic: "customers" }) {
  id: ID!
  tenantId: ID! @tenant
  name: String!
  region: String
  data: JSON
  orders: [Order!]! @join(from: "region", to: "region")
}
type Order @entity(domain: "shop", key: "id", source: { topic: "orders" }) {
  id: ID!
  tenantId: ID! @tenant
  region: String
  total: Int!
}
type CustomerFile @view(of: "Customer") @allow(roles: [READER]) { id: ID!, name: String!, orders: Int! @count(of: "orders") }
`
/** As Debezium sends it. */
const record = (
  topic: 'customers' | 'orders',
  offset: number,
  row: Readonly<Record<string, unknown>>,
  more: Partial<LogRecord> & { readonly lsn?: number; readonly at?: number } = {},
): LogRecord => {
  const { lsn = offset + 1, at = 1_790_000_000_000_000 + lsn, ...rest } = more
  const after =
    topic === 'customers' ? { tenant_id: 'acme', name: 'Ann', ...row } : { tenant_id: 'acme', total: 1, ...row }
  return {
    topic,
    partition: 0,
    offset: BigInt(offset),
    timestamp: 1_795_000_000_000,
    headers: {},
    key: Buffer.from(JSON.stringify({ id: row.id })),
    value: Buffer.from(JSON.stringify({ op: 'c', before: null, after, source: { lsn, ts_us: at } })),
    ...rest,
  }
}
const customer = (offset: number, row: Readonly<Record<string, unknown>>, more: Parameters<typeof record>[3] = {}) =>
  record('customers', offset, row, more)
const order = (offset: number, row: Readonly<Record<string, unknown>>, more: Parameters<typeof record>[3] = {}) =>
  record('orders', offset, row, more)
/** A value that no index can hold: Postgres can't make it small. */
const incompressible = (): string => randomBytes(8_000).toString('base64')

const CUSTOMERS = { topic: 'customers', partition: 0 }
const ORDERS = { topic: 'orders', partition: 0 }
const bothTopics = [CUSTOMERS, ORDERS]

let database: Database
let sql: Sql
let model: Model
let catalog: Catalog
const closing: (() => Promise<unknown>)[] = []
beforeAll(async () => {
  database = await freshDatabase()
  sql = database.sql
  model = await loadModel(SHOP)
  await installModel(sql, model)
})
beforeEach(async () => {
  await sql`truncate shop.customer, shop.order, forebay.positions, forebay.quarantine, forebay.dirty`
  catalog = await registerViews(sql, model)
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})
afterAll(() => database?.drop())

type Running = { readonly pump: Pump; readonly applied: readonly Applied[]; readonly failures: readonly string[] }
const startPumpOn = (source: Pick<MemorySource, 'rewind'>): Running => {
  const applied: Applied[] = []
  const failures: string[] = []
  const writer = connect(database.url, { max: 2, name: 'apply' })
  const pump = startPump({
    sql,
    source,
    decoder: createDecoder(model),
    applier: createApplier(writer, model, catalog),
    applied: (result) => applied.push(result),
    failed: (reason) => failures.push(reason),
  })
  closing.push(
    () => writer.end({ timeout: 1 }),
    () => pump.stop(),
  )
  return { pump, applied, failures }
}
const run = async (source: MemorySource): Promise<Running> => {
  const running = startPumpOn(source)
  closing.push(() => source.stop())
  await source.start(running.pump.sink)
  return running
}
const position = async (topic: string, partition = 0) => {
  const [row] = await sql<{ next: number; state: string; reason: string | null }[]>`
    select next_offset::int as next, state, reason from forebay.positions where topic = ${topic} and partition = ${partition}`
  return row
}
const untilAt = (topic: string, next: number, partition = 0) =>
  until(async () => (await position(topic, partition))?.next === next, `${topic}-${partition} at ${next}`)
type Stored = { id: string; name: string; tenant_id: string; _version: string; _offset: string }
const customers = () => sql<Stored[]>`select id, name, tenant_id, _version, _offset from shop.customer order by id`
const parked = () => sql<
  {
    offset: string
    topic: string
    entity: string
    reason: string
    key: Buffer
    value: Buffer
    headers: object
    at: number
  }[]
>`
  select topic, "offset", entity, reason, key, value, headers, (extract(epoch from record_time) * 1000)::float8 as at
  from forebay.quarantine order by topic, "offset"`

describe('C19 a record that can not be applied is parked alone', () => {
  test('C19 with its bytes, headers, place and reason, whether decoding or Postgres refuses it', async () => {
    const bytes = Buffer.from([0xff, 0x00, 0x7b, 0x22])
    const source = memorySource(bothTopics)
    const bad = new Map<number, [record: LogRecord, reason: RegExp]>([
      [
        3,
        [
          customer(3, { id: 'c3' }, { value: bytes, key: bytes, headers: { trace: bytes, many: ['a', 'b'] } }),
          /not UTF-8/,
        ],
      ],
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

/** A row of forebay.positions that somebody else holds, made if need be. */
const holdPosition = async ({ topic, partition }: { topic: string; partition: number }) => {
  await sql`insert into forebay.positions (topic, partition, next_offset) values (${topic}, ${partition}, 0) on conflict do nothing`
  const other = connect(database.url, { max: 1, name: 'other' })
  const moved = Promise.withResolvers<number>()
  const began = Promise.withResolvers<void>()
  const transaction = other.begin(async (tx) => {
    await tx`select from forebay.positions where topic = ${topic} and partition = ${partition} for update`
    began.resolve()
    const next = await moved.promise
    await tx`update forebay.positions set next_offset = ${next} where topic = ${topic} and partition = ${partition}`
  })
  await began.promise
  return {
    async moveTo(next: number) {
      moved.resolve(next)
      await transaction
      await other.end({ timeout: 1 })
    },
  }
}

/** Until it is let go, the applier stands at an empty batch of a partition of its own, so that what comes meanwhile is one batch. */
const holdApplier = async ({ pump }: Running) => {
  const gate = { topic: 'gate', partition: 0 }
  const held = await holdPosition(gate)
  await pump.sink.deliver({ ...gate, from: 0n, to: 0n, records: [] })
  await untilBlocked(sql, 1)
  return { release: () => held.moveTo(0) }
}

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

  test('deliver waits while more than 20,000 records do', async () => {
    const { pump, held, deliver } = await blockedPump()
    const value = Buffer.from('{"ts_ms":1}')
    expect(await waits(deliver(1, heartbeats(1, 20_000, value)))).toBe(false)
    const over = deliver(20_001, heartbeats(20_001, 1, value))
    expect(await waits(over)).toBe(true)
    expect(pump.backlog()).toBe(20_001)
    await held.moveTo(0)
    await over
    await untilAt('customers', 20_002)
  })

  test('deliver waits while more than 48 MiB do', async () => {
    const { held, deliver } = await blockedPump()
    const value = Buffer.from(`{"ts_ms":"${'x'.repeat(8 * 1024 * 1024 - 20)}"}`)
    expect(await waits(deliver(1, heartbeats(1, 6, value)))).toBe(false)
    const over = deliver(7, heartbeats(7, 1, value))
    expect(await waits(over)).toBe(true)
    await held.moveTo(0)
    await over
    await untilAt('customers', 8)
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
  expect(applied.reduce((total, { rows, older, duplicate }) => total + rows + older + duplicate, 0)).toBe(2 * count)
})

test('C8 an applier that does not know a registered generation stops with a message and takes nothing more', async () => {
  const source = memorySource([CUSTOMERS])
  const { pump, failures } = await run(source)
  source.append(customer(0, { id: 'a' }))
  await untilAt('customers', 1)
  await registerViews(sql, await loadModel(SHOP.replace('name: String!, orders', 'orders')))
  source.append(customer(1, { id: 'b' }))
  await until(() => failures.length > 0, 'failed')
  expect(failures).toEqual([
    expect.stringMatching(/another process registered views.*start this one with the same schema/),
  ])
  expect((await customers()).map(({ id }) => id)).toEqual(['a'])
  expect(await position('customers')).toMatchObject({ next: 1 })
  const more = { ...CUSTOMERS, from: 2n, to: 3n, records: [customer(2, { id: 'c' })] }
  await expect(pump.sink.deliver(more)).rejects.toThrow(/stopped/)
})

describe('C14 a source that went back in time', () => {
  const back = { lsn: 5, at: 1_890_000_000_000_000 }

  test('C14 stops its partition with the reason, and the others of the batch go on', async () => {
    const source = memorySource(bothTopics)
    source.append(customer(0, { id: 'c' }, { lsn: 50 }), customer(1, { id: 'c' }, back), order(0, { id: 'o' }))
    await run(source)
    await until(async () => (await position('customers'))?.state === 'STUCK', 'stuck')
    expect((await position('customers'))!.reason).toMatch(/restored or replaced.*forebay replay --new-epoch/)
    await untilAt('orders', 1)
    source.append(...[2, 3, 4].map((offset) => customer(offset, { id: `later${offset}` }, { lsn: 100 + offset })))
    source.append(...[1, 2, 3].map((offset) => order(offset, { id: `o${offset}` })))
    await untilAt('orders', 4)
    expect((await customers()).some(({ id }) => id.startsWith('later'))).toBe(false)
  })

  test('C14 what is delivered of it meanwhile makes nobody’s batch come again', async () => {
    const source = memorySource(bothTopics)
    source.append(customer(0, { id: 'c' }, { lsn: 50 }), customer(1, { id: 'c' }, back))
    const running = await run(source)
    await until(async () => (await position('customers'))?.state === 'STUCK', 'stuck')
    const held = await holdApplier(running)
    const before = source.rewound.length
    source.append(order(0, { id: 'o' }), customer(2, { id: 'later' }, { lsn: 100 }))
    await until(() => running.pump.backlog() > 0, 'waits')
    await sleep(50)
    await held.release()
    await untilAt('orders', 1)
    expect(source.rewound.slice(before)).toEqual([])
  })

  test('C14 when the batch had to be halved its other half comes again', async () => {
    const source = memorySource(bothTopics)
    const running = await run(source)
    const held = await holdApplier(running)
    source.append(customer(0, { id: 'c' }, { lsn: 50 }), customer(1, { id: 'c' }, back))
    source.append(order(0, { id: 'o' }), order(1, { id: incompressible() }))
    await until(() => running.pump.backlog() === 4, 'all wait')
    await held.release()
    await untilAt('orders', 2)
    expect(await position('customers')).toMatchObject({ state: 'STUCK', next: 0 })
  })

  test('C14 after a new epoch it goes on from where it stopped', async () => {
    const source = memorySource(bothTopics)
    source.append(customer(0, { id: 'c', name: 'old' }, { lsn: 50 }))
    await run(source)
    await untilAt('customers', 1)
    source.append(customer(1, { id: 'c', name: 'restored' }, back))
    await until(async () => (await position('customers'))?.state === 'STUCK', 'stuck')
    await startEpoch(sql, 'customers', {})
    source.append(customer(2, { id: 'd' }, { lsn: 6 }))
    await untilAt('customers', 3)
    expect(await customers()).toMatchObject([{ id: 'c', name: 'restored' }, { id: 'd' }])
  })
})
