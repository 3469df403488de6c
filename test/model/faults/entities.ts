import type { FaultCase } from '../folder.ts'

const entity = (fields: string, more = ''): string =>
  `type Thing @entity(domain: "shop", key: "id", source: { topic: "things" }${more}) {\n  id: ID!\n  ${fields}\n}`

const keyed = (key: string, fields: string): string =>
  `type Thing @entity(domain: "shop", key: ${key}, source: { topic: "things" }) {\n  id: ID!\n  ${fields}\n}`

const sourced = (source: string): string =>
  `type Thing @entity(domain: "shop", key: "id", source: ${source}) {\n  id: ID!\n  name: String!\n  kind: Tier!\n  parts: [Int!]!\n}`

export const entityFaults: readonly FaultCase[] = [
  { rule: 'an unknown type is named with the nearest', sdl: entity('tier: ‸Teir!'), says: 'Write Tier' },
  {
    rule: 'an unknown domain is named with the nearest',
    sdl: entity('x: Int').replace('"shop"', '‸"shp"'),
    says: 'Write shop.',
  },
  { rule: 'an unknown directive is named', sdl: entity('x: Int ‸@colum(name: "y")'), says: 'Write @column' },
  { rule: 'an unknown argument of a directive is named', sdl: entity('x: Int @column(‸nam: "y")'), says: 'Write name' },
  {
    rule: 'a missing argument is named',
    sdl: 'type Thing ‸@entity(key: "id", source: { topic: "t" }) { id: ID! }',
    says: '"domain"',
  },
  {
    rule: 'an argument of the wrong type is named',
    sdl: entity('x: Decimal @column(scale: ‸"two")'),
    says: 'Int cannot represent',
  },
  {
    rule: 'an unknown value of a language enum is named',
    sdl: entity('x: Int @column(encoding: ‸MILIS)'),
    says: 'Write MILLIS',
  },
  {
    rule: 'an owner that the conflict does not ask for is refused',
    sdl: sourced('{ topic: "t", owner: ‸"crm" }'),
    says: 'Write `conflict: OWNER`',
  },
  ...['EVENT_TIME', 'FIELD_CLOCK'].map((conflict) => ({
    rule: `a version that ${conflict} would not look at is refused`,
    sdl: sourced(`{ topic: "t", version: ‸"rev" }, conflict: ${conflict}`),
    says: 'goes by the event time',
  })),
  {
    rule: 'field clocks for the elements of an array are refused',
    sdl: sourced('{ topic: "t", each: ‸"parts" }, conflict: FIELD_CLOCK'),
    says: 'which come whole',
  },
  { rule: 'an unknown field of the source is named', sdl: sourced('{ topic: "t", ‸zon: "UTC" }'), says: 'Write zone' },
  { rule: 'a scalar that can not be stored is refused', sdl: entity('x: ‸Duration'), says: 'no field can store' },
  { rule: 'a list of lists is refused', sdl: entity('x: ‸[[Int!]!]!'), says: 'list of lists' },
  { rule: 'a list with null elements is refused', sdl: entity('x: ‸[Int]!'), says: 'Write [Int!]' },
  {
    rule: 'a scale on anything but a Decimal is refused',
    sdl: entity('x: Int @column(scale: ‸2)'),
    says: 'belongs to a Decimal',
  },
  {
    rule: 'an unknown key field is named with the nearest',
    sdl: keyed('["id", ‸"nmae"]', 'name: String!'),
    says: 'Write name.',
  },
  {
    rule: 'a key that may be null is refused',
    sdl: keyed('["id", ‸"name"]', 'name: String'),
    says: 'Declare it `String!`',
  },
  {
    rule: 'a key of personal data is refused',
    sdl: keyed('["id", ‸"name"]', 'name: String! @pii(kind: NAME)'),
    says: 'personal data (NAME)',
  },
  { rule: 'a Float in a key is refused', sdl: keyed('["id", ‸"x"]', 'x: Float!'), says: 'is Float' },
  { rule: 'JSON in a key is refused', sdl: keyed('["id", ‸"x"]', 'x: JSON!'), says: 'is JSON' },
  { rule: 'a list in a key is refused', sdl: keyed('["id", ‸"x"]', 'x: [Int!]!'), says: 'is a list' },
  {
    rule: 'a join in a key is refused',
    sdl: keyed('["id", ‸"home"]', 'homeId: ID!\n  home: Address! @join(from: "homeId")'),
    says: 'no stored field',
  },
  { rule: 'a key named twice is refused', sdl: keyed('["id", ‸"id"]', 'x: Int'), says: 'names id twice' },
  { rule: 'an empty key is refused', sdl: keyed('‸[]', 'x: Int'), says: 'empty key' },
  { rule: 'an object field without @join is refused', sdl: entity('home: ‸Address'), says: 'Add @join' },
  { rule: '@join on a scalar is refused', sdl: entity('home: ID ‸@join(from: "id")'), says: 'no @join can reach' },
  {
    rule: 'a join to a view is refused',
    sdl: `${entity('seen: ‸Seen @join(from: "id")')}\ntype Seen @view(of: "Address") @allow(roles: [AGENT]) { id: ID! }`,
    says: 'no entity',
  },
  {
    rule: 'a join by an unknown field is named with the nearest',
    sdl: entity('homeId: ID\n  home: Address @join(from: ‸"homId")'),
    says: 'Write homeId.',
  },
  {
    rule: 'a join to an unknown field is named with the nearest',
    sdl: entity('orders: [Order!]! @join(to: ‸"custmerId")'),
    says: 'Write customerId.',
  },
  {
    rule: 'a join of unequal arity is refused',
    sdl: entity('x: ID\n  home: Address ‸@join(from: ["id", "x"])'),
    says: '2 fields to 1',
  },
  {
    rule: 'a join of unequal types is refused',
    sdl: entity('homeId: Int\n  home: Address @join(from: ‸"homeId")'),
    says: 'a Int, to Address.id, a ID',
  },
  {
    rule: 'a join by Float is refused',
    sdl: entity('w: Float!\n  orders: [Order!]! @join(from: ‸"w", to: "weight")'),
    says: 'neither Float nor JSON',
  },
  {
    rule: 'a join by personal data is refused',
    sdl: entity('mail: String!\n  who: [Customer!]! @join(from: ‸"mail", to: "email")'),
    says: 'Customer.email, which is personal data',
  },
  {
    rule: 'a single join that may reach several rows is refused',
    sdl: entity('order: Order ‸@join(to: "customerId")'),
    says: 'pick: { field: DESC }',
  },
  {
    rule: 'pick on a to-many join is refused',
    sdl: entity('orders: [Order!]! @join(to: "customerId", pick: ‸{ placedAt: DESC })'),
    says: 'to-many and picks one',
  },
  {
    rule: 'an unknown field in pick is named with the nearest',
    sdl: entity('order: Order @join(to: "customerId", pick: { ‸placdAt: DESC })'),
    says: 'Write placedAt.',
  },
  {
    rule: 'a promised join from a field that may be null is refused',
    sdl: entity('homeId: ID\n  home: Address! @join(from: ‸"homeId")'),
    says: 'promises a Address',
  },
  {
    rule: 'a to-many join that may be null is refused',
    sdl: entity('orders: ‸[Order!] @join(to: "customerId")'),
    says: 'Write [Order!]!',
  },
  {
    rule: 'an unknown field in `deleted` is named',
    sdl: entity('gone: Boolean!', ', deleted: { ‸gon: { eq: true } }'),
    says: 'Write gone.',
  },
  {
    rule: '`deleted` follows no join',
    sdl: entity('homeId: ID\n  home: Address @join(from: "homeId")', ', deleted: { ‸home: { city: { eq: "x" } } }'),
    says: 'no field home',
  },
  {
    rule: '`deleted` by personal data is refused',
    sdl: entity('mail: String @pii(kind: EMAIL)', ', deleted: ‸{ mail: { isNull: true } }'),
    says: 'depends on Thing.mail',
  },
  { rule: 'an entity without a topic is refused', sdl: sourced('‸{}'), says: 'has no topic' },
  {
    rule: 'a connection without a table is refused',
    sdl: sourced('‸{ connection: "crm" }'),
    says: 'Add `table: "…"`',
  },
  { rule: 'a table without a connection is refused', sdl: sourced('‸{ table: "things" }'), says: 'Add `connection' },
  {
    rule: 'a connection’s name fits a variable, a slot and a topic',
    sdl: sourced('{ connection: ‸"My DB", table: "things" }'),
    says: 'FOREBAY_CONNECTION_CRM',
  },
  {
    rule: 'a table of three names is refused',
    sdl: sourced('{ connection: "crm", table: ‸"a.b.c" }'),
    says: 'names no table',
  },
  {
    rule: 'a topic beside a table is refused',
    sdl: sourced('{ connection: "crm", table: "things", topic: ‸"things" }'),
    says: 'Keep one',
  },
  {
    rule: 'a table in another format is refused',
    sdl: sourced('{ connection: "crm", table: "things", format: ‸JSON }'),
    says: 'never JSON',
  },
  {
    rule: 'a slot that is told how often to poll is refused',
    sdl: sourced('{ connection: "crm", table: "things", every: ‸"PT1S" }'),
    says: 'without a watermark',
  },
  {
    rule: 'a poll without pause is refused',
    sdl: sourced('{ connection: "crm", table: "things", watermark: "at", every: ‸"PT0S" }'),
    says: 'no duration above zero',
  },
  {
    rule: 'one table is polled in one way',
    sdl: `type A @entity(domain: "shop", key: "id", source: { connection: "crm", table: "t", watermark: "at" }) { id: ID! }
type B @entity(domain: "shop", key: "id", source: ‸{ connection: "crm", table: "t" }) { id: ID! }`,
    says: 'read differently by B and by A',
  },
  {
    rule: 'an unknown time zone is refused',
    sdl: sourced('{ topic: "t", zone: ‸"Mars/Olympus" }'),
    says: 'no time zone',
  },
  {
    rule: 'typeAt with DEBEZIUM is refused',
    sdl: sourced('{ topic: "t", typeAt: ‸"type", events: [{ type: "a", op: UPSERT }] }'),
    says: 'no event type',
  },
  {
    rule: 'events without typeAt are refused',
    sdl: sourced('{ topic: "t", format: JSON, events: ‸[{ type: "a", op: UPSERT }] }'),
    says: 'Add `typeAt',
  },
  {
    rule: 'an event type that stands twice is refused',
    sdl: sourced(
      '{ topic: "t", format: JSON, typeAt: "t", events: [{ type: "a", op: UPSERT }, { type: ‸"a", op: DELETE }] }',
    ),
    says: 'stands twice',
  },
  {
    rule: 'an unknown field in an event map is named',
    sdl: sourced('{ topic: "t", format: JSON, typeAt: "t", events: [{ type: "a", op: UPSERT, map: { nam: ‸"x" } }] }'),
    says: 'Write name.',
  },
  {
    rule: 'a value that an event sets has the field’s type',
    sdl: sourced(
      '{ topic: "t", format: JSON, typeAt: "t", events: [{ type: "a", op: UPSERT, set: { kind: ‸BRONZE } }] }',
    ),
    says: 'no Tier',
  },
  {
    rule: 'topics read in two formats are refused',
    sdl: sourced('‸{ topic: "orders", format: JSON }'),
    says: 'JSON for Thing and DEBEZIUM for Order',
  },
  {
    rule: 'two values for other texts are refused',
    sdl: 'enum E { A @value(other: true) B ‸@value(other: true) }',
    says: 'Keep one `other: true`',
  },
  {
    rule: 'two values of one source text are refused',
    sdl: 'enum E { A @value(of: "x") ‸B @value(of: "x") }',
    says: 'both the source text "x"',
  },
  { rule: 'two @subject fields are refused', sdl: entity('a: ID @subject\n  ‸b: ID @subject'), says: 'two persons' },
  {
    rule: '@pii on a join is refused',
    sdl: entity('homeId: ID\n  home: Address @join(from: "homeId") ‸@pii(kind: ADDRESS)'),
    says: 'stands on the join',
  },
  {
    rule: 'a view’s directive on an entity is refused',
    sdl: entity('x: Int ‸@filter'),
    says: 'It belongs on fields of a @view',
  },
  {
    rule: '@allow on an entity is refused',
    sdl: entity('x: Int').replace(') {', ') ‸@allow(roles: [AGENT]) {'),
    says: 'allow the views',
  },
  { rule: 'a field that takes arguments is refused', sdl: entity('x(‸first: Int): Int'), says: 'takes an argument' },
]
