import { customers, type FaultCase, orders } from '../folder.ts'

const agentOnly = (fields: string): string =>
  `type V @view(of: "Customer") @allow(roles: [AGENT]) {\n  id: ID!\n  ${fields}\n}`

export const accessFaults: readonly FaultCase[] = [
  {
    rule: 'a view without @allow is refused',
    sdl: 'type ‸V @view(of: "Customer") { id: ID! }',
    says: 'no policy says who may read V',
  },
  {
    rule: '@allow that names nobody is refused',
    sdl: 'type V @view(of: "Customer") ‸@allow { id: ID! }',
    says: 'names nobody',
  },
  {
    rule: 'an unknown role is named with the nearest',
    sdl: 'type V @view(of: "Customer") @allow(roles: [‸AGNT]) { id: ID! }',
    says: 'Write AGENT',
  },
  {
    rule: 'an unknown kind of personal data is named',
    sdl: 'extend schema @policy(role: ADMIN, clear: [‸EMIAL])',
    says: 'Write EMAIL',
  },
  {
    rule: 'two policies of one role are refused',
    sdl: 'extend schema ‸@policy(role: AGENT, clear: [EMAIL])',
    says: 'two policies',
  },
  {
    rule: 'a kind in two lists of a policy is refused',
    sdl: 'extend schema @policy(role: ADMIN, clear: [EMAIL], masked: [‸EMAIL])',
    says: 'both clear and masked',
  },
  {
    rule: 'CONFIDENTIAL has no masked form',
    sdl: 'extend schema @policy(role: ADMIN, masked: [‸CONFIDENTIAL])',
    says: 'no masked form',
  },
  {
    rule: 'a kind of the folder’s own has no masked form',
    sdl: 'extend schema @policy(role: ADMIN, masked: [‸SHOE_SIZE])',
    says: 'no masked form',
  },
  {
    rule: 'personal data without a policy is refused',
    sdl: customers('‸phone: String'),
    says: 'it is PHONE from Customer.phone',
  },
  {
    rule: 'personal data through a path without a policy is refused',
    sdl: orders('‸p: String @from(path: "customer.phone")'),
    says: 'it is PHONE from Customer.phone',
  },
  {
    rule: 'personal data above the roles’ class is refused',
    sdl: `extend schema @policy(role: AUDITOR, clear: [CARD], upTo: PERSONAL)\ntype V @view(of: "Customer") @allow(roles: [AUDITOR]) { id: ID! ‸card: String }`,
    says: 'CARD (SENSITIVE)',
  },
  {
    rule: 'a value derived of masked data is seen by nobody',
    sdl: agentOnly('email: String!\n  ‸domain: String! @expr(sql: "split_part(email, \'@\', 2)")'),
    says: 'under `clear`',
  },
  {
    rule: 'a minimum of masked data is seen by nobody',
    sdl: `type V @view(of: "Address") @allow(roles: [AGENT]) { id: ID! ‸m: String @min(of: "them.email") }`.concat(
      '\nextend type Address { them: [Customer!]! @join(to: "homeId") }',
    ),
    says: 'EMAIL from Customer.email',
  },
  {
    rule: 'a value ordered by masked data is seen by nobody',
    sdl: `type V @view(of: "Address") @allow(roles: [AGENT]) { id: ID! ‸m: ID @first(of: "them.id", orderBy: { email: ASC }) }`.concat(
      '\nextend type Address { them: [Customer!]! @join(to: "homeId") }',
    ),
    says: 'EMAIL from Customer.email',
  },
  {
    rule: 'a count that a masked condition selects is seen by nobody',
    sdl: `type V @view(of: "Address") @allow(roles: [AGENT]) { id: ID! ‸m: Int! @count(of: "them", where: { email: { startsWith: "a" } }) }`.concat(
      '\nextend type Address { them: [Customer!]! @join(to: "homeId") }',
    ),
    says: 'EMAIL from Customer.email',
  },
  {
    rule: 'a part that shows personal data without a policy is refused',
    sdl: `${orders('who: Who! @from(path: "customer")')}\ntype Who @part(of: "Customer") { id: ID! ‸phone: String }`,
    says: 'nobody may see Who.phone',
  },
  {
    rule: 'rows chosen by data that a reader may not see clear are refused',
    sdl: 'type V @view(of: "Customer", where: ‸{ email: { startsWith: "a" } }) @allow(roles: [AGENT]) { id: ID! }',
    says: 'AGENT may not see clear',
  },
  {
    rule: 'a row rule over data that a reader may not see clear is refused',
    sdl: agentOnly('email: String!').replace(' {', ' @rows(where: ‸{ email: { startsWith: "a" } }) {'),
    says: 'AGENT may not see clear',
  },
  {
    rule: 'a row rule for a role the view refuses is refused',
    sdl: agentOnly('tier: Tier!').replace(' {', ' @rows(roles: ‸[CLERK], where: { id: { eq: "1" } }) {'),
    says: 'binds CLERK',
  },
  {
    rule: 'groups keyed by personal data are refused',
    sdl: 'type V @view(of: "Customer", groupBy: ["name"]) @allow(roles: [AGENT]) { ‸name: String! n: Int! @count }',
    says: 'so would its keys be',
  },
  {
    rule: '@allow on a field naming a role the type refuses is a fault',
    sdl: agentOnly('tier: Tier! ‸@allow(roles: [CLERK])'),
    says: 'CLERK, whom V does not let in',
  },
  {
    rule: '@allow on a part naming a role no view lets in is a fault',
    sdl: `${orders('who: Who! @from(path: "customer")')}\ntype Who @part(of: "Customer") @allow(roles: ‸[AGENT, AUDITOR]) { id: ID! }`,
    says: 'AUDITOR',
  },
  {
    rule: 'a declassification without a reason is refused',
    sdl: customers('phone: String @declassify(reason: ‸" ")'),
    says: 'without a reason',
  },
  // search
  {
    rule: '@filter on what every reader sees masked is refused',
    sdl: agentOnly('‸email: String! @filter'),
    says: 'or use @lookup',
  },
  {
    rule: '@order on what every reader sees masked is refused',
    sdl: agentOnly('‸email: String! @order'),
    says: 'Remove @order',
  },
  {
    rule: '@filter on a part is refused',
    sdl: `${orders('who: Who! @from(path: "customer") ‸@filter')}\ntype Who @part(of: "Customer") { id: ID! }`,
    says: 'a part',
  },
  { rule: '@filter on JSON is refused', sdl: orders('note: JSON ‸@filter'), says: 'JSON is opaque' },
  { rule: '@order on a list is refused', sdl: orders('tags: [String!]! ‸@order'), says: 'which is a list' },
  {
    rule: '@filter on a list of rows is refused',
    sdl: customers('ids: [ID!]! @list(of: "orders.id", first: 3, orderBy: { id: ASC }) ‸@filter'),
    says: 'which is a list',
  },
  { rule: '@lookup on a list is refused', sdl: orders('tags: [String!]! ‸@lookup'), says: 'which is a list' },
  {
    rule: '@lookup on an aggregate is refused',
    sdl: customers('n: Int! @count(of: "orders") ‸@lookup'),
    says: 'which is an aggregate',
  },
  { rule: '@lookup on a Float is refused', sdl: orders('weight: Float! ‸@lookup'), says: 'Use @filter' },
  {
    rule: 'search in a part is refused',
    sdl: `${orders('who: Who! @from(path: "customer")')}\ntype Who @part(of: "Customer") { id: ID! ‸@filter }`,
    says: 'fields of a @view',
  },
]
