/** The least and the greatest of groups and over several joins: as extremes go, come, move and tie, by any number of owners; and at what cost. */
import { createHash } from 'node:crypto'
import { afterEach, describe, expect, test } from 'vitest'
import { byKey, plans } from '../../src/ingest/session-settings.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { change, openStage, type Stage } from './stage.ts'
import { ownedId, settle, startWorkers } from './workers.ts'

const SHOP = `
extend enum Role { READER }
extend schema @domain(name: "shop", owner: "law")
type Region @entity(domain: "shop", key: "id", source: { topic: "regions" }) {
  id: ID!
  tenantId: ID! @tenant
  customers: [Customer!]! @join(to: "regionId")
}
type Customer @entity(domain: "shop", key: "id", source: { topic: "customers" }) {
  id: ID!
  tenantId: ID! @tenant
  regionId: ID
  orders: [Order!]! @join(to: "customerId")
}
type Order @entity(domain: "shop", key: "id", source: { topic: "orders" }) {
  id: ID!
  tenantId: ID! @tenant
  customerId: ID
  customer: Customer @join(from: "customerId")
  city: String
  state: String
  total: Decimal
  placedAt: DateTime
  day: Date
  weight: Float
  views: Long
  note: String
  lines: [Line!]! @join(to: "orderId")
}
type Line @entity(domain: "shop", key: "id", source: { topic: "lines" }) {
  id: ID!
  tenantId: ID! @tenant
  orderId: ID!
  units: Int
}
type Regions @view(of: "Region") @allow(roles: [READER]) {
  id: ID!
  least: Int @min(of: "customers.orders.lines.units")
  most: Int @max(of: "customers.orders.lines.units", where: { units: { lt: 100 } })
}
type Customers @view(of: "Customer") @allow(roles: [READER]) {
  id: ID!
  least: Int @min(of: "orders.lines.units")
  most: Int @max(of: "orders.lines.units")
  paid: Decimal @min(of: "orders.total", where: { state: { eq: "PAID" } })
  abroad: Decimal @max(of: "orders.total", where: { customer: { regionId: { ne: "home" } } })
  note: String @max(of: "orders.note")
}
type Cities @view(of: "Order", groupBy: ["city"]) @allow(roles: [READER]) {
  city: String
  least: Decimal @min(of: "total")
  most: Decimal @max(of: "total")
  paid: Decimal @min(of: "total", where: { state: { eq: "PAID" } })
  first: DateTime @min(of: "placedAt")
  day: Date @max(of: "day")
  weight: Float @min(of: "weight")
  views: Long @max(of: "views")
  note: String @min(of: "note")
  last: ID @max(of: "id")
  units: Int @max(of: "lines.units")
}
`
const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})
const opened = async (): Promise<Stage> => {
  const stage = await openStage(SHOP)
  closing.push(stage.close)
  return stage
}
const tenant = { tenantId: 'acme' }
const region = (id: string) => change('Region', { id, ...tenant }, 1)
const customer = (id: string, regionId: string | null, version = 1) =>
  change('Customer', { id, ...tenant, regionId }, version)
const nothing = {
  ...{ city: null, state: null, total: null, placedAt: null, day: null, weight: null, views: null, note: null },
  customerId: null,
}
type Order = { readonly [field in keyof typeof nothing]?: string | number | null }
const order = (id: string, row: Order, version = 1) => change('Order', { id, ...tenant, ...nothing, ...row }, version)
const line = (id: string, orderId: string, units: number | null, version = 1) =>
  change('Line', { id, ...tenant, orderId, units }, version)
const gone = (entity: string, id: string, version = 9) => change(entity, { id }, version)

const cityOf = async ({ database, catalog }: Stage, city: string | null) => {
  const { table } = catalog.generations.find(({ table }) => table.view === 'Cities')!.table
  const [row] = await database.sql.unsafe(
    `select *, day::text as day, forebay.iso(first) as first from ${table} where city is not distinct from $1`,
    [city],
  )
  return row
}

