import { expect, test } from 'vitest'
import { applySql, connectors, sourceDdl } from '../../schema/simulation/source-sql.ts'
import { simulation } from '../../schema/simulation.ts'
import { freshDatabase } from '../support/postgres.ts'
import { rowsAfter } from './rows-after.ts'

/** Numbers and instants as Postgres writes them in JSON, so that both sides can be compared as text. */
const instant = /^\d{4}-\d\d-\d\dT/
const canonical = (value: unknown): unknown =>
  typeof value === 'string' && instant.test(value) ? new Date(value).toISOString() : value

test('the shop written as SQL to a real source database leaves the rows that the simulation says', async () => {
  const { sql, drop } = await freshDatabase()
  try {
    await sql.unsafe(sourceDdl)
    const run = simulation.create({ seed: 21 })
    const transactions = [...run.seedData('tiny'), ...Array.from({ length: 800 }, () => run.step()).flat()]
    for (const transaction of transactions) await applySql(sql, transaction)
    const expected = rowsAfter(transactions)
    for (const { name, columns, key } of simulation.tables) {
      const money = Object.keys(columns).filter((column) => columns[column]?.startsWith('numeric'))
      const asText = money.map((column) => `'${column}', ${column}::text`).join(', ')
      const found = await sql.unsafe(`select to_jsonb(t) || jsonb_build_object(${asText}) as row from ${name} t`)
      const rows = new Map(found.map(({ row }) => [key.map((column) => row[column]).join('/'), row]))
      expect([...rows.keys()].sort()).toEqual([...(expected.get(name)?.keys() ?? [])].sort())
      for (const [id, row] of expected.get(name) ?? [])
        for (const [column, value] of Object.entries(row))
          expect([name, id, column, canonical(rows.get(id)[column])]).toEqual([name, id, column, canonical(value)])
    }
  } finally {
    await drop()
  }
})

test('every captured table belongs to exactly one connector', () => {
  const listed = connectors.flatMap(({ tables }) => tables.split(','))
  expect(listed.toSorted()).toEqual(
    simulation.tables.flatMap(({ name, topic }) => (topic ? [`public.${name}`] : [])).toSorted(),
  )
  expect(connectors.map(({ prefix }) => prefix)).toEqual(['crm', 'catalog', 'sales', 'billing', 'wms', 'platform'])
})
