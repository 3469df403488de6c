import { customers, type FaultCase, orders } from '../folder.ts'

const shown = (field: string): string => customers(`tier: Tier!\n  joinedAt: DateTime!\n  ${field}`)

export const shownFaults: readonly FaultCase[] = [
  {
    rule: 'a field that would be null is not declared non-null',
    sdl: shown('name: ‸String! @allow(when: { tier: { eq: GOLD } })'),
    says: 'Write String without `!`',
  },
  {
    rule: 'a key is shown always',
    sdl: 'type V @view(of: "Order") @allow(roles: [AGENT]) { id: ID @allow(when: ‸{ units: { gt: 1 } }) units: Int! }',
    says: 'part of the key',
  },
  {
    rule: 'what is grouped by is shown always',
    sdl: 'type V @view(of: "Order", groupBy: ["tier", "shippedOn"]) @allow(roles: [AGENT]) { tier: Tier! n: Int! @count shippedOn: Date @allow(when: ‸{ tier: { eq: GOLD } }) }',
    says: 'part of the key',
  },
  {
    rule: 'a condition speaks of the view’s own fields, not of the entity’s',
    sdl: shown('name: String @allow(when: { ‸email: { eq: "x" } })'),
    says: 'Customers has no field email',
  },
  {
    rule: 'a condition speaks of no part',
    sdl: `${shown('home: Home\n  name: String @allow(when: { ‸home: { isNull: true } })')}\ntype Home @part(of: "Address") { id: ID! }`,
    says: 'has no field home',
  },
  {
    rule: 'a condition uses no claim',
    sdl: shown('name: String @allow(when: { tier: { eq: ‸{ claim: "tier" } } })'),
    says: 'claim',
  },
  { rule: 'a condition is typed', sdl: shown('name: String @allow(when: { tier: { eq: ‸BRONZE } })'), says: 'BRONZE' },
  {
    rule: 'a field is not shown by itself',
    sdl: shown('‸name: String @allow(when: { name: { ne: "x" } })'),
    says: 'reads itself',
  },
  {
    rule: 'fields do not show each other',
    sdl: shown('‸name: String @allow(when: { n: { gt: 1 } })\n  n: Int @expr(sql: "length(name)")'),
    says: 'name → n → name',
  },
  {
    rule: 'a condition stands on no view',
    sdl: shown('name: String!').replace('CLERK])', 'CLERK], when: ‸{ tier: { eq: GOLD } })'),
    says: '`when` stands on a type',
  },
  {
    rule: 'a rolling field is not shown by a condition',
    sdl: shown(
      'n: Int @count(of: "orders", window: { on: "placedAt", last: "PT1H" }) @allow(when: ‸{ tier: { eq: GOLD } })',
    ),
    says: 'changes as time goes by',
  },
  {
    rule: 'a rolling field shows no other',
    sdl: shown(
      'n: Int! @count(of: "orders", window: { on: "placedAt", last: "PT1H" })\n  name: String @allow(when: ‸{ n: { gt: 1 } })',
    ),
    says: 'is shown by n, which changes',
  },
  {
    rule: 'personal data that decides whether a value is shown travels into it',
    sdl: `type V @view(of: "Customer") @allow(roles: [AGENT]) { id: ID! email: String ‸joinedAt: DateTime @filter @allow(when: { email: { startsWith: "a" } }) }`,
    says: 'nobody may see V.joinedAt',
  },
  {
    rule: 'an order’s field too',
    sdl: orders('tags: [String!] @allow(when: { ‸tier: { eq: GOLD } })'),
    says: 'has no field tier',
  },
]
