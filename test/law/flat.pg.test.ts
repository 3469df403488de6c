/**
 * Law 8: what a change costs does not grow with how many rows its key counts. Counted are the rows and index entries that maintenance
 * reads and the rows that it writes, as Postgres does, never time.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Change } from '../../src/ingest/change.ts'
import { startMaintainer } from '../../src/ingest/maintain/maintainer.ts'
import { byKey, plans } from '../../src/ingest/session-settings.ts'
import { entityTable } from '../../src/model/names.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { change, openStage, type Stage } from './stage.ts'

/** More than the rows that Postgres sorts at once at least, 32, however few of them are wanted. */
const few = 100
const many = 10_000

const SCHEMA = `
extend enum Role { READER }
extend schema @domain(name: "shop", owner: "law")
type Customer @entity(domain: "shop", key: "id", source: { topic: "customers" }) {
  id: ID!
  region: String!
  orders: [Order!]! @join(to: "customerId")
}
type Order @entity(domain: "shop", key: "id", source: { topic: "orders" }) {
  id: ID!
  customerId: ID
  kind: String!
  total: Int!
  customer: Customer @join(from: "customerId")
  lines: [Line!]! @join(to: "orderId")
}
type Line @entity(domain: "shop", key: "id", source: { topic: "lines" }) {
  id: ID!
  orderId: ID!
  order: Order @join(from: "orderId")
  units: Int!
}
type CustomerTotals @view(of: "Customer") @allow(roles: [READER]) {
  id: ID!
  orders: Int! @count(of: "orders")
  large: Int! @count(of: "orders", where: { total: { gt: 5 }, customer: { region: { eq: "north" } } })
  spent: Long! @sum(of: "orders.total")
  mean: Decimal @avg(of: "orders.total")
  units: Long! @sum(of: "orders.lines.units")
}
type CustomerExtremes @view(of: "Customer") @allow(roles: [READER]) {
  id: ID!
  smallest: Int @min(of: "orders.total", where: { total: { gt: 2 } })
  rare: Int @max(of: "orders.total", where: { kind: { eq: "none" } })
  last: ID @max(of: "orders.id")
  fewest: Int @min(of: "orders.lines.units")
  most: Int @max(of: "orders.lines.units", where: { order: { kind: { ne: "none" } } })
}
type CustomerFirsts @view(of: "Customer") @allow(roles: [READER]) {
  id: ID!
  kinds: Int! @count(of: "orders.kind", distinct: true)
  largest: Int @max(of: "orders.total")
  smallest: Int @min(of: "orders.total")
  top: [ID!]! @list(of: "orders.id", first: 5, orderBy: { total: DESC })
  last: OrderPart @first(of: "orders", orderBy: { id: DESC })
}
type OrderPart @part(of: "Order") { id: ID! total: Int! lines: Int! @count(of: "lines") }
type OrderTotals @view(of: "Order") @allow(roles: [READER]) {
  id: ID!
  lines: Int! @count(of: "lines")
}
type ByKind @view(of: "Order", groupBy: ["kind"]) @allow(roles: [READER]) {
  kind: String!
  orders: Int! @count
  spent: Long! @sum(of: "total")
  large: Int! @count(where: { customer: { region: { eq: "north" } } })
  units: Long! @sum(of: "lines.units")
}
type ExtremesByKind @view(of: "Order", groupBy: ["kind"]) @allow(roles: [READER]) {
  kind: String!
  smallest: Int @min(of: "total")
  largest: Int @max(of: "total", where: { customer: { region: { eq: "north" } } })
  last: ID @max(of: "id")
  most: Int @max(of: "lines.units")
}
`
const customer = (id: string, version: number, region = 'north') => change('Customer', { id, region }, version)
const order = (id: string, customerId: string, kind: string, version: number, total = 10) =>
  change('Order', { id, customerId, kind, total }, version)
const line = (id: string, orderId: string, version: number, units = 1) =>
  change('Line', { id, orderId, units }, version)
const remove = (entity: string, id: string, version: number) => change(entity, { id }, version)
const range = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i)

