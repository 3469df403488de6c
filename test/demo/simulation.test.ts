import { describe, expect, test } from 'vitest'
import { simulation } from '../../schema/simulation.ts'
import type { Row, Transaction } from '../../src/operate/demo/simulation.ts'
import { rowsAfter } from './rows-after.ts'

const history = (seed: number, steps: number, faults = false): Transaction[] => {
  const run = simulation.create({ seed, faults })
  return [...run.seedData('tiny'), ...Array.from({ length: steps }, () => run.step()).flat()]
}
const cents = (money: unknown): number => Math.round(Number(money) * 100)
const of = (rows: ReadonlyMap<string, ReadonlyMap<string, Row>>, table: string): Row[] => [
  ...(rows.get(table)?.values() ?? []),
]

describe('the shop simulation', () => {
  test('gives the same transactions for the same seed and number of steps, and others for another seed', () => {
    expect(history(7, 400)).toEqual(history(7, 400))
    expect(history(7, 400)).not.toEqual(history(8, 400))
  })

  test('goes on after a stop as if it had never stopped', () => {
    const whole = simulation.create({ seed: 3, now: () => 1e12 })
    const before = [...whole.seedData('tiny'), ...Array.from({ length: 300 }, () => whole.step()).flat()]
    const settled = new Set(
      before.flatMap((one) => one.settled.map(({ table, row }) => `${table} ${JSON.stringify(row)}`)),
    )
    const rows = new Map(
      [...rowsAfter(before)].map(([table, held]) => [
        table,
        [...held.values()].filter((row) => !settled.has(`${table} ${JSON.stringify(row)}`)),
      ]),
    )
    const memory = JSON.parse(JSON.stringify(whole.memory()))
    const resumed = simulation.create({ seed: 99, now: () => 1e12, saved: { rows, memory } })
    for (let step = 0; step < 200; step += 1) expect(resumed.step()).toEqual(whole.step())
  })

  test('lets every table change in every way that its service does', () => {
    const seen = new Set(history(5, 6000).flatMap(({ changes }) => changes.map(({ table, op }) => `${table} ${op}`)))
    for (const { name } of simulation.tables) expect(seen).toContain(`${name} insert`)
    for (const table of ['order_lines', 'consents', 'addresses', 'tickets', 'order_events'])
      expect(seen).toContain(`${table} delete`)
    for (const table of ['customers', 'orders', 'payments', 'shipments', 'stock_levels', 'api_clients', 'incidents'])
      expect(seen).toContain(`${table} update`)
  })

  test('keeps its books: totals are their lines, refunds their payments, stock is never below what is reserved', () => {
    const rows = rowsAfter(history(11, 5000))
    const lines = Map.groupBy(of(rows, 'order_lines'), (line) => line.order_id)
    for (const order of of(rows, 'orders')) {
      const total = (lines.get(order.id ?? null) ?? []).reduce(
        (sum, line) => sum + cents(line.unit_price) * Number(line.quantity),
        0,
      )
      expect(cents(order.total)).toBe(total)
    }
    const payments = rows.get('payments')
    for (const refund of of(rows, 'refunds'))
      expect(refund.amount).toBe(payments?.get(String(refund.payment_id))?.amount)
    for (const level of of(rows, 'stock_levels')) {
      expect(Number(level.reserved)).toBeGreaterThanOrEqual(0)
      expect(Number(level.on_hand)).toBeGreaterThanOrEqual(Number(level.reserved))
    }
  })

  test('keeps in memory only what may still change', () => {
    const run = simulation.create({ seed: 2 })
    const transactions = [...run.seedData('tiny')]
    for (let step = 0; step < 20_000; step += 1) transactions.push(...run.step())
    const inserted = transactions.flatMap(({ changes }) => changes).filter(({ op }) => op === 'insert')
    const gone = transactions.flatMap(({ changes, settled }) => [
      ...settled,
      ...changes.filter(({ op }) => op === 'delete'),
    ])
    const orders = (list: readonly { table: string }[]): number => list.filter(({ table }) => table === 'orders').length
    expect(orders(inserted)).toBeGreaterThan(1500)
    expect(orders(inserted) - orders(gone)).toBeLessThan(600)
  })
})
