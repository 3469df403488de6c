import { customers, type FaultCase, orders } from '../folder.ts'

const grouped = (fields: string, by = '["tier"]'): string =>
  `type Groups @view(of: "Order", groupBy: ${by}) @allow(roles: [AGENT]) {\n  tier: Tier!\n  ${fields}\n}`
const where = (condition: string): string => customers(`n: Int! @count(of: "orders", where: ${condition})`)

export const viewFaults: readonly FaultCase[] = [
  {
    rule: 'a view of an unknown entity is refused',
    sdl: 'type V @view(of: ‸"Custmer") @allow(roles: [AGENT]) { id: ID! }',
    says: 'Write Customer.',
  },
  { rule: 'an unknown field is named with the nearest', sdl: customers('‸teir: Tier!'), says: 'Write tier.' },
  {
    rule: 'an unknown path is named at its segment',
    sdl: customers('c: String @from(path: "home.‸cty")'),
    says: 'Write city.',
  },
  {
    rule: 'a path through a scalar is refused',
    sdl: customers('c: String @from(path: "‸tier.city")'),
    says: 'no join',
  },
  {
    rule: '@from through a to-many join is refused',
    sdl: customers('c: Decimal @from(path: ‸"orders.total")'),
    says: 'which is to-many',
  },
  { rule: 'a type that is not the value’s is refused', sdl: customers('tier: ‸String!'), says: 'Write Tier.' },
  {
    rule: 'a sum of Int declared Int is refused',
    sdl: customers('n: ‸Int! @sum(of: "orders.units")'),
    says: 'Write Long.',
  },
  {
    rule: 'a count declared Decimal is refused',
    sdl: customers('n: ‸Decimal! @count(of: "orders")'),
    says: 'a count is Int or Long',
  },
  {
    rule: 'an average of Int declared Int is refused',
    sdl: customers('n: ‸Int @avg(of: "orders.units")'),
    says: 'Write Decimal.',
  },
  {
    rule: 'a sum of Float is refused',
    sdl: customers('n: Float! @sum(of: ‸"orders.weight")'),
    says: 'Declare weight Decimal',
  },
  {
    rule: 'an average of Float is refused',
    sdl: customers('n: Float @avg(of: ‸"orders.weight")'),
    says: 'depends on the order',
  },
  { rule: 'a sum of text is refused', sdl: customers('n: Decimal! @sum(of: ‸"orders.id")'), says: 'a ID is no number' },
  { rule: 'a minimum of JSON is refused', sdl: customers('n: JSON @min(of: ‸"orders.note")'), says: 'has no order' },
  {
    rule: 'a maximum of a list is refused',
    sdl: customers('n: String @max(of: ‸"orders.tags")'),
    says: 'it is a list',
  },
  {
    rule: 'an average that claims never to be null is refused',
    sdl: customers('n: ‸Decimal! @avg(of: "orders.total")'),
    says: 'there may be no row',
  },
  {
    rule: 'a maximum that claims never to be null is refused',
    sdl: customers('n: ‸DateTime! @max(of: "orders.placedAt")'),
    says: 'there may be no row',
  },
  {
    rule: '@first that claims never to be null is refused',
    sdl: customers('n: ‸ID! @first(of: "orders.id", orderBy: { placedAt: DESC })'),
    says: 'there may be no row',
  },
  {
    rule: 'non-null over a field that may be null is refused',
    sdl: orders('shippedOn: ‸Date!'),
    says: 'shippedOn may be null',
  },
  {
    rule: 'non-null through a join that is not promised is refused',
    sdl: customers('c: ‸String! @from(path: "home.city")'),
    says: 'the join home is not promised',
  },
  {
    rule: 'a list that may be null is refused',
    sdl: customers('n: ‸[ID!] @list(of: "orders.id", first: 3, orderBy: { placedAt: DESC })'),
    says: 'Write [ID!]!',
  },
  {
    rule: 'a list declared single is refused',
    sdl: customers('n: ‸ID @list(of: "orders.id", first: 3, orderBy: { placedAt: DESC })'),
    says: 'its value is a list',
  },
  {
    rule: 'a single value declared a list is refused',
    sdl: customers('tier: ‸[Tier!]!'),
    says: 'its value is a single value',
  },
  {
    rule: 'a list without a to-many join is refused',
    sdl: customers('n: [String!]! @list(of: ‸"home.city", first: 3, orderBy: { id: ASC })'),
    says: 'Use @from.',
  },
  {
    rule: 'a list of none is refused',
    sdl: customers('n: [ID!]! @list(of: "orders.id", first: ‸0, orderBy: { id: ASC })'),
    says: '1 to 10000',
  },
  {
    rule: 'a list of lists is refused',
    sdl: customers('n: [String!]! @list(of: ‸"orders.tags", first: 3, orderBy: { id: ASC })'),
    says: 'itself a list',
  },
  {
    rule: 'an aggregate without a to-many join is refused',
    sdl: customers('n: String @max(of: ‸"home.city")'),
    says: 'follows no to-many join',
  },
  {
    rule: '@count of nothing in an ungrouped view is refused',
    sdl: customers('n: Int! ‸@count'),
    says: 'says not of what',
  },
  {
    rule: '@count that ends at a to-one join is refused',
    sdl: customers('n: Int! @count(of: ‸"orders.customer")'),
    says: 'ends at a to-one join',
  },
  { rule: 'a sum of rows is refused', sdl: customers('n: Long! @sum(of: ‸"orders")'), says: 'End the path at a field' },
  {
    rule: 'distinct rows are refused',
    sdl: customers('n: Int! @count(of: "orders", distinct: ‸true)'),
    says: 'End the path at the scalar',
  },
  {
    rule: 'distinct Float is refused',
    sdl: customers('n: Int! @count(of: ‸"orders.weight", distinct: true)'),
    says: 'compare exactly',
  },
  { rule: 'a to-many join shown plainly is refused', sdl: customers('‸orders: Int'), says: 'Add @list' },
  { rule: 'rows shown as a type that is no part are refused', sdl: customers('home: ‸Address'), says: 'no part' },
  {
    rule: 'a part of another entity is refused',
    sdl: `${customers('home: ‸Recent')}\ntype Recent @part(of: "Order") { id: ID! }`,
    says: 'a part of Order',
  },
  {
    rule: 'two values on one field are refused',
    sdl: customers('n: Int! @count(of: "orders") ‸@expr(sql: "1")'),
    says: 'two values',
  },
  {
    rule: 'an entity’s directive on a view is refused',
    sdl: customers('tier: Tier! ‸@column(name: "t")'),
    says: 'It belongs on fields of an @entity',
  },
  {
    rule: 'a part that shows itself is refused',
    sdl: `type Recent @part(of: "Order") { id: ID! ‸again: Recent @first(of: "customer.orders", orderBy: { id: ASC }) }`,
    says: 'Recent → Recent',
  },
  {
    rule: 'a bucket of a Date is refused',
    sdl: orders('d: Date @from(path: "shippedOn", bucket: ‸{ by: DAY })'),
    says: 'Bucketing a Date',
  },
  {
    rule: 'a bucket in an unknown zone is refused',
    sdl: orders('d: DateTime! @from(path: "placedAt", bucket: { by: DAY, zone: ‸"Mars" })'),
    says: 'no time zone',
  },
  {
    rule: 'a maxLag that is no duration is refused',
    sdl: 'type V @view(of: "Customer", maxLag: ‸"5 seconds") @allow(roles: [AGENT]) { id: ID! }',
    says: 'ISO 8601 duration',
  },
  {
    rule: 'a maxLag of months is refused',
    sdl: 'type V @view(of: "Customer", maxLag: ‸"P1M") @allow(roles: [AGENT]) { id: ID! }',
    says: 'no fixed length',
  },
  // groups
  {
    rule: 'grouping by an unknown field is refused',
    sdl: grouped('n: Int! @count', '["tier", ‸"hour"]'),
    says: 'no field of it',
  },
  {
    rule: 'grouping by nothing is refused',
    sdl: 'type Groups @view(of: "Order", groupBy: ‸[]) @allow(roles: [AGENT]) { n: Int! @count }',
    says: 'groups by nothing',
  },
  {
    rule: 'grouping by an aggregate is refused',
    sdl: grouped('n: Int! @count', '["tier", ‸"n"]'),
    says: 'no single value of a member',
  },
  {
    rule: 'grouping by Float is refused',
    sdl: grouped('weight: Float!', '["tier", ‸"weight"]'),
    says: 'compare exactly',
  },
  { rule: 'a member’s field outside the group is refused', sdl: grouped('‸units: Int!'), says: 'a row per group' },
  {
    rule: 'a list in a grouped view is refused',
    sdl: grouped('t: [ID!]! ‸@list(of: "customer.orders.id", first: 1, orderBy: { id: ASC })'),
    says: 'whose fields are aggregates',
  },
  {
    rule: 'minGroup on an ungrouped view is refused',
    sdl: customers('tier: Tier!').replace(' {', ' @rows(minGroup: ‸5) {'),
    says: 'not grouped',
  },
  // conditions and orders
  { rule: 'an unknown field in a condition is named', sdl: where('{ ‸unts: { eq: 1 } }'), says: 'Write units.' },
  { rule: 'an unknown operator is named', sdl: where('{ units: { ‸equals: 1 } }'), says: 'no operator equals' },
  { rule: 'a comparison without operator is refused', sdl: where('{ units: ‸1 }'), says: '`units: { eq: 1 }`' },
  {
    rule: 'an unknown enum value is named with the nearest',
    sdl: where('{ tier: { eq: ‸GLOD } }'),
    says: 'Write GOLD.',
  },
  {
    rule: 'an enum value in quotes is refused',
    sdl: where('{ tier: { eq: ‸"GOLD" } }'),
    says: 'Write GOLD without quotes',
  },
  { rule: 'a value of another type is refused', sdl: where('{ units: { eq: ‸"1" } }'), says: 'no Int' },
  { rule: 'a number beyond its type is refused', sdl: where('{ units: { eq: ‸2147483648 } }'), says: 'no Int' },
  { rule: 'a Decimal beyond its scale is refused', sdl: where('{ total: { eq: ‸1.234 } }'), says: '2 digits' },
  {
    rule: 'an instant without zone is refused',
    sdl: where('{ placedAt: { gt: ‸"2026-11-21T09:30:00" } }'),
    says: 'with Z or an offset',
  },
  { rule: 'a day that is none is refused', sdl: where('{ shippedOn: { gt: ‸"2026-02-30" } }'), says: 'no Date' },
  { rule: 'an order of enums is refused', sdl: where('{ tier: { ‸lt: GOLD } }'), says: 'no operator lt' },
  { rule: 'a comparison of JSON is refused', sdl: where('{ note: { ‸eq: "x" } }'), says: 'no operator eq' },
  {
    rule: 'a list compared like a scalar is refused',
    sdl: where('{ tags: { ‸eq: "x" } }'),
    says: 'Known are has and isNull',
  },
  {
    rule: 'fields of two types compared are refused',
    sdl: where('{ units: { lt: { field: ‸"placedAt" } } }'),
    says: 'Compare fields of one type',
  },
  { rule: 'less than null is refused', sdl: where('{ units: { lt: ‸null } }'), says: 'holds for no row' },
  { rule: 'a claim outside @rows is refused', sdl: where('{ id: { eq: ‸{ claim: "x" } } }'), says: 'outside @rows' },
  {
    rule: 'a claim under `not` is refused',
    sdl: customers('tier: Tier!').replace(' {', ' @rows(where: { not: { id: { eq: ‸{ claim: "x" } } } }) {'),
    says: 'every row pass',
  },
  {
    rule: 'a condition over a to-many join is refused',
    sdl: customers('n: Int! @count(of: "orders", where: { customer: { orders: ‸{ id: { eq: "1" } } } })'),
    says: 'only to-one joins',
  },
  {
    rule: 'a row rule over a join is refused',
    sdl: customers('tier: Tier!').replace(' {', ' @rows(where: { ‸home: { city: { eq: "x" } } }) {'),
    says: 'no field home',
  },
  {
    rule: 'a row rule of a grouped view over an aggregate is refused',
    sdl: grouped('n: Int! @count').replace(' {', ' @rows(where: ‸{ n: { gt: 1 } }) {'),
    says: 'no group key',
  },
  {
    rule: 'an unknown field in an order is named',
    sdl: customers('n: [ID!]! @list(of: "orders.id", first: 3, orderBy: { ‸placd: DESC })'),
    says: 'Write placedAt.',
  },
  {
    rule: 'an order in no direction is refused',
    sdl: customers('n: [ID!]! @list(of: "orders.id", first: 3, orderBy: { placedAt: ‸DOWN })'),
    says: 'ASC or DESC',
  },
  {
    rule: 'an order of two fields in one object is refused',
    sdl: customers('n: [ID!]! @list(of: "orders.id", first: 3, orderBy: ‸{ placedAt: DESC, id: ASC })'),
    says: 'several fields are a list',
  },
  {
    rule: 'an order by JSON is refused',
    sdl: customers('n: [ID!]! @list(of: "orders.id", first: 3, orderBy: { ‸note: DESC })'),
    says: 'has no order',
  },
  {
    rule: 'an order over a to-many join is refused',
    sdl: customers('n: [ID!]! @list(of: "orders.id", first: 3, orderBy: { customer: { ‸orders: { id: ASC } } })'),
    says: 'only to-one joins',
  },
]
