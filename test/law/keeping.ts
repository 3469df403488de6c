/** Views on a stage whose rows are kept for thirty days, as if they had been registered ten years ago. */
import { startViewFloors } from '../../src/ingest/view-floors.ts'
import { change, openStage, order, SHOP, type Stage } from './stage.ts'

export const daysAgo = (days: number, now = Date.now()): string => new Date(now - days * 86_400_000).toISOString()
const dayOf = (at: string): string => at.slice(0, 10)

/** Of orders by themselves, of lines by the time of their order, and by the day of orders. */
export const KEEPING = (days = 30): string => `${SHOP.replace(
  'total: Int!',
  'total: Int!\n  placedAt: DateTime\n  shippedOn: Date',
)}
type Recent @view(of: "Order") @allow(roles: [READER]) @retention(ttl: "P${days}D", on: "placedAt") {
  id: ID!
  placedAt: DateTime
  total: Int!
  units: Long! @sum(of: "lines.units")
}
type Shipped @view(of: "Order") @allow(roles: [READER]) @retention(ttl: "P${days}D", on: "shippedOn") {
  id: ID!
  shippedOn: Date
}
type RecentLine @view(of: "Line") @allow(roles: [READER]) @retention(ttl: "P${days}D", on: "at") {
  id: ID!
  at: DateTime @from(path: "order.placedAt")
  units: Int!
}
type ByDay @view(of: "Order", groupBy: ["day"]) @allow(roles: [READER]) @retention(ttl: "P${days}D", on: "day") {
  day: DateTime @from(path: "placedAt", bucket: { by: DAY })
  orders: Int! @count
  total: Long! @sum(of: "total")
  largest: Int @max(of: "total")
}
`

/** An order that was placed so many days before now, and shipped at once; null: not placed yet. */
export const placed = (id: string, days: number | null, version: number, total = 10, now?: number) => {
  const at = days === null ? null : daysAgo(days, now)
  const times = { placedAt: at, shippedOn: at && dayOf(at) }
  return change('Order', { ...order(id, 'c', version, total).row, ...times }, version)
}

export const openKeeping = async (text = KEEPING(), how: { readonly live?: boolean } = {}) => {
  const stage = await openStage(text, how)
  const { sql } = stage.database
  await sql`update forebay.view_floors set floor = floor - interval '3652 days'`
  return { stage, sql, floors: startViewFloors({ sql, catalog: stage.catalog, auto: false }) }
}
export type Keeping = Awaited<ReturnType<typeof openKeeping>>

/** The ids of a view's rows, of `ByDay` how many orders its groups are of, the latest day first; of its newest generation, unless one is named. */
export const rowsOf = async ({ catalog, database }: Stage, view: string, generation?: number) => {
  const all = catalog.generations.filter((one) => one.table.view === view)
  const number = generation ?? Math.max(...all.map((one) => one.generation))
  const { table } = all.find((one) => one.generation === number)!
  const [what, order] = view === 'ByDay' ? ['orders::text', 'day desc'] : ['id', 'id']
  const rows = await database.sql.unsafe<{ row: string }[]>(
    `select ${what} as row from ${table.table} order by ${order}`,
  )
  return rows.map(({ row }) => row)
}
