/** C10, C22: a value that leads to very many keys is followed beside live work, a stretch at a time, and nothing is lost or hidden meanwhile. */
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { viewBasis, viewFreshness } from '../../src/gateway/freshness/freshness.ts'
import { readSnapshot } from '../../src/gateway/freshness/snapshot.ts'
import { startMaintainer } from '../../src/ingest/maintain/maintainer.ts'
import { connect } from '../../src/platform/postgres.ts'
import { startCuttingProxy } from './cutting-proxy.ts'
import { drawFrom, tape } from './draw.ts'
import { check } from './runs.ts'
import { change, openStage, type Stage } from './stage.ts'

const text = `
extend enum Role { READER }
extend schema @domain(name: "shop", owner: "law")
type Customer @entity(domain: "shop", key: "id", source: { topic: "customers" }) {
  id: ID!
  name: String!
}
type Order @entity(domain: "shop", key: "id", source: { topic: "orders" }) {
  id: ID!
  customerId: ID
  customer: Customer @join(from: "customerId")
  lines: [Line!]! @join(to: "orderId")
}
type Line @entity(domain: "shop", key: ["orderId", "no"], source: { topic: "lines" }) {
  orderId: ID!
  no: Int!
  units: Int!
  productId: ID
  order: Order @join(from: "orderId")
  product: Product @join(from: "productId")
}
type Product @entity(domain: "shop", key: "id", source: { topic: "products" }) {
  id: ID!
  price: Int!
}
type LineFile @view(of: "Line") @allow(roles: [READER]) {
  orderId: ID!
  no: Int!
  units: Int!
  buyer: String @from(path: "order.customer.name")
}
type OrderFile @view(of: "Order") @allow(roles: [READER]) {
  id: ID!
  buyer: String @from(path: "customer.name")
  worth: Long! @sum(of: "lines.product.price")
}
`
const customer = (id: string, name: string, version: number) => change('Customer', { id, name }, version)
const order = (id: string, customerId: string | null, version: number) => change('Order', { id, customerId }, version)
const line = (orderId: string, no: number, version: number, productId = 'p', units = 1) =>
  change('Line', { orderId, no, units, productId }, version)
const product = (id: string, price: number, version: number) => change('Product', { id, price }, version)
const gone = (entity: string, key: Record<string, string | number>, version: number) => ({
  ...change(entity, { ...key, gone: 'x' }, version),
  row: key,
  op: 'delete' as const,
})

let s: Stage
beforeEach(async () => {
  s = await openStage(text)
})
afterEach(() => s.close())

const tableOf = (view: string) => s.catalog.generations.find(({ table }) => table.view === view)!.table
const count = async (view: string, condition: string): Promise<number> => {
  const [row] = await s.database.sql.unsafe(`select count(*)::int as n from ${tableOf(view).table} where ${condition}`)
  return row!.n
}
const expectDefinition = async (): Promise<void> => {
  for (const { table, definition } of s.catalog.generations) {
    const columns = table.columns.map(({ column }) => `"${column}"`).join(', ')
    const [kept, defined] = [`select ${columns} from ${table.table}`, `select ${columns} from (${definition}) d`]
    const differ = await s.database.sql.unsafe(
      `(${kept} except all ${defined}) union all (${defined} except all ${kept})`,
    )
    expect(differ, `${table.view}: rows in which the table and its definition differ`).toEqual([])
  }
}
const fanouts = () => s.database.sql<{ fanout: { cursor: string | null; again: unknown } }[]>`
  select fanout from forebay.dirty where fanout is not null`
/** A customer of `orders` orders, each with a line. */
const fill = async (orders: number): Promise<void> => {
  const all = Array.from({ length: orders }, (_, i) => [order(`o${i}`, 'c', 1), line(`o${i}`, 0, 1)])
  await s.apply(0, customer('c', 'Ann', 1), product('p', 2, 1), ...all.flat())
  await s.drain()
  await s.release()
}

