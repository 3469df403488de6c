/** Law 8 of windows: what reading one costs goes by its steps and by what is new in the step under way, not by the rows in it. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { viewBasis } from '../../src/gateway/freshness/freshness.ts'
import { byKeysStatement } from '../../src/gateway/read/row-sql.ts'
import { compileView } from '../../src/model/sql/compile-view.ts'
import { change, openStage, type Stage } from './stage.ts'

const text = `
extend enum Role { READER }
extend schema @domain(name: "shop", owner: "law")
type Customer @entity(domain: "shop", key: "id", source: { topic: "customers" }) {
  id: ID!
  tenantId: ID! @tenant
  orders: [Order!]! @join(to: "customerId")
  tickets: [Ticket!]! @join(to: "customerId")
}
type Order @entity(domain: "shop", key: "id", source: { topic: "orders" }) { id: ID! tenantId: ID! @tenant customerId: ID! total: Int! at: DateTime! }
type Ticket @entity(domain: "shop", key: "id", source: { topic: "tickets" }) { id: ID! tenantId: ID! @tenant customerId: ID! }
type Busy @view(of: "Customer") @allow(roles: [READER]) {
  id: ID!
  tickets: Int! @count(of: "tickets")
  hour: Long! @sum(of: "orders.total", window: { on: "at", last: "PT1H", step: "PT10M" })
  two: Int! @count(of: "orders", window: { on: "at", last: "PT2H", step: "PT10M" })
  many: Boolean! @expr(sql: "two > 100")
}
type Groups @view(of: "Order", groupBy: ["customerId"]) @allow(roles: [READER]) {
  customerId: ID!
  hour: Long! @sum(of: "total", window: { on: "at", last: "PT1H", step: "PT10M" })
  two: Int! @count(window: { on: "at", last: "PT2H", step: "PT10M" })
}
`
let s: Stage
beforeEach(async () => {
  s = await openStage(text)
})
afterEach(() => s.close())

type Plan = {
  'Node Type': string
  'Actual Rows': number
  'Actual Loops': number
  'Rows Removed by Filter'?: number
  Plans?: Plan[]
}
const scans = ({ Plans = [], ...node }: Plan): readonly Omit<Plan, 'Plans'>[] => [
  ...(node['Node Type'].includes('Scan') ? [node] : []),
  ...Plans.flatMap(scans),
]

test('law 8 a window over 30,000 rows is read like one over 30, by index alone', { timeout: 240_000 }, async () => {
  const { sql } = s.database
  // Others, so that no table is small enough to be read whole.
  const others = Array.from({ length: 2_000 }, (_, n) => `other${n}`)
  const customers = ['few', 'many', ...others].map((id) => change('Customer', { id, tenantId: 'acme' }, 1))
  // An hour and a half of rows up to the edge at 12:00, and five more in the step under way.
  const order = (customerId: string, n: number, seconds: number) =>
    change(
      'Order',
      {
        id: `${customerId}${n}`,
        tenantId: 'acme',
        customerId,
        total: 2,
        at: new Date(Date.UTC(2026, 5, 1, 12) - seconds * 1000).toISOString(),
      },
      1,
    )
  const orders = (customerId: string, count: number) => [
    ...Array.from({ length: count }, (_, n) => order(customerId, n, (n * 5400) / count)),
    ...Array.from({ length: 5 }, (_, n) => order(customerId, count + n, -n - 1)),
  ]
  await s.apply(0, ...customers, ...orders('few', 30), ...others.map((id, n) => order(id, 0, n)))
  for (let from = 0; from < 30_000; from += 5_000) await s.apply(0, ...orders('many', 30_000).slice(from, from + 5_000))
  await s.apply(0, ...orders('many', 30_000).slice(30_000))
  await s.drain(5_000)
  await sql.unsafe('analyze')

  const read = async (id: string, name = 'Busy') => {
    const view = s.model.views.get(name)!
    const { table } = compileView(s.model, view)
    const { text, values } = byKeysStatement(
      {
        table,
        tenant: 'acme',
        held: 'none',
        bounded: false,
        classes: () => ['true'],
        fields: new Set(view.fields.map(({ name }) => name)),
        now: `timestamptz '2026-06-01 12:03:00+00'`,
      },
      [[id]],
    )
    const [row] = await sql.unsafe<{ fields: string }[]>(text, [...values])
    const [plan] = await sql.unsafe<{ 'QUERY PLAN': [{ Plan: Plan }] }[]>(
      `explain (analyze, timing off, format json) ${text}`,
      [...values],
    )
    const nodes = scans(plan!['QUERY PLAN'][0].Plan)
    const touched = nodes.reduce(
      (sum, node) => sum + (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops'],
      0,
    )
    return {
      values: JSON.parse(row!.fields) as Record<string, unknown>,
      touched,
      kinds: nodes.map((node) => node['Node Type']),
    }
  }
  const [few, many] = [await read('few'), await read('many')]
  expect(few.values).toEqual({ id: 'few', tickets: 0, hour: '50', two: 35, many: false })
  expect(many.values).toEqual({ id: 'many', tickets: 0, hour: '40010', two: 30_005, many: true })
  expect(many.kinds.filter((kind) => kind === 'Seq Scan')).toEqual([])
  expect(many.touched).toBeLessThanOrEqual(few.touched + 10)
  expect(many.touched).toBeLessThan(120)
  const groups = [await read('few', 'Groups'), await read('many', 'Groups')] as const
  expect(groups.map(({ values }) => values)).toEqual([
    { customerId: 'few', hour: '50', two: 35 },
    { customerId: 'many', hour: '40010', two: 30_005 },
  ])
  expect(groups[1].kinds.filter((kind) => kind === 'Seq Scan')).toEqual([])
  expect(groups[1].touched).toBeLessThanOrEqual(groups[0].touched + 10)
})

test('C22 what waits in the log of a window delays answers that show the window, and no others', async () => {
  const { touched } = viewBasis(s.model, s.model.views.get('Busy')!)
  const { paths } = compileView(s.model, s.model.views.get('Busy')!)
  const fields = (entity: string) =>
    touched.filter((_, i) => paths[i]!.entity === entity).map((one) => (one === 'ROW' ? one : [...one].sort()))
  expect(fields('Order')).toEqual([['hour', 'many', 'two']])
  for (const some of fields('Ticket')) expect(some).toEqual(['tickets'])
})
