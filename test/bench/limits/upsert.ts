/**
 * The limit of ingest: the same rows into plain tables with the same version guard, over two connections, from memory. No positions,
 * no views, no log. `indexed`: with the indexes that the views' joins need of any store, and with its parameters written as it goes.
 */
import { connect } from '../../../src/platform/postgres.ts'
import { type Message, tables } from '../changes.ts'

const batch = 5_000
const joins = [
  'create index on bare.orders (customer_id, placed_at) where not gone',
  'create index on bare.payments (order_id, created_at) where not gone',
  'create index on bare.shipments (order_id, created_at) where not gone',
]

/** Rows a second. */
export const bareUpsertRate = async (url: string, messages: readonly Message[], indexed = false): Promise<number> => {
  const sql = connect(url, { max: 2, name: 'limit' })
  try {
    const rows = messages.map(({ topic, value }) => {
      const { after, before, source, op } = JSON.parse(value) as {
        after: Row | null
        before: Row | null
        source: { lsn: number }
        op: string
      }
      return {
        table: topic.split('.')[1]!,
        id: (after ?? before)!.id!,
        row: { ...(after ?? before)!, lsn: source.lsn, gone: op === 'd' },
      }
    })
    await sql.unsafe('drop schema if exists bare cascade; create schema bare')
    const columns = new Map(
      tables.map((table) => [table, Object.keys(rows.find((row) => row.table === table)!.row)] as const),
    )
    const typed = (name: string) =>
      `${name} ${name === 'lsn' ? 'bigint' : name === 'gone' ? 'boolean' : /^(total|amount)$/.test(name) ? 'numeric' : /_at$/.test(name) ? 'timestamptz' : 'text'}`
    for (const [table, names] of columns)
      await sql.unsafe(`create table bare.${table} (${names.map(typed).join(', ')}, primary key (id))`)
    if (indexed) for (const join of joins) await sql.unsafe(join)
    const work: { table: string; json: () => string }[] = []
    for (let start = 0; start < rows.length; start += batch) {
      const byTable = Map.groupBy(rows.slice(start, start + batch), ({ table }) => table)
      for (const [table, group] of byTable) {
        const newest = new Map<string, object>()
        for (const { id, row } of group)
          if (((newest.get(id) as { lsn: number } | undefined)?.lsn ?? 0) < row.lsn) newest.set(id, row)
        const write = () => JSON.stringify([...newest.values()])
        const written = indexed ? undefined : write()
        work.push({ table, json: () => written ?? write() })
      }
    }
    const began = performance.now()
    let next = 0
    const worker = async () => {
      for (let item = work[next++]; item; item = work[next++]) {
        const names = columns.get(item.table as (typeof tables)[number])!
        await sql.unsafe(
          `insert into bare.${item.table} as t select * from json_to_recordset($1::text::json) as x(${names.map(typed).join(', ')}) order by id
           on conflict (id) do update set ${names.map((name) => `${name} = excluded.${name}`).join(', ')} where t.lsn < excluded.lsn`,
          [item.json()],
          { prepare: true },
        )
      }
    }
    await Promise.all([worker(), worker()])
    return rows.length / ((performance.now() - began) / 1000)
  } finally {
    await sql.end()
  }
}
type Row = Record<string, string | null>
