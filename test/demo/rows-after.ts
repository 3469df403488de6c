import { simulation } from '../../schema/simulation.ts'
import type { Row, Transaction } from '../../src/operate/demo/simulation.ts'

/** Table → key (its columns joined by `/`) → row, after the transactions; each change must fit what was there. */
export const rowsAfter = (transactions: readonly Transaction[]): Map<string, Map<string, Row>> => {
  const keys = new Map(simulation.tables.map((table) => [table.name, table.key]))
  const rows = new Map<string, Map<string, Row>>(simulation.tables.map(({ name }) => [name, new Map()]))
  for (const { table, op, before, after } of transactions.flatMap(({ changes }) => changes)) {
    const held = rows.get(table)
    const row = after ?? before
    if (!held || !row) throw new Error(`an odd change of ${table}`)
    const key = (keys.get(table) ?? []).map((column) => row[column]).join('/')
    if (held.has(key) !== (op !== 'insert')) throw new Error(`${op} of ${table} ${key} does not fit`)
    if (op === 'delete') held.delete(key)
    else held.set(key, row)
  }
  return rows
}
