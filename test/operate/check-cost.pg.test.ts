/** What a changed folder breaks for clients, where its views’ definitions stay what they are. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { registerViews } from '../../src/ingest/generations.ts'
import { costOf } from '../../src/operate/check-cost.ts'
import { loadModel } from '../law/model.ts'
import { openStage, type Stage } from '../law/stage.ts'

const shop = (values: string, filter = '@filter') => `
extend enum Role { READER }
extend schema @domain(name: "shop", owner: "law")
enum Tier { ${values} }
type Customer @entity(domain: "shop", key: "id", source: { topic: "customers" }) {
  id: ID!
  tier: Tier!
  orders: [Order!]! @join(to: "customerId")
}
type Order @entity(domain: "shop", key: "id", source: { topic: "orders" }) { id: ID! customerId: ID! tier: Tier! }
type CustomerCard @view(of: "Customer") @allow(roles: [READER]) {
  id: ID!
  tier: Tier! ${filter}
  orders: [OrderPart!]! @list(of: "orders", first: 5, orderBy: { id: ASC })
}
type OrderPart @part(of: "Order") { id: ID! tier: Tier! }
`
let s: Stage
beforeEach(async () => {
  s = await openStage(shop('GOLD SILVER BRONZE'))
})
afterEach(() => s.close())
const cost = async (text: string) => {
  const [one] = await costOf(s.database.sql, await loadModel(text))
  return { kind: one!.kind, breaking: one!.breaking }
}

test('a value that an enum has no more breaks clients, though nothing is rebuilt; once deployed it is no news', async () => {
  const without = shop('GOLD BRONZE')
  expect(await cost(without)).toEqual({ kind: 'nothing', breaking: ['Tier has no SILVER any more'] })
  expect(await cost(shop('GOLD SILVER BRONZE TIN'))).toEqual({ kind: 'nothing', breaking: [] })
  await registerViews(s.database.sql, await loadModel(without))
  expect(await cost(without)).toEqual({ kind: 'nothing', breaking: [] })
})

test('so does a field that can’t be searched any more', async () => {
  const without = shop('GOLD SILVER BRONZE', '')
  expect(await cost(without)).toEqual({
    kind: 'nothing',
    breaking: ["CustomerCard.tier can't be searched by @filter any more"],
  })
  await registerViews(s.database.sql, await loadModel(without))
  expect(await cost(without)).toEqual({ kind: 'nothing', breaking: [] })
})