/** `few` and `many` children of each kind: orders of a customer, lines of an order, members of a group. */
const children = (n: number, suffix: string): readonly Change[] => [
  customer(`c${suffix}`, 1),
  customer(`other${suffix}`, 1),
  order(`big${suffix}`, `other${suffix}`, `${suffix}`, 1),
  ...range(n).map((i) => order(`o${suffix}${i}`, `c${suffix}`, suffix, 1, i)),
  ...range(n).map((i) => line(`l${suffix}${i}`, `big${suffix}`, 1)),
  line(`own${suffix}`, `o${suffix}0`, 1),
]

let stage: Stage
let sql: Sql
let version = 1
beforeAll(async () => {
  stage = await openStage(SCHEMA)
  sql = connect(stage.database.url, { max: 1, name: 'counted', settings: { ...plans, ...byKey } })
  await stage.apply(0, ...children(few, 'few'))
  await stage.apply(0, ...children(many, 'many'))
  await drain()
  await stage.database.sql`vacuum analyze`
})
afterAll(async () => {
  await sql?.end({ timeout: 1 })
  await stage?.close()
})

const drain = async (): Promise<void> => {
  const { catalog } = stage
  const maintainer = startMaintainer({ sql, catalog, published: async () => undefined, auto: false })
  while ((await maintainer.round(30_000)).entries > 0);
  await maintainer.stop()
}

/** Read and written in the tables of entities and views. */
const touched = async (): Promise<number> => {
  await sql`select pg_stat_force_next_flush()`
  const [row] = await sql<{ n: string }[]>`
    select coalesce(sum(seq_tup_read + n_tup_ins + n_tup_upd + n_tup_del), 0)
      + (select coalesce(sum(idx_tup_read), 0) from pg_stat_user_indexes where schemaname in ('shop', 'forebay_view')) as n
    from pg_stat_user_tables where schemaname in ('shop', 'forebay_view')`
  return Number(row!.n)
}

test('counting a key’s rows each time does grow: this is how its cost would show', async () => {
  const table = entityTable(stage.model.entities.get('Order')!)
  const read = async (id: string): Promise<number> => {
    const before = await touched()
    await sql.unsafe(`select count(*), sum(total) from ${table} where customer_id = $1 and _live`, [id])
    return (await touched()) - before
  }
  expect(await read('cfew')).toBeLessThan(2 * few)
  expect(await read('cmany')).toBeGreaterThanOrEqual(many)
})

const costOf = async (...changes: readonly Change[]): Promise<number> => {
  await stage.apply(0, ...changes)
  const before = await touched()
  await drain()
  return (await touched()) - before
}

describe('law 8 work follows keys: a change costs no more among ten thousand rows than among a hundred', () => {
  const cases: Readonly<Record<string, (suffix: string, version: number) => readonly Change[]>> = {
    'a counted row changes its value': (s, v) => [order(`o${s}1`, `c${s}`, s, v, v)],
    'a counted row leaves its group for another': (s, v) => [order(`o${s}2`, `other${s}`, s, v)],
    'a counted row comes': (s, v) => [order(`new${s}${v}`, `c${s}`, s, v)],
    'a counted row goes': (s, v) => [remove('Order', `o${s}3`, v)],
    'a row two joins away changes its value': (s, v) => [line(`own${s}`, `o${s}0`, v, v)],
    'one of many rows below a counted row changes its value': (s, v) => [line(`l${s}1`, `big${s}`, v, v)],
    'a counted row with many rows below it moves': (s, v) => [order(`big${s}`, `c${s}`, s, v)],
    'a member changes its group': (s, v) => [order(`o${s}4`, `c${s}`, `${s}'s own`, v)],
    'a member’s group is left by its row’s removal': (s, v) => [remove('Order', `o${s}5`, v)],
    'the least row goes': (s, v) => [remove('Order', `o${s}6`, v)],
    'a row becomes the least': (s, v) => [order(`o${s}7`, `c${s}`, s, v, 3)],
    'the greatest of many rows below a counted row moves': (s, v) => [line(`l${s}2`, `big${s}`, v, 1_000_000 + v)],
    'and goes': (s, v) => [remove('Line', `l${s}2`, v)],
  }
  test.each(Object.keys(cases))('%s', async (name) => {
    const make = cases[name]!
    version += 2
    const among = { few: await costOf(...make('few', version)), many: await costOf(...make('many', version + 1)) }
    expect(among.few).toBeGreaterThan(0)
    expect(among.many).toBeLessThanOrEqual(among.few * 1.2)
  })
})
