/** C11: a change rewrites the fields that it can reach, of rows that are there. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { change, customer, openStage, order, type Stage } from './stage.ts'

const text = `
extend enum Role { READER }
extend schema @domain(name: "shop", owner: "law")
type Customer @entity(domain: "shop", key: "id", source: { topic: "customers" }) {
  id: ID!
  tenantId: ID! @tenant
  name: String!
  orders: [Order!]! @join(to: "customerId")
  tickets: [Ticket!]! @join(to: "customerId")
}
type Order @entity(domain: "shop", key: "id", source: { topic: "orders" }) {
  id: ID!
  tenantId: ID! @tenant
  customerId: ID
  total: Int!
}
type Ticket @entity(domain: "shop", key: "id", source: { topic: "tickets" }) {
  id: ID!
  tenantId: ID! @tenant
  customerId: ID
}
type Overview @view(of: "Customer") @allow(roles: [READER]) {
  id: ID!
  name: String!
  spent: Long! @sum(of: "orders.total")
  largest: Int @max(of: "orders.total")
  rich: Boolean @expr(sql: "spent > 100")
  tickets: Int! @count(of: "tickets")
}
`
let s: Stage
beforeEach(async () => {
  s = await openStage(text)
})
afterEach(() => s.close())

const ticket = (id: string, version: number) => change('Ticket', { id, tenantId: 'acme', customerId: 'c' }, version)
/** What no change wrote: it stays where nothing computes the field, and goes where something does. */
const plant = (assignments: string) =>
  s.database.sql.unsafe(`update ${s.catalog.generations[0]!.table.table} set ${assignments}`)

test('C11 fields that a change can’t reach are not computed', async () => {
  await s.apply(0, customer('c', 1), order('o', 'c', 1, 10), ticket('t', 1))
  await s.drain()
  await plant('spent = -1, largest = -1, tickets = -1')
  await s.apply(0, ticket('u', 1))
  await s.drain()
  expect(await s.read('Overview', 'c')).toMatchObject({ spent: '-1', largest: -1, tickets: 2 })
  await plant('tickets = -1')
  await s.apply(0, order('p', 'c', 1, 200))
  await s.drain()
  expect(await s.read('Overview', 'c')).toMatchObject({ spent: '210', largest: 200, rich: true, tickets: -1 })
})

test('C11 what reaches the whole row computes all of it', async () => {
  await s.apply(0, customer('c', 1), order('o', 'c', 1, 10))
  await s.drain()
  await plant('spent = -1, tickets = -1')
  await s.apply(0, customer('c', 2, 'Eve'))
  await s.drain()
  expect(await s.read('Overview', 'c')).toMatchObject({ name: 'Eve', spent: '10', tickets: 0 })
})

test('C11 an absent row is built whole, and by nothing else', async () => {
  await s.apply(0, order('o', 'c', 1, 10), ticket('t', 1))
  await s.drain()
  expect(await s.read('Overview', 'c')).toBeUndefined()
  await s.apply(0, customer('c', 1))
  await s.drain()
  expect(await s.read('Overview', 'c')).toMatchObject({ spent: '10', largest: 10, tickets: 1 })
})
