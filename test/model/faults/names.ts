import { customers, type FaultCase } from '../folder.ts'

const entity = (name: string, fields: string, domain = 'shop'): string =>
  `type ${name} @entity(domain: "${domain}", key: "id", source: { topic: "things" }) { id: ID! ${fields} }`

export const nameFaults: readonly FaultCase[] = [
  {
    rule: 'fields that differ only by case are refused',
    sdl: entity('Thing', 'name: Int ‸nAme: Int'),
    says: 'differ only by case',
  },
  {
    rule: 'fields of one column are refused',
    sdl: entity('Thing', 'urlPath: Int ‸url_path: Int'),
    says: 'both the column url_path',
  },
  { rule: 'a field that starts with _ is refused', sdl: entity('Thing', '‸_x: Int'), says: 'starts with _' },
  {
    rule: 'a field named like a word of conditions is refused',
    sdl: entity('Thing', '‸not: Int'),
    says: 'could not be told',
  },
  {
    rule: 'a name too long for Postgres is refused',
    sdl: entity('Thing', `‸${'x'.repeat(64)}: Int`),
    says: 'more than 63 bytes',
  },
  {
    rule: 'a view too long for its table is refused',
    sdl: `type ‸${'V'.padEnd(51, 'x')} @view(of: "Customer") @allow(roles: [AGENT]) { id: ID! }`,
    says: 'more than 50 bytes',
  },
  {
    rule: 'a type name of the engine is refused',
    sdl: `type ‸PageInfo @view(of: "Customer") @allow(roles: [AGENT]) { id: ID! }`,
    says: "the engine's own",
  },
  {
    rule: 'entities of one table are refused',
    sdl: `${entity('URLPath', 'x: Int')}\n${entity('‸UrlPath', 'x: Int').replace('"things"', '"others"')}`,
    says: 'both the table shop.url_path',
  },
  {
    rule: 'an entity of an engine table’s name is refused',
    sdl: `extend schema @domain(name: "forebay", owner: "us")\n${entity('‸Journal', 'x: Int', 'forebay')}`,
    says: "engine's own table",
  },
  {
    rule: 'a domain that can not be a Postgres schema is refused',
    sdl: 'extend schema @domain(name: ‸"Pg Shop", owner: "us")',
    says: 'Postgres schema',
  },
  {
    rule: 'a domain declared twice is refused',
    sdl: 'extend schema @domain(name: ‸"shop", owner: "us")',
    says: 'declared twice',
  },
  {
    rule: 'a type declared twice is refused',
    sdl: 'enum ‸Tier { BRONZE }',
    says: 'only one type named "Tier"',
  },
  {
    rule: 'a field declared twice is refused',
    sdl: entity('Thing', 'x: Int ‸x: Int'),
    says: 'can only be defined once',
  },
  { rule: 'an enum value declared twice is refused', sdl: 'extend enum Role { ‸AGENT }', says: '"Role.AGENT"' },
  {
    rule: 'views asked for by one name are refused',
    sdl: `${customers('tier: Tier!')}\ntype ‸Customerses @view(of: "Customer") @allow(roles: [AGENT]) { id: ID! }`,
    says: 'customerses',
  },
  {
    rule: 'a type that a view makes is refused',
    sdl: `${customers('tier: Tier!')}\ntype ‸CustomersEdge @part(of: "Customer") { id: ID! }`,
    says: 'made for the view Customers',
  },
  {
    rule: 'a type without a role in the folder is refused',
    sdl: 'type ‸Thing { id: ID! }',
    says: 'neither entity, view nor part',
  },
  {
    rule: 'a type of two roles is refused',
    sdl: 'type ‸Thing @view(of: "Customer") @part(of: "Customer") @allow(roles: [AGENT]) { id: ID! }',
    says: 'a @view and a @part at once',
  },
  { rule: 'a scalar of one’s own is refused', sdl: '‸scalar Money', says: 'declares no scalar of its own' },
  { rule: 'an interface is refused', sdl: '‸interface HasId { id: ID! }', says: 'declares no interface of its own' },
  { rule: 'a query in the folder is refused', sdl: '‸query { a }', says: 'Keep operations elsewhere' },
  {
    rule: 'a syntax error is named and the rest still read',
    sdl: 'type Thing @entity(domain: "shop" key: "id", source: { topic: "t" }) {\n  id: ID!‸!\n}',
    says: 'Syntax Error',
  },
  {
    rule: 'a type named like one of the language is refused',
    sdl: entity('‸Event', 'x: Int'),
    says: 'the language itself has this one',
  },
  {
    rule: 'a role of the language declared again is refused',
    sdl: 'extend enum Role { ‸ADMIN }',
    says: 'the language itself has this one',
  },
  {
    rule: 'a view without fields is refused',
    sdl: 'type ‸V @view(of: "Customer") @allow(roles: [AGENT])',
    says: 'no fields',
  },
  { rule: 'an enum without values is refused', sdl: 'enum ‸Empty', says: 'no values' },
]
