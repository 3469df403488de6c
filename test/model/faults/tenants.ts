import type { FaultCase } from '../folder.ts'

const head = `extend enum Role { AGENT }
extend schema @domain(name: "shop", owner: "shop-team")
type Order @entity(domain: "shop", key: "id", source: { topic: "orders" }) { id: ID! tenantId: ID! @tenant planId: ID plan: Plan @join(from: "planId") }
type Plan @entity(domain: "shop", key: "id", shared: true, source: { topic: "plans" }) { id: ID! name: String! orders: [Order!]! @join(to: "planId") }
`
const thing = (fields: string, more = ''): string =>
  `${head}type Thing @entity(domain: "shop", key: "id", source: { topic: "things" }${more}) { id: ID! orderId: ID! ${fields} }`

export const tenantFaults: readonly FaultCase[] = [
  {
    rule: 'an entity without tenant among tenanted ones is refused',
    alone: true,
    sdl: thing('x: Int').replace('type Thing', 'type ‸Thing'),
    says: '`shared: true`',
  },
  {
    rule: 'shared and @tenant together are refused',
    alone: true,
    sdl: thing('t: ID! @tenant', ', shared: ‸true'),
    says: 'shared and has a @tenant',
  },
  { rule: 'two tenants are refused', alone: true, sdl: thing('t: ID! @tenant ‸u: ID! @tenant'), says: 'two tenants' },
  { rule: 'a tenant that may be null is refused', alone: true, sdl: thing('‸t: ID @tenant'), says: 'may be null' },
  {
    rule: 'a tenant of personal data is refused',
    alone: true,
    sdl: thing('‸t: ID! @tenant @pii(kind: NAME)'),
    says: 'personal data',
  },
  { rule: 'a tenant of another type is refused', alone: true, sdl: thing('‸t: Float! @tenant'), says: 'is a Float' },
  {
    rule: 'a tenant through a to-many join is refused',
    alone: true,
    sdl: thing('‸orders: [Order!]! @join(from: "orderId") @tenant'),
    says: 'to-many',
  },
  {
    rule: 'a tenant through a join to a shared entity is refused',
    alone: true,
    sdl: thing('planId: ID! ‸plan: Plan! @join(from: "planId") @tenant'),
    says: 'Plan, which has none',
  },
  {
    rule: 'a tenant through a join that picks is refused',
    alone: true,
    sdl: thing('order: Order @join(from: "orderId", to: "planId", pick: ‸{ id: ASC }) @tenant'),
    says: 'would change',
  },
  {
    rule: 'a tenant in a circle is refused',
    alone: true,
    sdl: `${thing('‸self: Thing! @join(from: "orderId") @tenant')}`,
    says: 'in a circle',
  },
  {
    rule: 'a claim that contradicts the joined row’s is refused',
    alone: true,
    sdl: thing('order: Order! @join(from: "orderId") @tenant(claim: ‸"org")'),
    says: 'from claim tenant',
  },
  {
    rule: 'a join between tenants of two claims is refused',
    alone: true,
    sdl: thing('t: ID! @tenant(claim: "org") ‸order: Order! @join(from: "orderId")'),
    says: 'two kinds',
  },
  {
    rule: 'a shared root that reaches a tenant’s rows is refused',
    alone: true,
    sdl: `${head}type V @view(of: "Plan") @allow(roles: [AGENT]) { id: ID! n: Int! @count(of: "‸orders") }`,
    says: 'from the shared Plan',
  },
  {
    rule: 'a path through a shared row to a tenant’s rows is refused',
    alone: true,
    sdl: `${head}type V @view(of: "Order") @allow(roles: [AGENT]) { id: ID! n: Int! @count(of: "plan.‸orders") }`,
    says: 'from the shared Plan',
  },
]