describe('over several to-many joins', () => {
  test('an extreme that goes leaves the next one; one that moves is its new group’s', async () => {
    const s = await opened()
    const work = async (...changes: Parameters<Stage['apply']>[1][]) => {
      await s.apply(0, ...changes)
      await s.drain()
    }
    await work(region('n'), region('s'), customer('a', 'n'), customer('b', 's'))
    await work(order('1', { customerId: 'a' }), order('2', { customerId: 'a' }), order('3', { customerId: 'b' }))
    await work(line('l1', '1', 5), line('l2', '1', 5), line('l3', '2', 200), line('l4', '2', 7), line('l5', '3', null))
    expect(await s.read('Customers', 'a')).toMatchObject({ least: 5, most: 200 })
    expect(await s.read('Customers', 'b')).toMatchObject({ least: null, most: null })
    expect(await s.read('Regions', 'n')).toMatchObject({ least: 5, most: 7 })
    // One of two that tie.
    await work(gone('Line', 'l1'))
    expect(await s.read('Customers', 'a')).toMatchObject({ least: 5 })
    await work(gone('Line', 'l2'))
    expect(await s.read('Customers', 'a')).toMatchObject({ least: 7, most: 200 })
    // An order takes its lines along, as does a customer.
    await work(order('2', { customerId: 'b' }, 2))
    expect(await s.read('Customers', 'a')).toMatchObject({ least: null, most: null })
    expect(await s.read('Customers', 'b')).toMatchObject({ least: 7, most: 200 })
    expect(await s.read('Regions', 's')).toMatchObject({ least: 7, most: 7 })
    await work(customer('b', 'n', 2), line('l5', '3', -1, 2))
    expect(await s.read('Regions', 's')).toMatchObject({ least: null, most: null })
    expect(await s.read('Regions', 'n')).toMatchObject({ least: -1, most: 7 })
    await work(gone('Order', '3'))
    expect(await s.read('Regions', 'n')).toMatchObject({ least: 7, most: 7 })
  })

  test('a filter lets rows in and out, also through a join; texts are told apart beyond what an index has of them', async () => {
    const s = await opened()
    const work = async (...changes: Parameters<Stage['apply']>[1][]) => {
      await s.apply(0, ...changes)
      await s.drain()
    }
    // Nor can it be made shorter.
    const long = `é${Array.from({ length: 100 }, (_, i) => createHash('sha256').update(`${i}`).digest('hex')).join('')}`
    const row = (state: string, total: string, note: string | null) => ({ customerId: 'a', state, total, note })
    await work(customer('a', 'home'), order('1', row('PAID', '2.50', `${long}a`)))
    await work(order('2', row('OPEN', '1', `${long}b`)), order('3', row('PAID', '3', 'é')))
    expect(await s.read('Customers', 'a')).toMatchObject({ paid: '2.50', abroad: null, note: `${long}b` })
    await work(order('2', row('PAID', '1', null), 2), customer('a', null, 2))
    expect(await s.read('Customers', 'a')).toMatchObject({ paid: '1', abroad: '3', note: `${long}a` })
    await work(order('2', row('VOID', '1', null), 3), gone('Order', '1'), customer('a', 'away', 3))
    expect(await s.read('Customers', 'a')).toMatchObject({ paid: '3', abroad: '3', note: 'é' })
    await work(customer('a', 'home', 4))
    expect(await s.read('Customers', 'a')).toMatchObject({ paid: '3', abroad: null })
  })
})