test('C10 rows that changed themselves come first, in the round after they changed, however much of a fan-out is left', async () => {
  await fill(3_000)
  const { maintainer } = s.maintainer()
  await s.apply(0, customer('c', 'Eve', 2))
  await maintainer.round()
  expect((await fanouts()).length, 'the lines and the orders of c').toBe(2)
  expect(await count('OrderFile', `buyer = 'Eve'`), 'nothing of it is done in front of live work').toBe(0)
  let version = 2
  let largest = 0
  for (let left = 3_000; left > 0; ) {
    await s.apply(0, line('o7', 0, version, 'p', version))
    expect(await maintainer.round()).toMatchObject({ fanouts: true })
    expect(await count('LineFile', `order_id = 'o7' and units = ${version}`)).toBe(1)
    version += 1
    const { keys } = await maintainer.round()
    largest = Math.max(largest, keys)
    left = await count('LineFile', `buyer = 'Ann'`)
  }
  expect(largest).toBeLessThanOrEqual(1_000)
  while ((await maintainer.round()).entries > 0);
  await expectDefinition()
})

test('C10 left to itself, a maintainer works live changes one after another while a fan-out is under way', {
  timeout: 300_000,
}, async () => {
  await fill(4_000)
  const sql = connect(s.database.url, { max: 1, name: 'maintainer' })
  const maintainer = startMaintainer({ sql, catalog: s.catalog, published: async () => {} })
  try {
    await s.apply(0, customer('c', 'Eve', 2))
    let [left, beside] = [4_000, 0]
    for (let version = 2; left > 0; version++) {
      await s.apply(0, line('o7', 0, version, 'p', version))
      maintainer.wake()
      while ((await count('LineFile', `order_id = 'o7' and units = ${version}`)) === 0) await sleep(5)
      left = await count('LineFile', `buyer = 'Ann'`)
      if (left > 0) beside += 1
    }
    expect(beside, 'changes that were worked in before its end').toBeGreaterThan(3)
    while ((await s.database.sql`select from forebay.dirty`).length > 0) await sleep(20)
    await expectDefinition()
  } finally {
    await maintainer.stop()
    await sql.end({ timeout: 1 })
  }
})

test('C22 what is left of a fan-out holds back the fields it touches and no others, and a later change its own origin', async () => {
  const { sql } = s.database
  const [FIRST, SECOND, NOW] = [1_000_000, 2_000_000, 3_000_000]
  const basis = viewBasis(s.model, s.model.views.get('LineFile')!)
  for (const { source } of s.model.entities.values())
    await sql`insert into forebay.positions (topic, partition, next_offset) values (${source.topic}, 0, 0)`
  const frontier = (at: number) => sql`update forebay.positions set frontier = to_timestamp(${at / 1000}::float8)`
  const bound = async (...shown: readonly string[]) =>
    viewFreshness(await readSnapshot(sql), basis, NOW, new Set(shown)).asOf
  await fill(2_500)
  const { maintainer } = s.maintainer()
  await frontier(FIRST)
  await s.apply(0, customer('c', 'Eve', 2))
  await frontier(SECOND)
  await maintainer.round()
  await maintainer.round(400)
  await maintainer.round(400)
  expect([await bound('units'), await bound('buyer')]).toEqual([SECOND, FIRST])
  await s.apply(0, customer('c', 'Zoe', 3))
  await frontier(NOW)
  const seen = new Set<number | null>()
  for (;;) {
    const { entries } = await maintainer.round(400)
    const [at, stale, old] = [
      await bound('buyer'),
      await count('LineFile', `buyer = 'Ann'`),
      await count('LineFile', `buyer <> 'Zoe'`),
    ]
    seen.add(at)
    if (stale > 0) expect(at, 'rows from before the first change').toBe(FIRST)
    if (old > 0) expect(at, 'rows from before the second').toBeLessThanOrEqual(SECOND)
    expect(await bound('units')).toBe(NOW)
    if (entries === 0) break
  }
  expect([...seen]).toEqual([FIRST, SECOND, NOW])
  await expectDefinition()
})

