/** C22 by path: what still waits of a fan-out delays answers that show the fields it touches, and no others. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { viewBasis, viewFreshness } from '../../src/gateway/freshness/freshness.ts'
import { readSnapshot } from '../../src/gateway/freshness/snapshot.ts'
import { customer, openStage, order, type Stage } from './stage.ts'

const text = `
extend enum Role { READER }
extend schema @domain(name: "shop", owner: "law")
type Customer @entity(domain: "shop", key: "id", source: { topic: "customers" }) {
  id: ID!
  tenantId: ID! @tenant
  name: String!
}
type Order @entity(domain: "shop", key: "id", source: { topic: "orders" }) {
  id: ID!
  tenantId: ID! @tenant
  customerId: ID
  total: Int!
  customer: Customer @join(from: "customerId")
}
type OrderFile @view(of: "Order") @allow(roles: [READER]) {
  id: ID!
  total: Int!
  buyer: String @from(path: "customer.name")
  loud: String @expr(sql: "upper(buyer)")
}
`
let s: Stage
beforeEach(async () => {
  s = await openStage(text)
})
afterEach(() => s.close())

const EARLY = Date.parse('2026-01-01T00:00:00.250Z')
const LATE = Date.parse('2026-01-01T00:00:00.500Z')
const LATEST = Date.parse('2026-01-01T00:00:00.750Z')
const frontier = (at: number) =>
  s.database.sql`update forebay.positions set frontier = to_timestamp(${at / 1000}::float8)`

test('C22 a fan-out that is worked in rounds delays only the fields it touches', async () => {
  const { sql } = s.database
  const basis = viewBasis(s.model, s.model.views.get('OrderFile')!)
  const bound = async (...shown: readonly string[]) =>
    viewFreshness(await readSnapshot(sql), basis, LATEST, shown.length > 0 ? new Set(shown) : undefined).asOf
  for (const topic of ['customers', 'orders'])
    await sql`insert into forebay.positions (topic, partition, next_offset) values (${topic}, 0, 0)`
  const many = Array.from({ length: 60 }, (_, i) => order(`o${i}`, 'a', 1))
  await s.apply(0, customer('a', 1, 'Ann'), ...many)
  await s.drain()
  await s.release()

  await frontier(EARLY)
  await s.apply(0, customer('a', 2, 'Eve'))
  await frontier(LATE)
  await s.apply(0, ...many.slice(0, 5).map((_, i) => order(`o${i}`, 'a', 2, 99)))
  await frontier(LATEST)
  expect(await bound('id', 'total')).toBe(LATE)
  expect(await bound('id', 'buyer')).toBe(EARLY)

  const { maintainer } = s.maintainer()
  let [rounds, chunks] = [0, 0]
  for (;;) {
    const { entries } = await maintainer.round(10)
    if (entries === 0) break
    rounds += 1
    const [own, theirs, whole] = [await bound('id', 'total'), await bound('loud'), await bound()]
    expect(own, 'the rest of a fan-out lends its origin to nobody').not.toBe(EARLY)
    const [waits] = await sql<{ fanned: boolean; own: boolean }[]>`
      select count(*) filter (where path <> 0) > 0 as fanned, count(*) filter (where path = 0) > 0 as own from forebay.dirty`
    const stale = await sql.unsafe(`select from ${basis.table.table} where buyer <> 'Eve'`)
    if (stale.length > 0) expect(theirs, 'rows that show the old name').toBe(EARLY)
    const old = await sql.unsafe(
      `select from ${basis.table.table} where id in (${many.slice(0, 5).map((_, i) => `'o${i}'`)}) and total <> 99`,
    )
    if (old.length > 0) expect(own, 'rows that show the old total').toBe(LATE)
    if (waits!.fanned && !waits!.own) {
      expect(own).toBe(LATEST)
      expect([theirs, whole]).toEqual([EARLY, EARLY])
      chunks += 1
    }
  }
  expect(rounds).toBeGreaterThan(5)
  expect(chunks).toBeGreaterThan(0)
  for (const shown of [['total'], ['loud'], []]) expect(await bound(...shown)).toBe(LATEST)
})
