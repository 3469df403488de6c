/**
 * Keeps the simulation's state in schema `simulation` of Forebay's database. It is saved before its records go out and with them, so that
 * a demo that was killed sends the last ones again, as a connector would, and goes on exactly where it was.
 */
import type { Sql } from '../../platform/postgres.ts'
import type { OutRecord, WalPosition } from './debezium.ts'
import type { Row, Saved, SourceTable, Transaction } from './simulation.ts'

type Memory = {
  readonly memory: Saved['memory']
  readonly wal: WalPosition
  /** Records that the log may lack. */
  readonly outbox: readonly OutRecord[]
  /** Records on their way, to arrive later. */
  readonly held: readonly OutRecord[]
}

/** Makes the tables where they don't exist; answers what was saved last, if anything was. */
export const loadState = async (sql: Sql): Promise<(Memory & { readonly saved: Saved }) | undefined> => {
  await sql.unsafe(`
    create schema if not exists simulation;
    create table if not exists simulation.rows (source text, key text, row jsonb not null, primary key (source, key));
    create table if not exists simulation.memory (id boolean primary key default true check (id), memory jsonb not null)`)
  const [found] = await sql<{ memory: Memory }[]>`select memory from simulation.memory`
  if (!found) return undefined
  const rows = await sql<
    { source: string; row: Row }[]
  >`select source, row from simulation.rows order by source, length(key), key`
  const bySource = Map.groupBy(rows, ({ source }) => source)
  const saved = {
    memory: found.memory.memory,
    rows: new Map([...bySource].map(([source, list]) => [source, list.map(({ row }) => row)])),
  }
  return { ...found.memory, saved }
}

export const saveState = async (
  sql: Sql,
  tables: readonly SourceTable[],
  transactions: readonly Transaction[],
  memory: Memory,
): Promise<void> => {
  const keys = new Map(tables.map((table) => [table.name, table.key]))
  // The last word on each row: null where the simulation no longer holds it.
  const last = new Map<string, { source: string; key: string; row: Row | null }>()
  const note = (source: string, row: Row | null, kept: boolean): void => {
    const key = (keys.get(source) ?? []).map((column) => row?.[column]).join('/')
    last.set(`${source} ${key}`, { source, key, row: kept ? row : null })
  }
  for (const { changes, settled } of transactions) {
    for (const { table, before, after } of changes) note(table, after ?? before, after !== null)
    for (const { table, row } of settled) note(table, row, false)
  }
  const rows = JSON.stringify([...last.values()])
  await sql.begin(async (tx) => {
    await tx`
      with given as (select * from jsonb_to_recordset(${rows}::text::jsonb) as g(source text, key text, row jsonb)),
        gone as (delete from simulation.rows r using given g where r.source = g.source and r.key = g.key and g.row is null)
      insert into simulation.rows select * from given where row is not null
      on conflict (source, key) do update set row = excluded.row`
    await tx`
      insert into simulation.memory (memory) values (${JSON.stringify(memory)}::text::jsonb)
      on conflict (id) do update set memory = excluded.memory`
  })
}
