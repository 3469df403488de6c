/** Small schema folders for tests of the model. */
import type { Loaded } from '../../src/model/load.ts'
import type { Field, Model } from '../../src/model/model.ts'

/** A valid folder without tenants that test cases add to. */
export const base = `
extend enum Role { AGENT CLERK }
extend enum PiiKind { SHOE_SIZE }
extend schema
  @domain(name: "shop", owner: "shop-team")
  @policy(role: AGENT, clear: [NAME], masked: [EMAIL], tokenized: [SHOE_SIZE])
  @policy(role: CLERK, clear: [NAME, EMAIL])
enum Tier { GOLD SILVER OTHER @value(other: true) }
type Customer @entity(domain: "shop", key: "id", source: { topic: "customers" }) {
  id: ID!
  name: String! @pii(kind: NAME)
  email: String! @pii(kind: EMAIL)
  phone: String @pii(kind: PHONE)
  card: String @pii(kind: CARD, class: SENSITIVE)
  shoeSize: Int @pii(kind: SHOE_SIZE)
  tier: Tier!
  joinedAt: DateTime!
  homeId: ID
  home: Address @join(from: "homeId")
  orders: [Order!]! @join(to: "customerId")
}
type Address @entity(domain: "shop", key: "id", source: { topic: "addresses" }) {
  id: ID!
  city: String!
}
type Order @entity(domain: "shop", key: "id", source: { topic: "orders" }) {
  id: ID!
  customerId: ID!
  customer: Customer! @join(from: "customerId")
  total: Decimal! @column(scale: 2)
  weight: Float!
  units: Int!
  note: JSON
  tags: [String!]!
  tier: Tier!
  placedAt: DateTime!
  shippedOn: Date
}
`

/** A view of customers with these fields besides its key. */
export const customers = (fields: string): string =>
  `type Customers @view(of: "Customer") @allow(roles: [AGENT, CLERK]) {\n  id: ID!\n  ${fields}\n}`

/** A view of orders with these fields besides its key. */
export const orders = (fields: string): string =>
  `type Orders @view(of: "Order") @allow(roles: [AGENT, CLERK]) {\n  id: ID!\n  ${fields}\n}`

export const modelOf = (loaded: Loaded): Model => {
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.faults, null, 2))
  return loaded.model
}

/** `sdl`: the faulty text, `‸` standing just before the place that the fault names. `says`: a part of the problem or remedy. */
export type FaultCase = { readonly rule: string; readonly sdl: string; readonly says: string; readonly alone?: boolean }

/** The field at a coordinate, `View.field`. */
export const fieldOf = (model: Model, coordinate: string): Field => {
  const [type = '', name] = coordinate.split('.')
  const field = (model.views.get(type) ?? model.parts.get(type))?.fields.find((known) => known.name === name)
  if (field === undefined) throw new Error(`no ${coordinate}`)
  return field
}
