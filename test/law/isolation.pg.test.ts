/** A key that can't be recomputed is parked by itself: its view's other keys, other views and ingest go on, and nothing is hidden. */
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { viewBasis, viewFreshness } from '../../src/gateway/freshness/freshness.ts'
import { readSnapshot } from '../../src/gateway/freshness/snapshot.ts'
import { startMaintainer } from '../../src/ingest/maintain/maintainer.ts'
import { connect } from '../../src/platform/postgres.ts'
import { change, customer, openStage, type Stage } from './stage.ts'

const text = `
extend enum Role { READER }
extend schema @domain(name: "shop", owner: "law")
type Customer @entity(domain: "shop", key: "id", source: { topic: "customers" }) {
  id: ID!
  tenantId: ID! @tenant
  name: String!
  orders: [Order!]! @join(to: "customerId")
}
type Order @entity(domain: "shop", key: "id", source: { topic: "orders" }) {
  id: ID!
  tenantId: ID! @tenant
  customerId: ID
  pieces: Int!
  customer: Customer @join(from: "customerId")
}
type OrderFile @view(of: "Order") @allow(roles: [READER]) {
  id: ID!
  pieces: Int!
  buyer: String @from(path: "customer.name") @filter
  each: Long @expr(sql: "1000 / pieces")
  crate: Int @expr(sql: "pieces * 1000000")
}
type CustomerFile @view(of: "Customer") @allow(roles: [READER]) {
  id: ID!
  name: String!
  number: Int @expr(sql: "case when name like 'no %' then cast(substr(name, 4) as integer) end")
}
type NameFile @view(of: "Customer", groupBy: ["name"]) @allow(roles: [READER]) {
  name: String!
  customers: Int! @count
}
`
const order = (id: string, pieces: number, version: number, more: { customerId?: string } = {}) =>
  change('Order', { id, tenantId: 'acme', customerId: null, pieces, ...more }, version)

let s: Stage
beforeEach(async () => {
  s = await openStage(text)
})
afterEach(() => s.close())

const parked = () => s.database.sql<{ key: string; sqlstate: string; reason: string; attempts: number }[]>`
  select key, sqlstate, reason, attempts from forebay.parked_keys order by key`
const eachOf = async (id: string) => (await s.read('OrderFile', id))?.each ?? null
const pauseOver = () => s.database.sql`update forebay.parked_keys set next_attempt_at = clock_timestamp()`
const freshness = async (view: string) =>
  viewFreshness(await readSnapshot(s.database.sql), viewBasis(s.model, s.model.views.get(view)!), Date.now())

test('keys that fail are parked, each by itself, among a thousand that go on', async () => {
  const bad = new Set(['o3', 'o500', 'o501', 'o777', 'o999'])
  await s.apply(0, ...Array.from({ length: 1000 }, (_, i) => order(`o${i}`, bad.has(`o${i}`) ? 0 : 5, 1)))
  await s.drain()
  expect(await parked()).toEqual(
    [...bad].sort().map((id) => ({ key: `["${id}"]`, sqlstate: '22012', reason: 'division by zero', attempts: 1 })),
  )
  const [row] = await s.database.sql.unsafe(
    `select count(*)::int as n from ${s.catalog.generations[0]!.table.table} where each = 200`,
  )
  expect(row!.n).toBe(995)
  expect(await s.database.sql`select from forebay.dirty`, 'nothing waits for them').toEqual([])
  const marks = await s.database.sql`select key from forebay.degraded order by key`
  expect(marks.map(({ key }) => key)).toEqual([...bad].sort().map((id) => `["${id}"]`))
})

test('a key that succeeds once it is touched again leaves, and its row with it is right', async () => {
  await s.apply(0, order('a', 4, 1), order('b', 5, 1))
  await s.drain()
  await s.apply(0, order('a', 0, 2), order('b', 8, 2))
  await s.drain()
  expect([await eachOf('a'), await eachOf('b')], 'as it was; as it is').toEqual(['250', '125'])
  await s.apply(0, order('a', 10, 3), order('b', 10, 3))
  await s.drain()
  expect(await eachOf('b')).toBe('100')
  await new Promise((resolve) => setTimeout(resolve, 150))
  await s.drain()
  expect(await eachOf('a')).toBe('100')
  expect([await parked(), await s.database.sql`select from forebay.degraded`]).toEqual([[], []])
})

