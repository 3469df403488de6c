import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { formatFault, loadSchema, parseSchema } from '../../src/model/load.ts'
import { base, modelOf } from './folder.ts'

const folder = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url))

describe('whole folders', () => {
  test.each([
    ['schema', 21, 11],
    ['test/schemas/northwind', 11, 4],
    ['test/schemas/github', 10, 3],
  ])('%s holds as it is', async (path, entities, views) => {
    const model = modelOf(await loadSchema(folder(path)))
    expect([model.entities.size, model.views.size]).toEqual([entities, views])
  })

  test('an empty folder holds and declares nothing', async () => {
    const model = modelOf(await parseSchema([]))
    expect(model.roles).toEqual(['ADMIN', 'OPERATOR', 'AUDITOR', 'GATEWAY'])
    expect(model.views.size).toBe(0)
  })

  test('the language may stand in the folder itself', async () => {
    const text = await readFile(folder('schema/forebay.graphql'), 'utf8')
    const loaded = await parseSchema([
      { name: 'base.graphql', text: base },
      { name: 'sub/forebay.graphql', text },
    ])
    expect(loaded.ok).toBe(true)
  })

  test('types and enums may be extended from other files', async () => {
    const model = modelOf(
      await parseSchema([
        { name: 'a.graphql', text: 'extend type Customer { nick: String }\nextend enum Tier { PLATINUM }' },
        { name: 'base.graphql', text: base },
      ]),
    )
    expect(model.entities.get('Customer')?.columns.at(-1)).toMatchObject({ name: 'nick', path: ['nick'] })
    expect(model.enums.get('Tier')?.values.at(-1)?.name).toBe('PLATINUM')
  })

  test('ten planted faults in three files are all named with their places, a syntax error among them', async () => {
    const planted = [
      {
        name: 'sales.graphql',
        text: `
type Ticket @entity(domain: "shp", key: "id", source: { topic: "tickets" }) {
  id: ID!
  customerId: ID
  customer: Customer! @join(from: "customerId")
  state: TicketState!
}
type Line @entity(domain: "shop", key: ["orderId", "price"], source: { topic: "lines" }) {
  orderId: ID!
  price: Float!
}`,
      },
      {
        name: 'broken.graphql',
        text: `
type Broken @entity(domain: "shop", key: "id", source: { topic: "broken" }) {
  id ID!
}
"Stands after the broken one."
type Customers @view(of: "Customer") @allow(roles: [AGENT, CLERKS]) {
  id: ID!
  spent: Decimal! @sum(of: "orders.weight")
  brokens: Broken @from(path: "home")
}`,
      },
      {
        name: 'views.graphql',
        text: `
type Orders @view(of: "Order") {
  id: ID!
  phone: String @from(path: "customer.phon")
  buyer: String! @from(path: "customer.name", ) @filter
  late: Boolean @expr(sql: "shipedOn > '2026-01-01'")
}
type Loop @part(of: "Order") { id: ID! again: Loop @first(of: "customer.orders", orderBy: { id: ASC }) }`,
      },
    ]
    const loaded = await parseSchema([{ name: 'base.graphql', text: base }, ...planted])
    expect(loaded.ok ? [] : loaded.faults.map(formatFault)).toEqual([
      expect.stringMatching(/^broken\.graphql:3:6: Syntax Error: Expected ":", found Name "ID"/),
      expect.stringMatching(/^broken\.graphql:6:60: Value "CLERKS" does not exist in "Role" enum\. Write CLERK\./),
      expect.stringMatching(/^broken\.graphql:8:28: @sum of weight: a sum of Float/),
      expect.stringMatching(
        /^sales\.graphql:2:29: Ticket belongs to domain shp, which nothing declares\. Write shop\./,
      ),
      expect.stringMatching(/^sales\.graphql:5:35: Ticket\.customer promises a Customer, but customerId may be null/),
      expect.stringMatching(/^sales\.graphql:6:10: Unknown type "TicketState"/),
      expect.stringMatching(/^sales\.graphql:8:52: the key field Line\.price is Float/),
      expect.stringMatching(/^views\.graphql:2:6: no policy says who may read Orders/),
      expect.stringMatching(/^views\.graphql:4:39: Customer has no field phon\. Write phone\./),
      expect.stringMatching(/^views\.graphql:6:29: Orders\.late: Orders has no field shipedOn/),
      expect.stringMatching(/^views\.graphql:8:40: Loop shows itself/),
    ])
  })
})
