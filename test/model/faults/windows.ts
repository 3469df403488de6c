import { customers, type FaultCase, orders } from '../folder.ts'

/** A view of customers with a window, besides these fields. */
const rolling = (window: string, more = ''): string =>
  customers(`n: Int! @count(of: "orders", window: ${window})${more}`)
const hour = '{ on: "placedAt", last: "PT1H" }'

export const windowFaults: readonly FaultCase[] = [
  {
    rule: 'a window over a field that does not exist is named with the nearest',
    sdl: rolling('{ on: "‸placedOn", last: "PT1H" }'),
    says: 'Write placedAt.',
  },
  {
    rule: 'a window over a number is refused',
    sdl: rolling('{ on: ‸"units", last: "PT1H" }'),
    says: '`on` is Int',
  },
  {
    rule: 'a window over a day is refused',
    sdl: rolling('{ on: ‸"shippedOn", last: "P1D" }'),
    says: '`on` is Date',
  },
  {
    rule: 'a window over a row is refused',
    sdl: rolling('{ on: ‸"customer", last: "PT1H" }'),
    says: '`on` is a row of Customer',
  },
  {
    rule: 'a window over many times of one row is refused',
    sdl: rolling('{ on: ‸"customer.orders.placedAt", last: "PT1H" }'),
    says: 'which is to-many',
  },
  {
    rule: 'a window without length is refused',
    sdl: rolling('{ on: "placedAt", last: ‸"PT0S" }'),
    says: '`last` is no duration of whole seconds',
  },
  {
    rule: 'a window of a month is refused, which has no fixed length',
    sdl: rolling('{ on: "placedAt", last: ‸"P1M" }'),
    says: 'months and years have no fixed length',
  },
  {
    rule: 'a step of less than a second is refused',
    sdl: rolling('{ on: "placedAt", last: "PT1H", step: ‸"PT0.5S" }'),
    says: '`step` is no duration of whole seconds',
  },
  {
    rule: 'a step that does not divide the window is refused',
    sdl: rolling('{ on: "placedAt", last: "PT1H", step: ‸"PT7M" }'),
    says: 'a step of 420 seconds does not divide a window of 3600',
  },
  {
    rule: 'a window shorter than the step it has by default is refused',
    sdl: rolling('‸{ on: "placedAt", last: "PT30S" }'),
    says: 'a step of 60 seconds does not divide a window of 30',
  },
  {
    rule: 'a window of more steps than a read may sum is refused, with the step to write',
    sdl: rolling('‸{ on: "placedAt", last: "P30D" }'),
    says: 'Write a step of at least 259.2 seconds',
  },
  {
    rule: 'different values within a window are refused by name',
    sdl: customers(`n: Int! @count(of: "orders.tier", distinct: ‸true, window: ${hour})`),
    says: 'counts different values: not running yet',
  },
  {
    rule: '@filter on a windowed count is refused, with what can be searched on',
    sdl: rolling(hour, ' ‸@filter'),
    says: 'has no index. Ask for it with the rows. To search by time, use @max',
  },
  {
    rule: '@order on a windowed sum is refused',
    sdl: customers(`n: Long! @sum(of: "orders.units", window: ${hour}) ‸@order`),
    says: '@order stands on Customers.n, which changes as time goes by',
  },
  {
    rule: '@lookup on a windowed count is refused',
    sdl: rolling(hour, ' ‸@lookup'),
    says: '@lookup stands on Customers.n',
  },
  {
    rule: '@filter on an expression over a windowed count is refused',
    sdl: rolling(hour, '\n  busy: Boolean! @expr(sql: "n > 3") ‸@filter'),
    says: '@filter stands on Customers.busy, which changes as time goes by',
  },
  {
    rule: '@order on an expression over an expression over a windowed count is refused',
    sdl: rolling(hour, '\n  busy: Boolean! @expr(sql: "n > 3")\n  calm: Boolean! @expr(sql: "not busy") ‸@order'),
    says: '@order stands on Customers.calm',
  },
  {
    rule: '@lookup on an expression over a windowed count is refused',
    sdl: rolling(hour, '\n  twice: Int! @expr(sql: "n * 2") ‸@lookup'),
    says: '@lookup stands on Customers.twice, which changes as time goes by',
  },
  {
    rule: 'a row rule over a windowed count is refused',
    sdl: rolling(hour).replace(' {\n', ' @rows(where: ‸{ n: { gt: 3 } }) {\n'),
    says: 'a row rule of Customers reads n, which changes as time goes by',
  },
  {
    rule: 'a window in a part is refused',
    sdl: `${orders('buyer: Buyer @from(path: "customer")')}
type Buyer @part(of: "Customer") { n: Int! @count(of: "orders", window: ‸${hour}) }`,
    says: 'Show it as a field of the view',
  },
  {
    rule: 'a window of a grouped view over what its members have many of is refused by name',
    sdl: `type Groups @view(of: "Customer", groupBy: ["tier"]) @allow(roles: [AGENT]) { tier: Tier! n: Int! @count(of: "orders", window: ‸${hour}) }`,
    says: 'from the members of the grouped view Groups: not running yet',
  },
  {
    rule: 'a windowed count that goes by personal data is nobody’s who may not see it clear',
    sdl: `type Person @entity(domain: "shop", key: "id", source: { topic: "people" }) { id: ID! visits: [Visit!]! @join(to: "personId") }
type Visit @entity(domain: "shop", key: "id", source: { topic: "visits" }) { id: ID! personId: ID! at: DateTime! @pii(kind: CARD) }
type People @view(of: "Person") @allow(roles: [AGENT]) { id: ID! ‸n: Int! @count(of: "visits", window: { on: "at", last: "PT1H" }) }`,
    says: 'CARD from Visit.at',
  },
  {
    rule: 'a lateness that is no duration is refused',
    sdl: orders('hour: DateTime! @from(path: "placedAt", bucket: { by: HOUR, lateness: ‸"a while" })'),
    says: 'the lateness of a bucket is no duration of at most a century',
  },
  {
    rule: 'a lateness of a month is refused, which has no fixed length',
    sdl: orders('hour: DateTime! @from(path: "placedAt", bucket: { by: HOUR, lateness: ‸"P1M" })'),
    says: 'months and years have no fixed length',
  },
  {
    rule: 'a lateness of centuries is refused',
    sdl: orders('hour: DateTime! @from(path: "placedAt", bucket: { by: HOUR, lateness: ‸"P99999999D" })'),
    says: 'the lateness of a bucket is no duration of at most a century',
  },
  {
    rule: 'a window of centuries is refused',
    sdl: rolling('{ on: "placedAt", last: ‸"P99999999D", step: "P1D" }'),
    says: 'of at most a century',
  },
]
