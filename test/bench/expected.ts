/** What the bench's tables and view must hold after what was sent: by hand-written SQL over the newest version of each row, none of it the engine's. */
import type { Sql } from '../../src/platform/postgres.ts'
import { type Message, type Table, tables } from './changes.ts'

type Row = Readonly<Record<string, string | null>>
type Sent = { readonly lsn: number; readonly row: Row | null }
export type Ledger = {
  /** In any order: the change of the highest lsn counts. */
  sent(messages: readonly Message[]): void
  readonly messages: () => number
  /** Rows that are missing, superfluous or other than they must be, by table and in the view: the engine's own, unless another's are given. */
  drift(sql: Sql, stored?: Stored): Promise<readonly Drift[]>
}
/** Statements that yield what a store holds, in the columns below; what it doesn't keep is absent. `lists`: whether the view's are in order. */
export type Stored = {
  readonly table?: (table: Table) => string
  readonly view?: string
  readonly ordered?: boolean
}
export type Drift = { readonly of: string; readonly expected: number; readonly differ: number }

export const columns: Readonly<Record<Table, string>> = {
  customers: 'id text, tenant_id text, email text, full_name text, tier text, note text',
  orders: 'id text, tenant_id text, customer_id text, status text, total numeric, placed_at timestamptz',
  payments: 'id text, tenant_id text, order_id text, status text, amount numeric, created_at timestamptz',
  shipments: 'id text, tenant_id text, order_id text, carrier text, status text, created_at timestamptz',
}
const chunk = 20_000

const view = `
  select c.id, c.email, c.full_name, c.tier, c.note,
    (select count(*)::int from sent.orders o where o.customer_id = c.id) as order_count,
    (select coalesce(sum(total), 0) from sent.orders o where o.customer_id = c.id and status <> 'CANCELLED') as spent,
    (select max(placed_at) from sent.orders o where o.customer_id = c.id) as last_order_at,
    (select coalesce(jsonb_agg(jsonb_build_object('id', n.id, 'status', n.status, 'total', n.total::numeric(12, 2)::text,
        'placedAt', n.placed_at, 'paymentStatus', p.status, 'carrier', s.carrier) order by n.placed_at desc, n.id), '[]')
      from (select * from sent.orders o where o.customer_id = c.id order by placed_at desc, id limit 10) n
      left join lateral (select * from sent.payments where order_id = n.id order by created_at desc, id limit 1) p on true
      left join lateral (select * from sent.shipments where order_id = n.id order by created_at desc, id limit 1) s on true) as recent_orders
  from sent.customers c`

/** Times within its JSON come to Postgres's own text, as above. */
const shown = (table: string): string => `
  select id, email, full_name, tier, note, order_count, spent, last_order_at,
    (select coalesce(jsonb_agg(e || jsonb_build_object('placedAt', (e->>'placedAt')::timestamptz) order by n), '[]')
      from jsonb_array_elements(recent_orders) with ordinality x(e, n)) as recent_orders
  from ${table}`

/** The columns' names alone. */
export const namesOf = (table: Table): string => columns[table].replaceAll(/ \w+(?=,|$)/g, '')

const engine = async (sql: Sql): Promise<Stored> => ({
  table: (table) =>
    `select ${namesOf(table)} from bench.${table === 'customers' ? 'customer' : `"${table.slice(0, -1)}"`} where _live`,
  view: shown(await viewTable(sql)),
})
/** The elements of the lists by themselves, where a store keeps no order. */
const unordered = (statement: string): string =>
  `select id, email, full_name, tier, note, order_count, spent, last_order_at,
    (select coalesce(jsonb_agg(e order by e->>'id'), '[]') from jsonb_array_elements(recent_orders) e) as recent_orders
  from (${statement}) v`

export const openLedger = (): Ledger => {
  const newest = new Map<Table, Map<string, Sent>>(tables.map((table) => [table, new Map()]))
  let count = 0
  return {
    messages: () => count,
    sent(messages) {
      count += messages.length
      for (const { topic, key, value } of messages) {
        const { op, after, source } = JSON.parse(value) as { op: string; after: Row | null; source: { lsn: number } }
        const rows = newest.get(topic.slice('bench.'.length) as Table)!
        const { id } = JSON.parse(key) as { id: string }
        if ((rows.get(id)?.lsn ?? 0) < source.lsn) rows.set(id, { lsn: source.lsn, row: op === 'd' ? null : after })
      }
    },
    async drift(sql, given) {
      const stored = given ?? (await engine(sql))
      await sql.unsafe('drop schema if exists sent cascade; create schema sent')
      const found: Drift[] = []
      for (const table of tables) {
        const rows = [...newest.get(table)!.values()].flatMap(({ row }) => (row === null ? [] : [row]))
        await sql.unsafe(`create table sent.${table} (${columns[table]}, primary key (id))`)
        for (let start = 0; start < rows.length; start += chunk)
          await sql.unsafe(
            `insert into sent.${table} select * from json_to_recordset($1::text::json) as x(${columns[table]})`,
            [JSON.stringify(rows.slice(start, start + chunk))],
          )
        if (stored.table) found.push(await compare(sql, table, `select * from sent.${table}`, stored.table(table)))
      }
      if (stored.view === undefined) return found
      await sql.unsafe(`
        create index on sent.orders (customer_id, placed_at); create index on sent.payments (order_id, created_at);
        create index on sent.shipments (order_id, created_at); analyze sent.orders, sent.payments, sent.shipments`)
      const same = stored.ordered === false ? unordered : (statement: string) => statement
      found.push(await compare(sql, 'the view', same(view), same(stored.view)))
      return found
    },
  }
}

const compare = async (sql: Sql, of: string, expected: string, stored: string): Promise<Drift> => {
  const [row] = await sql.unsafe<{ expected: number; differ: number }[]>(`
    with expected as materialized (${expected}), stored as materialized (${stored})
    select (select count(*)::int from expected) as expected,
      (select count(*)::int from ((table expected except all table stored) union all (table stored except all table expected)) d) as differ`)
  return { of, ...row! }
}

export const viewTable = async (sql: Sql): Promise<string> => {
  const [found] = await sql<{ table: string }[]>`
    select format('forebay_view.%I', tablename) as table from pg_tables where schemaname = 'forebay_view' and tablename ~ '^customer_overview_[0-9a-f]+$'`
  return found!.table
}