test('C10 a totalled row’s fan-out reaches the groups that it moves, and what reads them', async () => {
  await fill(2_200)
  const { maintainer } = s.maintainer()
  await s.apply(0, product('p', 9, 2))
  await maintainer.round()
  expect((await fanouts()).length).toBe(1)
  while ((await maintainer.round()).entries > 0);
  expect(await count('OrderFile', 'worth = 9')).toBe(2_200)
  await expectDefinition()
})

test('C6 of two maintainers one follows, and each recomputes its own', async () => {
  await fill(300)
  const two = [s.maintainer(undefined, undefined, 20).maintainer, s.maintainer(undefined, undefined, 20).maintainer]
  for (let i = 0; i < 2; i++) {
    for (const one of two) await one.round()
    await sleep(1_100)
  }
  await s.apply(0, customer('c', 'Eve', 2))
  const done = [0, 0]
  for (let idle = 0; idle < 2; ) {
    let any = 0
    for (const [i, one] of two.entries()) {
      const { entries, keys } = await one.round(40)
      any += entries
      done[i]! += keys
    }
    idle = any > 0 ? 0 : idle + 1
  }
  expect(Math.min(...done), 'keys of each').toBeGreaterThan(100)
  await expectDefinition()
})

test('law 1, law 4: fan-outs beside moves and deletes, cut anywhere, by one maintainer or two, end as the definition says', {
  timeout: 600_000,
}, async () => {
  let cuts = 0
  await check(
    6,
    fc.asyncProperty(tape(400), async (numbers) => {
      await s.close()
      s = await openStage(text)
      const draw = drawFrom(numbers)
      let version = 1
      const some = <T>(n: number, one: () => T): readonly T[] => Array.from({ length: n }, one)
      const changed = () => {
        version += 1
        const id = `o${draw.below(40)}`
        switch (draw.below(7)) {
          case 0:
            return customer(draw.pick(['c', 'd']), `n${version}`, version)
          case 1:
            return product(draw.pick(['p', 'q']), version, version)
          case 2:
            return order(id, draw.pick(['c', 'd', null]), version)
          case 3:
            return gone('Order', { id }, version)
          case 4:
            return gone('Line', { orderId: id, no: draw.below(3) }, version)
          default:
            return line(id, draw.below(3), version, draw.pick(['p', 'q']), version)
        }
      }
      await s.apply(0, customer('c', 'Ann', 1), customer('d', 'Bob', 1), product('p', 1, 1), product('q', 1, 1))
      await s.apply(
        0,
        ...Array.from({ length: 40 }, (_, i) => [order(`o${i}`, i % 4 ? 'c' : 'd', 1), line(`o${i}`, 0, 1)]).flat(),
      )
      const wide = 3 + draw.below(8)
      const started = async (after: number) => {
        const proxy = await startCuttingProxy(s.database.url, after)
        const sql = connect(proxy.url, { max: 1, name: 'cut' })
        const maintainer = startMaintainer({ sql, catalog: s.catalog, published: async () => {}, wide, auto: false })
        return { maintainer, proxy, end: () => Promise.all([sql.end({ timeout: 0 }), proxy.close()]) }
      }
      const running = [
        await started(100 + draw.below(300)),
        ...(draw.oneIn(2) ? [await started(100 + draw.below(300))] : []),
      ]
      for (let step = 0; step < 40; step++) {
        if (draw.oneIn(3)) await s.apply(draw.below(2), ...some(1 + draw.below(4), changed))
        const at = draw.below(running.length)
        const one = running[at]!
        try {
          await one.maintainer.round(2 + draw.below(12))
        } catch (error) {
          if (!one.proxy.isCut()) throw error
          cuts += 1
          await one.end()
          running[at] = await started(step < 20 ? 100 + draw.below(300) : Number.POSITIVE_INFINITY)
        }
      }
      await Promise.all(running.map(({ end }) => end()))
      await sleep(100)
      const last = s.maintainer(undefined, undefined, wide).maintainer
      while ((await last.round(30)).entries > 0);
      expect(await s.database.sql`select from forebay.dirty`).toEqual([])
      await expectDefinition()
    }),
  )
  expect(cuts).toBeGreaterThan(0)
})
