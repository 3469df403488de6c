/** A small shop on a running Forebay, whatever befalls it. What is made here ends with the test that made it. */
import { expect } from 'vitest'
import { loadSchema } from '../../src/model/load.ts'
import type { Model } from '../../src/model/model.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import type { Row } from '../law/seen.ts'
import { expectViewsEqualQuery } from '../law/tables.ts'
import { makePlace, type Place, type Running, startForebay } from '../support/forebay.ts'
import { endAfterEach } from '../support/later.ts'

const declaration = `
extend enum Role { CLERK }
extend schema
  @domain(name: "shop", owner: "shop-team", source: { format: JSON, naming: AS_IS })
  @policy(role: CLERK, masked: [EMAIL])
type Customer @entity(domain: "shop", key: "id", source: { topic: "customers" }) {
  id: ID! @subject
  email: String! @pii(kind: EMAIL)
  orders: [Order!]! @join(to: "customerId")
}
type Order @entity(domain: "shop", key: "id", source: { topic: "orders" }) {
  id: ID!
  customerId: ID!
  total: Int!
  customer: Customer @join(from: "customerId")
}
type Contact @view(of: "Customer") @allow(roles: [CLERK]) {
  id: ID!
  email: String!
  orderCount: Int! @count(of: "orders")
  spent: Long! @sum(of: "orders.total")
  largest: [Int!]! @list(of: "orders.total", first: 3, orderBy: { total: DESC })
}
`
export const later = endAfterEach()
export const place = async (dataDir?: string): Promise<Place> =>
  later(await makePlace(declaration, dataDir), (made) => made.remove())
export const start = async (where: Pick<Place, 'env' | 'dataDir'>): Promise<Running> =>
  later(await startForebay(where), ({ child }) => child.stop())
export const connected = (url: string): Sql =>
  later(connect(url, { max: 4, name: 'test' }), (sql) => sql.end({ timeout: 1 }))
const model = async (where: Place): Promise<Model> => {
  const loaded = await loadSchema(where.env.FOREBAY_SCHEMA!)
  if (!loaded.ok) throw new Error('the schema has faults')
  return loaded.model
}

export type Customer = { readonly id: string; readonly email: string }
export type Order = { readonly id: string; readonly customerId: string; readonly total: number }
export const customers: readonly Customer[] = Array.from({ length: 8 }, (_, i) => ({
  id: `c${i}`,
  email: `c${i}@example.com`,
}))
export const order = (i: number): Order => ({ id: `o${i}`, customerId: `c${i % 9}`, total: (i * 7) % 1000 })
export const orders = (from: number, to: number): readonly Order[] =>
  Array.from({ length: to - from }, (_, i) => order(from + i))

export const clerk = { roles: ['CLERK'] }
export const card = '{ contact(id: "c1") { id email orderCount spent largest } }'
export const answered = async (running: Running) => (await running.ask(card, clerk)).body?.data?.contact
export const codeOf = async (running: Running) => (await running.ask(card, clerk)).body?.errors?.[0]?.extensions?.code
export const ready = (running: Running) =>
  expect.poll(() => running.readyz(), { timeout: 20_000 }).toMatchObject({ status: 200 })
/** The state of a breaker at /metrics: 0 closed, 1 half-open, 2 open. */
export const breakerOf = async (running: Running, dependency: string): Promise<string | undefined> => {
  const text = await (await fetch(`${running.url}/metrics`)).text()
  return new RegExp(`^forebay_breaker_state{dependency="${dependency}"} (\\d)`, 'm').exec(text)?.[1]
}
/** What answers may say of a fault: nothing of the inside. */
export const leak = /127\.0\.0\.1|ECONN|CONNECTION|select |insert |postgres|node_modules|\.ts:|\n +at /i

/** Waits until all that is in the journal is applied and in the views, and compares them with what the sources had. */
export const expectAll = async (
  sql: Sql,
  where: Place,
  sent: { readonly customers: readonly Customer[]; readonly orders: readonly Order[] },
) => {
  await expect
    .poll(
      async () => {
        const [row] = await sql<{ behind: string; dirty: number }[]>`
          select (select coalesce(sum(e.next_offset - coalesce(p.next_offset, 0)), 0)::text
              from forebay.journal_ends e left join forebay.positions p using (topic, partition)) as behind,
            (select count(*)::int from forebay.dirty) as dirty`
        return row
      },
      { timeout: 40_000, interval: 100 },
    )
    .toEqual({ behind: '0', dirty: 0 })
  const byId = (rows: readonly Row[]) => new Map(rows.map((row) => [String(row.id), row]))
  await expectViewsEqualQuery(
    sql,
    await model(where),
    new Map([
      ['Customer', byId(sent.customers)],
      ['Order', byId(sent.orders)],
    ]),
  )
}
