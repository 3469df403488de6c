import type { FaultCase } from '../folder.ts'

const thing = (fields: string, more = ''): string =>
  `type Thing @entity(domain: "shop", key: "id", source: { topic: "things" }${more}) {\n  id: ID!\n  units: Int!\n  price: Decimal\n  at: DateTime!\n  day: Date\n  name: String @pii(kind: NAME)\n  note: JSON\n  ${fields}\n}`
const expr = (sql: string, type = 'Int'): string => thing(`x: ${type} @expr(sql: "${sql}")`)

export const computedFaults: readonly FaultCase[] = [
  { rule: 'an unknown name is named at its place', sdl: expr('1 + ‸unts'), says: 'Write units.' },
  {
    rule: 'another row is refused',
    sdl: thing('owner: Customer @join(from: "id")\n  x: Int @expr(sql: "‸owner")'),
    says: 'owner is another row',
  },
  {
    rule: 'another computed field is refused',
    sdl: thing('y: Int! @expr(sql: "units + 1")\n  x: Int @expr(sql: "‸y + 1")'),
    says: 'y is itself computed',
  },
  { rule: 'a subquery is refused', sdl: expr('‸(select 1)'), says: 'a subquery' },
  { rule: 'the clock is refused', sdl: expr('‸now()', 'DateTime'), says: 'another value each time' },
  {
    rule: 'a non-null expression over null is refused',
    sdl: thing('x: Decimal‸! @expr(sql: "price * units")').replace('Decimal‸!', '‸Decimal!'),
    says: 'price may be null',
  },
  { rule: 'a number declared text is refused', sdl: expr('‸units + 1', 'String'), says: 'a number, declared String' },
  { rule: 'a day declared a number is refused', sdl: expr('‸day'), says: 'gives a day, declared Int' },
  {
    rule: 'a time without zone declared an instant is refused',
    sdl: expr("‸date_trunc('day', at at time zone 'UTC')", 'DateTime'),
    says: "at time zone 'UTC'",
  },
  { rule: 'a list is refused', sdl: thing('x: ‸[Int!] @expr(sql: "array[units]")'), says: 'one scalar' },
  {
    rule: 'what goes by the session’s zone is refused',
    sdl: expr("‸date_trunc('day', at)", 'DateTime'),
    says: "(field at time zone 'UTC')",
  },
  {
    rule: 'a cast by the session’s zone is refused',
    sdl: expr('at‸::date', 'Date'),
    says: "(field at time zone 'UTC')",
  },
  {
    rule: 'a function by the session’s settings is refused',
    sdl: expr("‸to_char(units, '9')", 'String'),
    says: 'Compute it in the view',
  },
  { rule: 'a time joined to text is refused', sdl: expr("'n' ‸|| at", 'String'), says: 'Format it in the view' },
  {
    rule: 'a computed key is refused',
    sdl: 'type Thing @entity(domain: "shop", key: ["id", ‸"x"], source: { topic: "things" }) { id: ID! n: Int! x: Int! @expr(sql: "n + 1") }',
    says: 'is computed',
  },
  {
    rule: 'a computed tenant is refused',
    sdl: 'extend schema @domain(name: "d", owner: "o")\ntype Thing @entity(domain: "d", key: "id", source: { topic: "things" }) { id: ID! name: String! ‸x: String! @tenant @expr(sql: "lower(name)") }',
    says: 'is computed',
    alone: true,
  },
  {
    rule: 'what counts as deleted is not decided by a computed field',
    sdl: thing('x: Int! @expr(sql: "units + 1")', ', deleted: ‸{ x: { gt: 3 } }'),
    says: 'which is computed',
  },
  {
    rule: 'a place in the record is refused',
    sdl: thing('x: Int! ‸@column(name: "x") @expr(sql: "units + 1")'),
    says: 'which is computed and in no record',
  },
  {
    rule: 'an event that sets it is refused',
    sdl: 'type Thing @entity(domain: "shop", key: "id", source: { topic: "things", format: JSON, typeAt: "type", events: [{ type: "made", op: UPSERT, map: { x: ‸"x" } }] }) { id: ID! n: Int! x: Int! @expr(sql: "n + 1") }',
    says: 'x',
  },
  {
    rule: 'a join by what is computed from personal data is refused',
    sdl: thing('x: String @expr(sql: "lower(name)")\n  owner: Customer @join(from: ‸"x", to: "id")'),
    says: 'personal data',
  },
]
