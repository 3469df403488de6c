import { expect, test } from 'vitest'
import { simulation } from '../../schema/simulation.ts'
import { createDebezium } from '../../src/operate/demo/debezium.ts'
import { loadState, saveState } from '../../src/operate/demo/state.ts'
import { freshDatabase } from '../support/postgres.ts'
import { rowsAfter } from './rows-after.ts'

test('a stopped simulation goes on from its saved state: every later change fits what was there', async () => {
  const { sql, drop } = await freshDatabase()
  try {
    expect(await loadState(sql)).toBeUndefined()
    const history = []
    for (let start = 0; start < 4; start += 1) {
      const state = await loadState(sql)
      const run = simulation.create({ seed: start, now: () => 1e12 + start, ...(state ? { saved: state.saved } : {}) })
      const debezium = createDebezium(simulation.tables, state?.wal)
      const before = debezium.position()
      const transactions = state ? [] : [...run.seedData('tiny')]
      for (let step = 0; step < 500; step += 1) transactions.push(...run.step())
      const records = transactions.flatMap(debezium.render)
      const memory = { memory: run.memory(), wal: debezium.position(), held: records.slice(0, start), outbox: [] }
      await saveState(sql, simulation.tables, transactions, memory)
      expect((await loadState(sql))?.held).toEqual(records.slice(0, start))
      expect(debezium.position().lsn).toBeGreaterThan(before.lsn)
      history.push(...transactions)
    }
    // Throws where an inserted row exists already, or a changed one doesn't.
    const rows = rowsAfter(history)
    const settled = new Set(history.flatMap((one) => one.settled.map(({ table, row }) => `${table} ${row.id}`)))
    const [held] = await sql<{ orders: number }[]>`
      select count(*)::int as orders from simulation.rows where source = 'orders'`
    expect(held?.orders).toBe(
      [...(rows.get('orders')?.keys() ?? [])].filter((id) => !settled.has(`orders ${id}`)).length,
    )
  } finally {
    await drop()
  }
})
