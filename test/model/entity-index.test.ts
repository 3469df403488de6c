/** The indexes that views' reads need: each in the order in which rows are read, and none that another serves. */
import { describe, expect, test } from 'vitest'
import { entityIndexes, walksOf } from '../../src/model/sql/entity.ts'
import { indexTerms } from '../../src/operate/migrate/physical.ts'
import { loadModel } from '../law/model.ts'

const SHOP = `
extend enum Role { READER }
extend schema @domain(name: "shop", owner: "law")
enum Kind { A B }
type Customer @entity(domain: "shop", key: "id", source: { topic: "customers" }) {
  id: ID!
  area: ID!
  region: ID!
  orders: [Order!]! @join(to: "customerId")
  nearby: [Order!]! @join(from: ["region", "area"], to: ["region", "area"])
  turned: [Order!]! @join(from: ["area", "region"], to: ["area", "region"])
  latest: Order @join(to: "customerId", pick: { at: DESC })
}
type Order @entity(domain: "shop", key: "id", source: { topic: "orders" }) {
  id: ID!
  customerId: ID!
  customer: Customer @join(from: "customerId")
  area: ID!
  region: ID!
  kind: Kind!
  at: DateTime!
  rank: Int
  note: String
  lines: [Line!]! @join(to: "orderId")
}
type Line @entity(domain: "shop", key: ["orderId", "position"], source: { topic: "lines" }) { orderId: ID!, position: Int!, units: Int }
type Own @part(of: "Order") { id: ID! }
`

const indexesOf = async (entity: string, fields: string, more = ''): Promise<readonly string[]> => {
  const model = await loadModel(
    `${SHOP} type V @view(of: "Customer") @allow(roles: [READER]) { id: ID!, ${fields} } ${more}`,
  )
  return entityIndexes(walksOf(model), model.entities.get(entity)!)
    .filter(({ name }) => !name.endsWith('tombstones_idx'))
    .map((index) => `${indexTerms(index)} where ${index.where}`)
}
const listed = (orderBy: string, where = ''): string =>
  `[ID!]! @list(of: "orders.id", first: 3, orderBy: ${orderBy}${where && `, where: ${where}`})`

/** By which a customer's change is followed to its orders. */
const back = 'customer_id, id where _live'

const cases: Readonly<Record<string, { readonly fields: string; readonly indexes: readonly string[] }>> = {
  'ascending, then by key': {
    fields: `a: ${listed('{ at: ASC }')}`,
    indexes: ['customer_id, at, id where _live'],
  },
  'descending is ascending read backwards, but for the key': {
    fields: `a: ${listed('{ at: DESC }')}`,
    indexes: ['customer_id, at, id desc where _live'],
  },
  'nulls last both ways': {
    fields: `a: ${listed('{ rank: ASC }')}, b: ${listed('{ rank: DESC }')}`,
    indexes: ['customer_id, rank, id where _live', 'customer_id, rank asc nulls first, id desc where _live'],
  },
  'fields of different directions': {
    fields: `a: ${listed('[{ at: ASC }, { rank: DESC }]')}`,
    indexes: ['customer_id, at, rank desc nulls last, id where _live'],
  },
  'the exact opposite is served by the same index': {
    fields: `a: ${listed('[{ at: ASC }, { id: DESC }]')}, b: ${listed('{ at: DESC }')}`,
    indexes: ['customer_id, at, id desc where _live'],
  },
  'by key, both ways': {
    fields: `a: ${listed('{ id: ASC }')}, b: ${listed('{ id: DESC }')}`,
    indexes: ['customer_id, id where _live'],
  },
  'the least and the greatest are served by a list’s index': {
    fields: `a: DateTime @min(of: "orders.at"), b: DateTime @max(of: "orders.at"), c: ${listed('{ at: DESC }')}`,
    indexes: ['customer_id, at, id desc where _live'],
  },
  'the greatest where there may be nulls': {
    fields: 'a: Int @max(of: "orders.rank")',
    indexes: ['customer_id, rank asc nulls first where _live'],
  },
  'rows that are counted have no order': {
    fields: 'a: Int! @count(of: "orders")',
    indexes: ['customer_id where _live'],
  },
  'what is counted is found by a list’s index': {
    fields: `a: Int! @count(of: "orders"), b: ${listed('{ at: ASC }')}`,
    indexes: ['customer_id, at, id where _live'],
  },
  'a condition’s rows have an index of their own, which serves no others': {
    fields: `a: Int! @count(of: "orders"), b: ${listed('{ at: ASC }', '{ kind: { eq: A } }')}`,
    indexes: [`customer_id, at, id where _live and "kind" = 'A'::text`, 'customer_id where _live'],
  },
  'of a condition, what speaks of the row itself': {
    fields: `a: ${listed('{ at: ASC }', '{ kind: { eq: A }, customer: { area: { eq: "x" } } }')}`,
    indexes: [`customer_id, at, id where _live and "kind" = 'A'::text`, back],
  },
  'values that may be null are left out': {
    fields: 'a: [String!]! @list(of: "orders.note", first: 3, orderBy: { at: ASC })',
    indexes: ['customer_id, at, id where _live and "note" is not null'],
  },
  'an order that begins with another row’s field has none': {
    fields: `a: ${listed('[{ customer: { area: ASC } }, { at: ASC }]')}`,
    indexes: [back],
  },
  'an order that ends with one has its beginning': {
    fields: `a: ${listed('[{ at: ASC }, { customer: { area: ASC } }]')}`,
    indexes: ['customer_id, at where _live', back],
  },
  'the pick of a to-one join': {
    fields: 'a: ID @from(path: "latest.id")',
    indexes: ['customer_id, at, id desc where _live'],
  },
  'columns found by equality, in the order in which their totals are compared': {
    fields: 'a: Int! @count(of: "nearby"), b: Int! @count(of: "turned")',
    indexes: ['region, area where _live', 'area, region where _live'],
  },
}
test.each(Object.keys(cases))('%s', async (name) => {
  const { fields, indexes } = cases[name]!
  expect((await indexesOf('Order', fields)).toSorted()).toEqual(indexes.toSorted())
})

describe('where the key serves, there is none', () => {
  test.each(['ASC', 'DESC'])('lines by position %s', async (way) => {
    const part = `type Lines @part(of: "Order") { id: ID!, lines: [Int!]! @list(of: "lines.position", first: 3, orderBy: { position: ${way} }) }`
    const fields = 'a: [Lines!]! @list(of: "orders", first: 3, orderBy: { at: ASC })'
    expect(await indexesOf('Line', fields, part)).toEqual([])
  })
  test('beyond several to-many joins no order is read, and no index has it', async () => {
    const fields = 'a: [Int!]! @list(of: "orders.lines.position", first: 3, orderBy: { units: ASC })'
    expect(await indexesOf('Line', fields)).toEqual([])
  })
})

test('names tell directions apart, and which rows alone', async () => {
  const model = await loadModel(
    `${SHOP} type V @view(of: "Customer") @allow(roles: [READER]) { id: ID!,
      a: ${listed('{ at: ASC }')}, b: ${listed('{ at: DESC }')}, c: ${listed('{ at: ASC }', '{ kind: { eq: A } }')} }`,
  )
  const names = entityIndexes(walksOf(model), model.entities.get('Order')!).map(({ name }) => name)
  expect(names).toEqual([
    'order_customer_id_at_id_desc_idx',
    'order_customer_id_at_id_idx',
    expect.stringMatching(/^order_customer_id_at_id_where_[0-9a-f]{8}_idx$/),
    'order_tombstones_idx',
  ])
})
