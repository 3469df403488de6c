/** @allow(when:): a value is null, or a list empty, where its condition does not hold, for everyone, however it is asked for. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadModel } from '../law/model.ts'
import { startWorld, type World } from './support/world.ts'

const text = `
extend enum Role { SERVICE }
extend schema @domain(name: "shop", owner: "test")
enum Purpose { PERSONALIZATION MARKETING }
type Customer @entity(domain: "shop", key: "id", source: { topic: "customers" }) {
  id: ID!
  tenantId: ID! @tenant
  city: String!
  tags: [String!]!
  consents: [Consent!]! @join(to: "customerId")
  orders: [Order!]! @join(to: "customerId")
}
type Consent @entity(domain: "shop", key: ["customerId", "purpose"], source: { topic: "consents" }) {
  customerId: ID!
  purpose: Purpose!
  granted: Boolean!
  changedAt: DateTime!
  customer: Customer! @join(from: "customerId") @tenant
}
type Order @entity(domain: "shop", key: "id", source: { topic: "orders" }) {
  id: ID!
  customerId: ID!
  category: String!
  placedAt: DateTime!
  customer: Customer! @join(from: "customerId") @tenant
}
type Profile @view(of: "Customer") @allow(roles: [SERVICE]) {
  id: ID!
  may: Boolean @first(of: "consents.granted", where: { purpose: { eq: PERSONALIZATION } }, orderBy: { changedAt: DESC })
  bought: [String!]! @list(of: "orders.category", first: 5, orderBy: { placedAt: DESC }) @allow(when: { may: { eq: true } })
  tags: [String!]! @filter @allow(when: { may: { eq: true } })
  city: String @filter @order @lookup @allow(when: { may: { eq: true } })
  greeting: String @expr(sql: "'from ' || city")
  last: ShownOrder @first(of: "orders", orderBy: { placedAt: DESC }) @allow(when: { may: { eq: true } })
}
type ShownOrder @part(of: "Order") { id: ID! placedAt: DateTime! category: String @allow(when: { placedAt: { gte: "2026-02-01T00:00:00Z" } }) }
`
const customer = (id: string, city: string) => ({ id, tenantId: 'acme', city, tags: ['new'] })
const consent = (customerId: string, granted: boolean, month: number) => ({
  customerId,
  purpose: 'PERSONALIZATION',
  granted,
  changedAt: `2026-0${month}-01T00:00:00Z`,
})
const order = (id: string, customerId: string, month: number) => ({
  id,
  customerId,
  category: `c${month}`,
  placedAt: `2026-0${month}-01T00:00:00Z`,
})

let world: World
beforeAll(async () => {
  world = await startWorld({
    model: await loadModel(text),
    rows: {
      Customer: [customer('yes', 'Oslo'), customer('no', 'Bergen'), customer('unasked', 'Oslo')],
      Consent: [consent('yes', true, 1), consent('no', false, 1)],
      Order: [order('1', 'yes', 1), order('2', 'yes', 2), order('3', 'no', 3)],
    },
  })
})
afterAll(() => world.stop())
const service = { roles: ['SERVICE'] }
const all = '{ id bought tags city greeting last { id category } }'
const profile = async (id: string) => (await world.ask(`{ profile(id: "${id}") ${all} }`, service)).body.data.profile

test('a value is shown where its condition holds, and is null or empty elsewhere, in what is computed from it too', async () => {
  expect(await profile('yes')).toEqual({
    id: 'yes',
    bought: ['c2', 'c1'],
    tags: ['new'],
    city: 'Oslo',
    greeting: 'from Oslo',
    last: { id: '2', category: 'c2' },
  })
  for (const id of ['no', 'unasked'])
    expect(await profile(id)).toEqual({ id, bought: [], tags: [], city: null, greeting: null, last: null })
})

test('no filter, order or lookup tells it', async () => {
  const ids = async (args: string) =>
    (await world.ask(`{ profiles(${args}) { nodes { id } } }`, service)).body.data.profiles.nodes.map(
      ({ id }: { id: string }) => id,
    )
  expect(await ids('where: { city: { eq: "Oslo" } }, first: 10')).toEqual(['yes'])
  expect(await ids('where: { city: { ne: "Oslo" } }, first: 10')).toEqual(['no', 'unasked'])
  expect(await ids('where: { tags: { has: "new" } }, first: 10')).toEqual(['yes'])
  expect(await ids('orderBy: [{ city: ASC }], first: 10')).toEqual(['yes', 'no', 'unasked'])
  expect((await world.ask('{ profile(city: "Bergen") { id } }', service)).body.data.profile).toBeNull()
})

test('a part’s field is shown by the part’s own', async () => {
  await world.write({ Order: [{ ...order('2', 'yes', 1), id: '2' }] })
  expect((await profile('yes')).last).toEqual({ id: '1', category: null })
})

test('it follows what the condition reads', async () => {
  await world.write({ Consent: [consent('yes', false, 3), consent('no', true, 3)] })
  expect([(await profile('yes')).city, (await profile('no')).city]).toEqual([null, 'Bergen'])
})
