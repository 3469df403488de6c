/** What the flat bench has on top when asked: extremes of groups and over two to-many joins, and whether they are right. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Loaded, parseSchema } from '../../src/model/load.ts'
import type { Sql } from '../../src/platform/postgres.ts'

const views = `
type OrdersByCustomer @view(of: "Order", groupBy: ["customerId"]) @allow(roles: [AGENT]) {
  customerId: ID!
  first: DateTime @min(of: "placedAt")
  lastPaid: DateTime @max(of: "placedAt", where: { status: { eq: "PAID" } })
}
type PaymentsOfCustomer @view(of: "Customer") @allow(roles: [AGENT]) {
  id: ID!
  least: Decimal @min(of: "orders.payments.amount")
  most: Decimal @max(of: "orders.payments.amount", where: { status: { ne: "FAILED" } })
}`

export const loadExtremes = async (): Promise<Loaded> => {
  const text = await readFile(join(import.meta.dirname, 'schema', 'bench.graphql'), 'utf8')
  const joined = text.replace(
    '  payment: Payment ',
    '  payments: [Payment!]! @join(to: "orderId")\n  payment: Payment ',
  )
  return parseSchema([{ name: 'bench.graphql', text: joined + views }])
}

const tableOf = async (sql: Sql, view: string): Promise<string> => {
  const [found] = await sql<{ table: string }[]>`
    select format('forebay_view.%I', tablename) as table from pg_tables where schemaname = 'forebay_view' and tablename ~ ${`^${view}_[0-9a-f]{12}$`}`
  return found!.table
}

export const mustHaveExtremes = async (sql: Sql, customer: string): Promise<void> => {
  const [row] = await sql.unsafe<{ same: boolean }[]>(`
    select row(g.first, g.last_paid, p.least, p.most) is not distinct from
      (select row(min(o.placed_at), max(o.placed_at) filter (where o.status = 'PAID'), min(y.amount), max(y.amount) filter (where y.status <> 'FAILED'))
       from bench."order" o left join bench.payment y on y.order_id = o.id and y._live where o.customer_id = p.id and o._live) as same
    from ${await tableOf(sql, 'payments_of_customer')} p join ${await tableOf(sql, 'orders_by_customer')} g on g.customer_id = p.id where p.id = '${customer}'`)
  if (!row?.same) throw new Error(`the extremes of ${customer} are other than their query`)
}