describe('of groups', () => {
  test('every type that has an order, as members go and change their group', async () => {
    const s = await opened()
    const early = { total: '1.5', placedAt: '2026-03-29T00:30:00.000001Z', day: '2026-03-28', weight: -0.5 }
    const late = { total: '10', placedAt: '2026-03-29T00:30:00.000002Z', day: '2026-03-29', weight: 2 }
    await s.apply(
      0,
      order('1', { city: 'x', ...early, views: '9007199254740993', note: 'B' }),
      order('2', { city: 'x', ...late, views: '-1', note: 'a', state: 'PAID' }),
      order('3', { city: 'x' }),
      order('4', { city: null, ...late }),
      line('l1', '1', 3),
      line('l2', '2', 2),
    )
    await s.drain()
    const x = await cityOf(s, 'x')
    expect(x).toMatchObject({
      least: '1.5',
      most: '10',
      paid: '10',
      weight: -0.5,
      views: '9007199254740993',
      note: 'B',
    })
    expect(x).toMatchObject({ first: early.placedAt, day: late.day, last: '3', units: 3 })
    await s.apply(0, order('1', { city: null, ...early }, 2), gone('Order', '3'))
    await s.drain()
    expect(await cityOf(s, 'x')).toMatchObject({ least: '10', views: '-1', weight: 2, note: 'a', last: '2', units: 2 })
    expect(await cityOf(s, null)).toMatchObject({ least: '1.5', most: '10', paid: null, units: 3, last: '4' })
    await s.apply(0, gone('Order', '2'))
    await s.drain()
    expect(await cityOf(s, 'x')).toBeUndefined()
  })

  test('two owners that raise the two least at once leave the third', async () => {
    const s = await opened()
    const [first, second] = await startWorkers(s, closing)
    const [one, two] = [await ownedId(first, 'o'), await ownedId(second, 'o')]
    const of = (total: string) => ({ city: 'x', customerId: 'a', state: 'PAID', total })
    await s.apply(0, customer('a', null), order(one, of('1')), order(two, of('2')), order('third', of('3')))
    await settle(s, [first, second])
    const commit = first.gate.shut()
    await s.apply(0, order(one, of('8'), 2))
    const going = first.maintainer.round()
    await commit.reached
    // Still sees the least one: what it raises is no extreme to it.
    await s.apply(0, order(two, of('9'), 2))
    await second.maintainer.round()
    commit.open()
    await going
    await settle(s, [first, second])
    expect(await cityOf(s, 'x')).toMatchObject({ least: '3', most: '9', paid: '3' })
    expect(await s.read('Customers', 'a')).toMatchObject({ paid: '3', abroad: '9' })
  })
})

describe('at work', () => {
  type Explained = [{ readonly Plan: Record<string, number> }]
  /** Of statements that were planned for good while the tables were empty, and then again once they were counted. */
  const pagesOf = async (sql: Sql, name: string, key: string): Promise<number> => {
    const [row] = await sql.unsafe<{ 'QUERY PLAN': Explained }[]>(
      `explain (analyze, buffers, format json) execute ${name}('[[${JSON.stringify(key)}]]')`,
    )
    const [{ Plan: plan }] = row!['QUERY PLAN']
    return plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!
  }

  test('a group of twenty thousand costs what one of ten does, whenever its statement was planned', async () => {
    const s = await opened()
    const sql = connect(s.database.url, { max: 1, name: 'extremes', settings: { ...plans, ...byKey } })
    closing.push(() => sql.end({ timeout: 1 }))
    const [cities, customers] = ['Cities', 'Customers'].map(
      (view) => s.catalog.generations.find(({ table }) => table.view === view)!,
    )
    await sql.unsafe(`prepare cities (text) as ${cities!.recompute}`)
    await sql.unsafe(`prepare customers (text) as ${customers!.recompute}`)
    const grouped = (city: string) => JSON.stringify(['acme', city])
    await pagesOf(sql, 'cities', grouped('few'))
    await pagesOf(sql, 'customers', 'few')
    await s.apply(0, customer('few', null), customer('many', null), order('big', { customerId: 'many' }))
    const fill = async (of: string, from: number, to: number) => {
      const some = Array.from({ length: to - from }, (_, i) => from + i)
      await s.apply(
        0,
        ...some.map((n) => order(`${of}${n}`, { customerId: of, city: of, total: `${n}`, note: `${n}` })),
        ...some.map((n) => line(`${of}${n}`, of === 'many' ? 'big' : `${of}${n}`, n)),
      )
      await s.drain()
    }
    await fill('few', 0, 10)
    for (let n = 0; n < 20_000; n += 5_000) await fill('many', n, n + 5_000)
    // So many groups of one that a group is believed to have about one.
    const single = Array.from({ length: 20_000 }, (_, n) => order(`single${n}`, { city: `city${n}`, total: '1' }))
    await s.apply(0, ...single)
    await s.drain()
    const expectFlat = async () => {
      for (const [name, few, many] of [
        ['cities', grouped('few'), grouped('many')],
        ['customers', 'few', 'many'],
      ] as const) {
        const [small, large] = [await pagesOf(sql, name, few), await pagesOf(sql, name, many)]
        expect([name, large]).toEqual([name, Math.min(large, Math.round(1.5 * small) + 10)])
      }
    }
    await expectFlat()
    await s.database.sql`vacuum analyze`
    await expectFlat()
    expect(await cityOf(s, 'many')).toMatchObject({ least: '0', most: '19999', note: '0', last: 'many9999' })
    expect(await s.read('Customers', 'many')).toMatchObject({ least: 0, most: 19_999 })
  })
})
