/** What views keep beside them, compared and repaired: contributions, totals, counts of values, groups. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Change } from '../../src/ingest/change.ts'
import type { Maintainer } from '../../src/ingest/maintain/maintainer.ts'
import type { Reconciler } from '../../src/ingest/reconcile/worker.ts'
import { openReconciling } from './reconciling.ts'
import { change, openStage, type Stage } from './stage.ts'

const SHOP = `
extend enum Role { READER }
extend schema @domain(name: "shop", owner: "law")
type Customer @entity(domain: "shop", key: "id", source: { topic: "customers" }) {
  id: ID!
  tenantId: ID! @tenant
  orders: [Order!]! @join(to: "customerId")
}
type Order @entity(domain: "shop", key: "id", source: { topic: "orders" }) {
  id: ID!
  tenantId: ID! @tenant
  customerId: ID
  city: String
  total: Decimal!
  lines: [Line!]! @join(to: "orderId")
}
type Line @entity(domain: "shop", key: "id", source: { topic: "lines" }) {
  id: ID!
  tenantId: ID! @tenant
  orderId: ID!
  product: String
  units: Int!
}
type CustomerTotals @view(of: "Customer") @allow(roles: [READER]) {
  id: ID!
  orders: Int! @count(of: "orders")
  spent: Decimal! @sum(of: "orders.total")
  units: Long! @sum(of: "orders.lines.units")
  cities: Int! @count(of: "orders.city", distinct: true)
  fewest: Int @min(of: "orders.lines.units")
}
type CustomerFile @view(of: "Customer") @allow(roles: [READER]) {
  id: ID!
  orders: [OrderPart!]! @list(of: "orders", first: 5, orderBy: { total: DESC })
}
type OrderPart @part(of: "Order") {
  id: ID!
  city: String
  lines: [ID!]! @list(of: "lines.id", first: 3, orderBy: { units: DESC })
  units: Long! @sum(of: "lines.units")
}
type CityTotals @view(of: "Order", groupBy: ["city"]) @allow(roles: [READER]) {
  city: String
  n: Int! @count
  total: Decimal! @sum(of: "total")
  most: Decimal @max(of: "total")
  units: Long! @sum(of: "lines.units")
}
`
let s: Stage
let r: ReturnType<typeof openReconciling>
let maintainer: Maintainer
let reconciler: Reconciler
beforeEach(async () => {
  s = await openStage(SHOP)
  r = openReconciling(s)
  const tenant = { tenantId: 'acme' }
  const changes: Change[] = []
  for (let c = 0; c < 12; c++) changes.push(change('Customer', { id: `c${c}`, ...tenant }, 1))
  for (let o = 0; o < 60; o++) {
    const row = { id: `o${o}`, ...tenant, customerId: `c${o % 10}`, city: `city${(o * 7) % 4}`, total: `${o}.50` }
    changes.push(change('Order', row, 1))
  }
  for (let l = 0; l < 120; l++)
    changes.push(change('Line', { id: `l${l}`, ...tenant, orderId: `o${l % 50}`, product: `p${l % 3}`, units: l }, 1))
  await s.apply(0, ...changes)
  await s.drain()
  await s.release()
  ;({ maintainer } = s.maintainer())
  await maintainer.round()
  reconciler = r.reconciler(maintainer)
})
afterEach(async () => {
  await r.close()
  await s.close()
})

const pass = async (view: string) => {
  const id = await r.ask(view)
  return { id, ...(await r.finish(id, [reconciler], () => maintainer.round())) }
}
/** All that is kept of a view. */
const contents = async (view: string) => {
  const tables = r.generation(view).tables
  return Promise.all(
    tables.map(async (table) => {
      const rows = await s.database.sql.unsafe(
        `select (to_jsonb(t) - '_version')::text as row from ${table} t order by 1`,
      )
      // A value that occurs no longer may stay for a while.
      return { table, rows: rows.map(({ row }) => row).filter((row) => !row.includes('"n": 0,')) }
    }),
  )
}
const tableOf = (view: string, ending: RegExp): string => r.generation(view).tables.find((name) => ending.test(name))!

test.each(['CustomerTotals', 'CustomerFile', 'CityTotals'])('%s as it is kept is not called drift', async (view) => {
  const { drifted, compared } = await pass(view)
  expect(drifted).toBe(0)
  expect(compared).toBeGreaterThan(100)
})

/** A table of what is kept, and what is done to it. */
const plants: readonly (readonly [view: string, table: RegExp, harm: string])[] = [
  ['CustomerTotals', /_1_sums"$/, `update @ set v0 = v0 + 5 where g0 = 'c3'`],
  ['CustomerTotals', /_1_sums"$/, `update @ set _n = _n - 1`],
  ['CustomerTotals', /_1_sums"$/, `delete from @ where g0 in ('c1', 'c2')`],
  [
    'CustomerTotals',
    /_1_sums"$/,
    `insert into @ select (jsonb_populate_record(t, '{"g0": "nobody"}')).* from @ t where g0 = 'c1'`,
  ],
  ['CustomerTotals', /_1_sums"$/, `update @ set gt = 'globex' where g0 = 'c4'`],
  ['CustomerTotals', /_1_members"$/, `update @ set v0 = v0 + 1 where k0 in ('o7', 'o8')`],
  ['CustomerTotals', /_1_members"$/, `delete from @ where k0 = 'o9'`],
  ['CustomerTotals', /_1_members"$/, `update @ set g0 = 'c5' where k0 = 'o4'`],
  ['CustomerTotals', /_1_v\d"$/, `update @ set n = n + 1`],
  ['CustomerTotals', /_1_v\d"$/, `delete from @ where g0 = 'c3'`],
  ['CustomerTotals', /_2_sums"$/, `update @ set v0 = v0 * 2`],
  ['CustomerTotals', /_2_members"$/, `update @ set v0 = v0 - 1 where k0 = 'o11'`],
  ['CustomerTotals', /_3_members"$/, `update @ set v0 = 1 where k0 = 'l11'`],
  ['CustomerTotals', /_2_members"$/, `update @ set v1 = -1 where k0 = 'o12'`],
  ['CustomerTotals', /_3_members"$/, `update @ set v1 = null where k0 = 'l12'`],
  ['CustomerFile', /_part"$/, `update @ set e = '{}' where k0 = 'o59'`],
  ['CustomerFile', /_part"$/, `delete from @ where k0 in ('o58', 'o57')`],
  ['CityTotals', /\d_sums"$/, `update @ set _n = 1`],
  ['CityTotals', /\d_sums"$/, `delete from @`],
  ['CityTotals', /_members"$/, `delete from @ where k0 < 'o3'`],
  ['CityTotals', /_members"$/, `update @ set v2 = 1000 where k0 = 'o3'`],
  ['CityTotals', /totals_[0-9a-f]{12}"$/, `update @ set total = 0`],
]
test.each(plants)('%s: what was done to %s (%s) is found and put right', async (view, table, harm) => {
  const before = await contents(view)
  const harmed = await s.database.sql.unsafe(harm.replaceAll('@', tableOf(view, table)))
  expect(harmed.count).toBeGreaterThan(0)
  const first = await pass(view)
  expect(first.drifted).toBeGreaterThan(0)
  expect(first.repaired).toBe(first.drifted)
  // A contribution that is put right moves the sums that were right without it: the next pass finds those.
  await pass(view)
  expect(await contents(view)).toEqual(before)
  expect(await pass(view)).toMatchObject({ drifted: 0 })
})
