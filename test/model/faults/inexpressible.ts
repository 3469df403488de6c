import { customers, type FaultCase, orders } from '../folder.ts'

/** What the language has no words for: each is told with the nearest that can be said. */
export const inexpressibleFaults: readonly FaultCase[] = [
  {
    rule: 'a list of different values',
    sdl: customers('tiers: [Tier!]! @list(of: "orders.tier", first: 3, orderBy: { placedAt: DESC }, ‸distinct: true)'),
    says: '@count with `distinct`',
  },
  {
    rule: 'a window inside a list',
    sdl: customers(
      'tiers: [Tier!]! @list(of: "orders.tier", first: 3, orderBy: { placedAt: DESC }, ‸window: { on: "placedAt", last: "PT1H" })',
    ),
    says: 'Windows inside lists are not expressible',
  },
  {
    rule: 'the greatest of a window',
    sdl: customers('most: Int @max(of: "orders.units", ‸window: { on: "placedAt", last: "PT1H" })'),
    says: '@first in the order of the time',
  },
  {
    rule: 'a join on a range',
    sdl: 'extend type Customer { late: [Order!]! @join(to: "customerId", ‸where: { placedAt: { gt: { field: "joinedAt" } } }) }',
    says: 'Joins on ranges are not expressible',
  },
  {
    rule: 'a sum of different values',
    sdl: customers('n: Long! @sum(of: "orders.units", ‸distinct: true)'),
    says: 'each value once',
  },
  {
    rule: 'an aggregate of an expression, but for a field that is one',
    sdl: customers('n: Decimal! @sum(of: "orders.‸total * units")'),
    says: 'Declare a field of Order with @expr',
  },
  {
    rule: 'a bucket of days',
    sdl: orders('day: DateTime @from(path: "shippedOn", bucket: ‸{ by: WEEK })'),
    says: 'group by the Date itself',
  },
]