test('a key is tried again with growing pauses, and not in between', async () => {
  await s.apply(0, order('a', 0, 1))
  await s.drain()
  const pause = async () => {
    const [row] = await s.database.sql<{ s: number }[]>`
      select extract(epoch from next_attempt_at - clock_timestamp())::float8 as s from forebay.parked_keys`
    return row!.s
  }
  const pauses = [await pause()]
  for (let attempt = 2; attempt <= 4; attempt++) {
    await s.drain()
    expect(await parked()).toMatchObject([{ attempts: attempt - 1 }])
    await pauseOver()
    await s.drain()
    expect(await parked()).toMatchObject([{ attempts: attempt }])
    pauses.push(await pause())
  }
  const expected = [1, 2, 4, 8]
  for (const [i, seconds] of expected.entries()) {
    expect(pauses[i]).toBeLessThanOrEqual(seconds)
    expect(pauses[i]).toBeGreaterThan(seconds * 0.3)
  }
})

test('C19 asOf leaves parked keys out, and the view is DEGRADED with how many and since when', async () => {
  const { sql } = s.database
  for (const topic of ['customers', 'orders'])
    await sql`insert into forebay.positions (topic, partition, next_offset, frontier) values (${topic}, 0, 0, clock_timestamp())`
  await s.apply(0, order('a', 5, 1))
  await s.drain()
  await sql`update forebay.positions set frontier = clock_timestamp() - interval '1 minute'`
  await s.apply(0, order('a', 0, 2), order('b', 5, 1))
  await s.drain()
  await sql`update forebay.positions set frontier = clock_timestamp()`
  const [row] = await sql<{ frontier: number; since: number }[]>`
    select floor(extract(epoch from min(frontier)) * 1000)::float8 as frontier,
      (select extract(epoch from since) * 1000 from forebay.parked_keys)::float8 as since from forebay.positions`
  const found = await freshness('OrderFile')
  expect(found).toMatchObject({
    state: 'DEGRADED',
    asOf: row!.frontier,
    parkedKeys: { count: 1, oldest: Math.floor(row!.since) },
  })
  expect(found.sources).toContainEqual({
    source: 'OrderFile',
    state: 'PARKED',
    detail: '1 key could not be recomputed and is tried again',
    since: new Date(Math.floor(row!.since)).toISOString(),
  })
  expect(await freshness('CustomerFile'), 'another view').toMatchObject({ state: 'FRESH', asOf: row!.frontier })
  await s.apply(0, order('a', 5, 3))
  await s.drain()
  await pauseOver()
  await s.drain()
  expect(await freshness('OrderFile')).toMatchObject({ state: 'FRESH' })
})

test('an overflow and a bad cast park their keys like any other fault, and no value is told', async () => {
  await s.apply(0, customer('c', 1, 'no 7'), customer('d', 1, 'no secret'), customer('e', 1, 'Ann'))
  await s.apply(0, order('x', 3_000, 1), order('y', 3, 1))
  await s.drain()
  const found = await parked()
  expect(found).toMatchObject([
    { key: '["d"]', sqlstate: '22P02', reason: 'invalid input syntax for type integer: "…"' },
    { key: '["x"]', sqlstate: '22003', reason: 'integer out of range' },
  ])
  expect(await s.read('CustomerFile', 'c')).toMatchObject({ number: 7 })
  expect(await s.read('CustomerFile', 'e')).toMatchObject({ number: null })
  expect(await s.read('OrderFile', 'y')).toMatchObject({ crate: 3_000_000 })
})

