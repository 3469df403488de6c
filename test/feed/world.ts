/** A source database with a table of odd things, and an engine that follows it, in this process or in one to be killed. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { expect } from 'vitest'
import { type Ingest, startIngest } from '../../src/ingest/main.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { type Config, readConfig } from '../../src/platform/config.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { until } from '../kafka/client.ts'
import type { IngestWork } from '../law/ingest-child.ts'
import { loadModel } from '../law/model.ts'
import { endAfterEach } from '../support/later.ts'
import { freshDatabase } from '../support/postgres.ts'

export const later = endAfterEach()

/** Two tables, one of them with a composite key in another order than its columns. `source`: what stands after `table:`. */
export const declare = (more = '', connection = 'src'): string => `
extend enum Role { CLERK }
extend schema @domain(name: "shop", owner: "shop", source: { connection: "${connection}"${more} })
type Item @entity(domain: "shop", key: "id", source: { table: "items" }) {
  id: ID!
  n: Long!
  price: Decimal
  label: String
  tags: [String!]
  data: JSON
  seenAt: DateTime
  lines: [Line!]! @join(to: "itemId")
}
type Line @entity(domain: "shop", key: ["itemId", "no"], source: { table: "lines" }) {
  itemId: ID!
  no: Int!
  amount: Int!
  item: Item @join(from: "itemId")
}
type ItemFile @view(of: "Item") @allow(roles: [CLERK]) {
  id: ID!
  n: Long!
  label: String
  total: Long! @sum(of: "lines.amount")
}
`
const tables = `
create table items (
  id bigint primary key, n bigint not null, price numeric, label text, tags text[], data jsonb,
  seen_at timestamptz not null default clock_timestamp());
create table lines (
  amount int not null, no int not null, seen_at timestamptz not null default clock_timestamp(),
  item_id bigint not null, primary key (item_id, no));
create index on items (seen_at, id);
create index on lines (seen_at, item_id, no);`

export type Source = { readonly url: string; readonly sql: Sql }
/** A database of its own on that server, with the tables. */
export const sourceOn = async (server: string): Promise<Source> => {
  const admin = connect(server, { max: 1, name: 'test administration' })
  const name = `src_${Math.random().toString(36).slice(2)}`
  await admin.unsafe(`create database ${name} template template0 encoding 'UTF8'`)
  await admin.end({ timeout: 1 })
  const url = new URL(server)
  url.pathname = `/${name}`
  const sql = later(connect(url.href, { max: 6, name: 'test source' }), (pool) => pool.end({ timeout: 1 }))
  await sql.unsafe(tables)
  return { url: url.href, sql }
}

/** Slots are the server's, and outlive a database that is dropped. */
export const dropSlots = ({ sql }: Source) =>
  until(async () => {
    await sql`
      select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database() and not active`
    const [left] = await sql<{ n: number }[]>`
      select count(*)::int as n from pg_replication_slots where database = current_database()`
    return left!.n === 0
  }, 'the slots are dropped')

/** As somebody does who finds its disk full: all slots of the database are gone, though one is read. */
export const loseSlot = ({ sql }: Source): Promise<void> =>
  until(async () => {
    const own = sql`from pg_replication_slots where database = current_database() and not temporary`
    await sql`select pg_terminate_backend(active_pid) ${own} and active`
    await sql`select pg_drop_replication_slot(slot_name) ${own}`.catch(() => {})
    return (await sql`select ${own}`).length === 0
  }, 'the slot is dropped')

export type Engine = {
  readonly url: string
  readonly sql: Sql
  readonly text: string
  readonly connections: Record<string, string>
}
/** Forebay's own database, with the tables of the declaration. */
export const engine = async (text: string, connections: Record<string, string>): Promise<Engine> => {
  const database = later(await freshDatabase(), (made) => made.drop())
  await installModel(database.sql, await loadModel(text))
  return { url: database.url, sql: database.sql, text, connections }
}

export const startHere = async (
  { url, text, connections }: Engine,
  more: Partial<Config> = {},
): Promise<Ingest & { readonly end: () => Promise<void> }> => {
  const sql = connect(url, { max: 8, name: 'test ingest' })
  const failures: Error[] = []
  const config = { ...readConfig({}), ...more, databaseUrl: url, connections }
  const ingest = await startIngest({
    config,
    model: await loadModel(text),
    sql,
    failed: (error) => failures.push(error),
  })
  let ended = false
  const end = async (): Promise<void> => {
    if (ended) return
    ended = true
    await ingest.stop()
    await sql.end({ timeout: 1 })
    expect(failures).toEqual([])
  }
  return later({ ...ingest, end }, end)
}

/** In a process of its own. */
export const startChild = async ({ url, text, connections }: Engine) => {
  const child = fork(new URL('../law/ingest-child.ts', import.meta.url), { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  let complaint = ''
  child.stderr!.on('data', (text) => {
    complaint += text
  })
  const ended = once(child, 'exit')
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
  }
  later(child, kill)
  child.send({ url, text, connections } satisfies IngestWork)
  await Promise.race([
    once(child, 'message'),
    ended.then(() => {
      throw new Error(`ingest ended by itself:\n${complaint}`)
    }),
  ])
  return { child, kill, complaint: () => complaint }
}

type Row = Readonly<Record<string, unknown>>
const contents = async (sql: Sql, query: string): Promise<readonly Row[]> => [...(await sql.unsafe<Row[]>(query))]
const itemsOf = (table: string, more = '') => `
  select id::text, n, trim_scale(price)::text as price, label, tags, data::text, seen_at from ${table} ${more} order by id::bigint`
const linesOf = (table: string, more = '') => `
  select item_id::text, no, amount from ${table} ${more} order by item_id::bigint, no`

/** What the source holds is what the entity tables hold: waits for it, and fails with the rows that differ. */
export const untilEqual = async (source: Source, { sql }: Engine, ms = 30_000): Promise<void> => {
  const live = 'where not _deleted'
  const compare = async () => {
    const wanted = [await contents(source.sql, itemsOf('items')), await contents(source.sql, linesOf('lines'))]
    const found = [await contents(sql, itemsOf('shop.item', live)), await contents(sql, linesOf('shop.line', live))]
    return { wanted, found, equal: JSON.stringify(wanted) === JSON.stringify(found) }
  }
  const equal = async () => (await compare()).equal
  await until(equal, 'equal to the source', ms).catch(() => undefined)
  const { wanted, found } = await compare()
  expect(found).toEqual(wanted)
  expect([...(await sql`select topic, reason from forebay.quarantine`)]).toEqual([])
}

/** No record stands twice in the journal: not one key with one content and one place in the source's order. */
export const expectNoDuplicates = async ({ sql }: Engine): Promise<void> => {
  const twice = await sql`
    select topic, convert_from(key, 'UTF8') as key, count(*) from (
      select topic, key, convert_from(value, 'UTF8')::jsonb - 'ts_us' as value from forebay.journal where value is not null) r
    where value->'source'->>'lsn' is not null
    group by topic, key, value having count(*) > 1`
  expect([...twice]).toEqual([])
}
