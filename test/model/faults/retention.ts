import { customers, type FaultCase, orders } from '../folder.ts'

const thing = (retention: string, more = ''): string =>
  `type Thing @entity(domain: "shop", key: "id", source: { topic: "things" }${more}) @retention(${retention}) {\n  id: ID!\n  at: DateTime!\n  day: Date\n  born: Date @pii(kind: DATE_OF_BIRTH)\n  units: Int!\n  moments: [DateTime!]!\n}`

const orderedBy = (retention: string, fields: string): string =>
  orders(fields).replace(' {', ` @retention(${retention}) {`)
const customersBy = (retention: string, fields: string): string =>
  customers(fields).replace(' {', ` @retention(${retention}) {`)

export const retentionFaults: readonly FaultCase[] = [
  { rule: 'a ttl is a duration', sdl: thing('ttl: ‸"P1M"'), says: 'Write an ISO 8601 duration' },
  { rule: 'a ttl is above zero', sdl: thing('ttl: ‸"PT0S"'), says: 'no duration above zero' },
  { rule: 'an unknown field is named with the nearest', sdl: thing('ttl: "P1D", on: ‸"dya"'), says: 'Write day.' },
  { rule: 'what is no time tells no age', sdl: thing('ttl: "P1D", on: ‸"units"'), says: 'a Int' },
  { rule: 'several times tell no age', sdl: thing('ttl: "P1D", on: ‸"moments"'), says: 'a list' },
  { rule: 'personal data decides over no row', sdl: thing('ttl: "P1D", on: ‸"born"'), says: 'DATE_OF_BIRTH' },
  {
    rule: 'a row of field clocks has one age',
    sdl: thing('ttl: "P1D", on: ‸"at"', ', conflict: FIELD_CLOCK'),
    says: 'Leave `on` out',
  },
  { rule: 'a ttl is at most a century', sdl: thing('ttl: ‸"P40000D"'), says: 'at most a century' },
  {
    rule: 'a ttl of a view is a duration',
    sdl: orderedBy('ttl: ‸"P1M", on: "placedAt"', 'placedAt: DateTime!'),
    says: 'Write an ISO 8601 duration',
  },
  {
    rule: 'a view says by which of its times its rows are kept',
    sdl: orders('placedAt: DateTime!\n  shippedOn: Date').replace(' {', ' ‸@retention(ttl: "P1D") {'),
    says: 'none of them tells its age. Write on: "placedAt", or another of shippedOn.',
  },
  {
    rule: 'a view without a time keeps its rows',
    sdl: orders('units: Int!').replace(' {', ' ‸@retention(ttl: "P1D") {'),
    says: 'put @retention on the entity',
  },
  {
    rule: 'an unknown field of a view is named with the nearest',
    sdl: orderedBy('ttl: "P1D", on: ‸"placdAt"', 'placedAt: DateTime!'),
    says: 'Write placedAt.',
  },
  {
    rule: 'a row of a view has no age by what is no time',
    sdl: orderedBy('ttl: "P1D", on: ‸"units"', 'units: Int!'),
    says: 'rows would be kept by units, a Int',
  },
  {
    rule: 'a row of a view has no age by several times',
    sdl: customersBy(
      'ttl: "P1D", on: ‸"times"',
      'times: [DateTime!]! @list(of: "orders.placedAt", first: 3, orderBy: { placedAt: DESC })',
    ),
    says: 'rows would be kept by times, a list',
  },
  {
    rule: 'a row of a view has no age by a part',
    sdl: `${orderedBy('ttl: "P1D", on: ‸"buyer"', 'buyer: Buyer @from(path: "customer")')}\ntype Buyer @part(of: "Customer") { id: ID! }`,
    says: 'rows would be kept by buyer, a part',
  },
  {
    rule: 'what is worked out of many rows is nothing that a row is kept by',
    sdl: customersBy('ttl: "P1D", on: ‸"latest"', 'latest: DateTime @max(of: "orders.placedAt")'),
    says: 'rows would be kept by latest, which is computed',
  },
  {
    rule: 'an expression is nothing that a row is kept by',
    sdl: orderedBy('ttl: "P1D", on: ‸"day"', 'shippedOn: Date\n  day: Date @expr(sql: "shippedOn")'),
    says: 'rows would be kept by day, which is computed',
  },
  {
    rule: 'a row that hides its time by a condition has no age',
    sdl: orderedBy('ttl: "P1D", on: ‸"shippedOn"', 'units: Int!\n  shippedOn: Date @allow(when: { units: { gt: 1 } })'),
    says: 'which only some of them show',
  },
  {
    rule: 'a group has the age of one of its keys',
    sdl: `type ByTier @view(of: "Order", groupBy: ["tier"]) @allow(roles: [AGENT]) @retention(ttl: "P1D", on: ‸"latest") {\n  tier: Tier!\n  latest: DateTime @max(of: "placedAt")\n}`,
    says: 'rows would be kept by latest, which is computed',
  },
  {
    rule: 'personal data decides over no row of a view',
    sdl: `${thing('ttl: "P1D", on: "at"')}\ntype Things @view(of: "Thing") @allow(roles: [AGENT]) @retention(ttl: "P1D", on: ‸"day") {\n  id: ID!\n  day: Date @pii(kind: NAME)\n}`,
    says: 'which is NAME',
  },
  {
    rule: 'a part keeps nothing by itself',
    sdl: 'type Piece @part(of: "Order") ‸@retention(ttl: "P1D", on: "placedAt") {\n  id: ID!\n  placedAt: DateTime!\n}',
    says: 'It belongs on an @entity or a @view.',
  },
]