test('what no index can hold parks the keys that have it, also as a group; then any row may depend on it', async () => {
  const long = randomBytes(6_000).toString('base64')
  await s.apply(0, customer('c', 1, long), customer('d', 1, 'Ann'), order('x', 1, 1, { customerId: 'c' }))
  await s.drain()
  const found = await parked()
  expect(found.map(({ key, sqlstate }) => [key, sqlstate])).toEqual([
    ['["c"]', '54000'],
    ['["x"]', '54000'],
  ])
  expect(found[1]!.reason, 'the index').toContain('order_file')
  expect(JSON.stringify(found), 'no value').not.toContain(long.slice(0, 50))
  expect(await s.read('CustomerFile', 'c'), 'a view without that index').toMatchObject({ name: long })
  const marks = await s.database.sql`select key from forebay.degraded order by key nulls last`
  expect(marks.map(({ key }) => key)).toEqual(['["x"]', null])
  await s.apply(0, customer('c', 2, 'Ann'))
  await s.drain()
  await pauseOver()
  await s.drain()
  const [group] = await s.database.sql.unsafe(
    `select * from ${s.catalog.generations.find(({ table }) => table.view === 'NameFile')!.table.table}`,
  )
  expect(group).toMatchObject({ name: 'Ann', customers: 2 })
  expect([await parked(), await s.database.sql`select from forebay.degraded`]).toEqual([[], []])
})

test('a statement that fails for every key rests its view and parks nothing; other views go on', async () => {
  const { sql } = s.database
  const { table } = s.catalog.generations.find((one) => one.table.view === 'OrderFile')!.table
  await sql.unsafe(`alter table ${table} rename column pieces to bits`)
  await s.apply(0, order('a', 5, 1), customer('c', 1))
  await s.drain()
  expect(await s.read('CustomerFile', 'c')).toBeDefined()
  expect(await parked()).toEqual([])
  expect((await sql`select from forebay.dirty`).length, 'its entries stay').toBeGreaterThan(0)
  await sql.unsafe(`alter table ${table} rename column bits to pieces`)
  await new Promise((resolve) => setTimeout(resolve, 1_100))
  await s.drain()
  expect(await eachOf('a')).toBe('200')
})

test('a fault that every key has rests its view too, whatever its kind', async () => {
  const { sql } = s.database
  const { table } = s.catalog.generations.find((one) => one.table.view === 'OrderFile')!.table
  await sql.unsafe(`alter table ${table} add constraint none check (pieces < 0) not valid`)
  await s.apply(0, ...Array.from({ length: 200 }, (_, i) => order(`o${i}`, 5, 1)))
  await s.drain()
  expect(await parked()).toEqual([])
  await sql.unsafe(`alter table ${table} drop constraint none`)
  await new Promise((resolve) => setTimeout(resolve, 1_100))
  await s.drain()
  expect(await eachOf('o199')).toBe('200')
})

test('a key that takes longer than a statement may is parked, and tried again only after its pause', async () => {
  const { sql, url } = s.database
  const { table } = s.catalog.generations.find((one) => one.table.view === 'OrderFile')!.table
  await sql`create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(20); return new; end $$`
  await sql.unsafe(
    `create trigger slow before insert or update on ${table} for each row when (new.id = 'o7') execute function slow()`,
  )
  const limited = connect(url, { max: 1, name: 'limited', statementTimeoutMs: 400 })
  const maintainer = startMaintainer({ sql: limited, catalog: s.catalog, published: async () => {}, auto: false })
  try {
    await s.apply(0, ...Array.from({ length: 64 }, (_, i) => order(`o${i}`, 5, 1)))
    for (let rounds = 0; (await parked()).length === 0; rounds++) {
      expect(rounds).toBeLessThan(30)
      await maintainer.round()
    }
    while ((await maintainer.round()).entries > 0);
    expect(await parked()).toMatchObject([{ key: '["o7"]', sqlstate: '57014' }])
    const [row] = await sql.unsafe(`select count(*)::int as n from ${table}`)
    expect(row!.n).toBe(63)
    await s.apply(0, order('o7', 4, 2), order('o8', 4, 2))
    await new Promise((resolve) => setTimeout(resolve, 200))
    while ((await maintainer.round()).entries > 0);
    expect(await eachOf('o8')).toBe('250')
    expect(await parked(), 'touching it is no reason').toMatchObject([{ attempts: 1 }])
    await sql.unsafe(`drop trigger slow on ${table}`)
    await pauseOver()
    while ((await maintainer.round()).entries > 0);
    expect([await parked(), await eachOf('o7')]).toEqual([[], '250'])
  } finally {
    await limited.end({ timeout: 1 })
  }
})
