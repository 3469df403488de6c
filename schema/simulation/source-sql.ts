/** The shop as one real source database: its tables in schema `public`, and its transactions as SQL. */
import type { Sql } from 'postgres'
import type { RowChange, Transaction } from '../../src/operate/demo/simulation.ts'
import { tables } from './tables.ts'

const byName = new Map(tables.map((table) => [table.name, table]))

export const sourceDdl: string = tables
  .map(({ name, key, columns }) => {
    const lines = Object.entries(columns).map(([column, type]) => `  ${column} ${type}`)
    return `create table ${name} (\n${[...lines, `  primary key (${key.join(', ')})`].join(',\n')}\n);`
  })
  .join('\n')

/** One connector each: its topic prefix and its `table.include.list`. */
export const connectors: readonly { readonly prefix: string; readonly tables: string }[] = [
  ...Map.groupBy(
    tables.filter(({ topic }) => topic),
    ({ topic }) => topic?.split('.')[0] ?? '',
  ),
].map(([prefix, own]) => ({ prefix, tables: own.map(({ name }) => `public.${name}`).join(',') }))

/** Changes that follow each other in one table with one operation go as one statement; a row is never twice in one. */
const statements = (changes: readonly RowChange[]): RowChange[][] => {
  const groups: RowChange[][] = []
  for (const change of changes) {
    const last = groups.at(-1)
    if (last?.[0]?.op === 'insert' && change.op === 'insert' && last[0].table === change.table) last.push(change)
    else groups.push([change])
  }
  return groups
}

const statementOf = (table: string, op: RowChange['op']): string => {
  const { key = [], columns = {} } = byName.get(table) ?? {}
  const names = Object.keys(columns).join(', ')
  const row = `jsonb_populate_recordset(null::${table}, $1::text::jsonb)`
  const where = `where (${key.join(', ')}) = (select ${key.join(', ')} from ${row})`
  switch (op) {
    case 'insert':
      return `insert into ${table} select * from ${row}`
    case 'update':
      return `update ${table} set (${names}) = (select ${names} from ${row}) ${where}`
    case 'delete':
      return `delete from ${table} ${where}`
  }
}

/** Commits the transaction's rows, those of tables that no connector captures included. Fails where a change misses its row. */
export const applySql = async (sql: Sql, transaction: Transaction): Promise<void> => {
  await sql.begin(async (tx) => {
    for (const group of statements(transaction.changes)) {
      const { table, op } = group[0] as RowChange
      const rows = group.map((change) => change.after ?? change.before)
      const result = await tx.unsafe(statementOf(table, op), [JSON.stringify(rows)])
      if (result.count !== rows.length) throw new Error(`${op} of ${rows.length} in ${table} touched ${result.count}`)
    }
  })
}
