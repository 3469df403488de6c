import { type FaultCase, orders } from '../folder.ts'

const expr = (sql: string, type = 'Int'): string =>
  orders(`units: Int!\n  shippedOn: Date\n  placedAt: DateTime!\n  x: ${type} @expr(sql: "${sql}")`)

export const expressionFaults: readonly FaultCase[] = [
  { rule: 'an unknown name is named at its place with the nearest', sdl: expr('1 + ‸unts'), says: 'Write units.' },
  { rule: 'a syntax error is named at its place', sdl: expr('units + ‸'), says: 'syntax error' },
  { rule: 'two expressions are refused', sdl: expr('‸units), (units'), says: 'more than one expression' },
  {
    rule: 'a from clause smuggled in is refused',
    sdl: expr('‸units) from t where (true'),
    says: 'more than one expression',
  },
  { rule: 'two statements are refused', sdl: expr('‸1); drop table t; select (1'), says: 'more than one expression' },
  { rule: 'a subquery is refused', sdl: expr('‸(select 1)'), says: 'a subquery' },
  { rule: 'a parameter is refused', sdl: expr('units + ‸$1'), says: 'a parameter' },
  { rule: 'a star is refused', sdl: expr('‸*'), says: 'syntax error' },
  { rule: 'a field of a table is refused', sdl: expr('‸o.units'), says: 'without a table' },
  { rule: 'an aggregate is refused', sdl: expr('‸sum(units)'), says: 'Use @count, @sum' },
  { rule: 'a window function is refused', sdl: expr('‸lower(units) over ()'), says: 'window function' },
  { rule: 'a volatile function is refused', sdl: expr('units + ‸random()'), says: 'another value each time' },
  { rule: 'the clock is refused', sdl: expr('‸now()', 'DateTime'), says: 'another value each time' },
  { rule: 'the current date is refused', sdl: expr('‸current_date', 'Date'), says: 'session or the clock' },
  { rule: 'the current time as text is refused', sdl: expr("placedAt < ‸'now'", 'Boolean'), says: 'current time' },
  { rule: 'an unknown function is refused', sdl: expr('‸my_function(units)'), says: 'not known to be immutable' },
  { rule: 'an unknown cast is refused', sdl: expr('units‸::regclass'), says: 'no cast to regclass' },
  {
    rule: 'a part as input is refused',
    sdl: `${orders('who: Who @from(path: "customer")\n  x: Int @expr(sql: "‸who")')}\ntype Who @part(of: "Customer") { id: ID! }`,
    says: 'is a part',
  },
  {
    rule: 'a quoted name in other case is refused',
    sdl: `type V @view(of: "Order") @allow(roles: [AGENT]) { id: ID! placedAt: DateTime! x: DateTime ‸@expr(sql: "\\"placedAt\\"") }`.replace(
      ' ‸@expr(sql: ',
      ' @expr(sql: ‸',
    ),
    says: 'without them',
  },
  { rule: 'an expression that reads itself is refused', sdl: expr('‸x + 1'), says: 'reads itself' },
  {
    rule: 'expressions that read each other are refused',
    sdl: 'type V @view(of: "Order") @allow(roles: [AGENT]) { id: ID! ‸a: Int @expr(sql: "b") b: Int @expr(sql: "a") }',
    says: 'a → b → a',
  },
  {
    rule: 'a non-null expression over null is refused',
    sdl: expr('shippedOn', '‸Date!'),
    says: 'shippedOn may be null',
  },
  {
    rule: 'a non-null case without else is refused',
    sdl: expr('case when units > 1 then 1 end', '‸Int!'),
    says: 'no else',
  },
  { rule: 'a list of an expression is refused', sdl: expr('array[units]', '‸[Int!]'), says: 'one scalar' },
  {
    rule: 'a comparison declared Int is refused',
    sdl: expr('‸units > 3'),
    says: 'a boolean, declared Int',
  },
  {
    rule: 'text declared a number is refused',
    sdl: expr("‸case when units > 3 then units::text else 'few'::text end"),
    says: 'a text, declared Int',
  },
  {
    rule: 'text that is no value of the enum it is compared with is refused',
    sdl: orders(`tier: Tier!\n  x: Boolean! @expr(sql: "tier in ('GOLD', ‸'SLIVER')")`),
    says: 'Write SILVER.',
  },
]
