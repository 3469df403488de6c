/** kill -9 of ingest while it compares a view with its definition, again and again: the pass goes on, drift is found and put right, nothing is lost. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { requestPass } from '../../src/ingest/reconcile/pass.ts'
import type { Sql } from '../../src/platform/postgres.ts'
import { begin } from '../support/forebay.ts'
import { freshDatabase } from '../support/postgres.ts'
import { appendAll, expectRight, left, makeChaos } from './chaos.ts'
import { later } from './fault-shop.ts'

const kills = Number(process.env.FOREBAY_KILLS ?? 6)
/** So many that comparing them takes longer than a process is given. */
const many = 20_000

/** Customers with one order each, beside those that the log brings. */
const plant = async (sql: Sql): Promise<void> => {
  // Later than any snapshot that the log brings, which would sweep away what it doesn't have (C13).
  const placed = '0, 1000000000, 0, 99, i, false'
  const place = '_epoch, _version, _tie, _partition, _offset, _deleted'
  await sql.unsafe(`
    insert into shop.customer (id, tenant_id, name, ${place}) select 's' || i, 'acme', 'Ann', ${placed} from generate_series(1, ${many}) i;
    insert into shop."order" (id, tenant_id, customer_id, total, ${place}) select 's' || i, 'acme', 's' || i, i, ${placed} from generate_series(1, ${many}) i;
    analyze shop.customer, shop."order"`)
}

type Pass = {
  readonly state: string
  readonly compared: number
  readonly seen: number
  readonly drifted: number
  readonly repaired: number
}
const passOf = async (sql: Sql, id: string): Promise<Pass> => {
  const [row] = await sql<Pass[]>`
    select state, compared::int, (select count(*)::int from forebay.drift where pass = r.id) as seen, drifted::int, repaired::int
    from forebay.reconciliations r where id = ${id}`
  return row!
}

test(`ingest, killed ${kills} times while it compares a view and repairs it, ends equal to the oracle`, async () => {
  const chaos = await makeChaos(200 * kills)
  const { sql, url, drop } = await freshDatabase()
  later(sql, drop)
  await chaos.install(sql)
  await plant(sql)
  const env = { ...chaos.place.env, DATABASE_URL: url, FOREBAY_RECONCILE_SHARE: '0' }
  const filling = begin(env, 'ingest')
  const filled = async () => {
    const found = await sql<{ done: boolean }[]>`
      select g.filled_at is not null and not exists (select from forebay.dirty) as done from forebay.generations g`
    return found.length > 0 && found.every(({ done }) => done)
  }
  await expect.poll(filled, { timeout: 120_000, interval: 200 }).toBe(true)
  await filling.kill9()

  const [generation] = await sql<{ generation: number; table: string; tables: readonly string[] }[]>`
    select generation, definition->'table'->>'table' as table, array(select jsonb_array_elements_text(definition->'tables')) as tables
    from forebay.generations where view = 'CustomerOrders'`
  const { table, tables } = generation!
  const sums = tables.find((name) => name.endsWith('_1_sums"'))!
  await sql.unsafe(`
    update ${table} set name = 'Eve' where id like 's_7%';
    delete from ${table} where id like 's_8%';
    update ${sums} set _n = _n + 1 where g0 like 's_9%'`)
  const [{ harmed }] = (await sql.unsafe(`
    select (select count(*) from ${table} where name = 'Eve')::int as harmed`)) as unknown as [{ harmed: number }]
  expect(harmed).toBeGreaterThan(100)

  const pass = await requestPass(
    sql,
    { kind: 'VIEW', name: 'CustomerOrders', generation: generation!.generation },
    'test',
  )
  const pace = { ms: 100 }
  const growing = appendAll(sql, chaos.records, pace)
  const places: string[] = []
  let before = 0
  for (let kill = 0; kill < kills; kill++) {
    const child = begin(env, 'ingest')
    const moved = async () => {
      const { state, compared, repaired, seen } = await passOf(sql, pass)
      return state === 'DONE' || compared > before || (state === 'JUDGING' && seen > repaired)
    }
    await expect.poll(moved, { timeout: 60_000, interval: 1, message: 'the pass goes on' }).toBe(true)
    await sleep(chaos.draw.below(120))
    expect(child.alive(), child.output()).toBe(true)
    await child.kill9()
    const { state, compared } = await passOf(sql, pass)
    // Nothing of what a page was compared for is lost.
    expect(compared).toBeGreaterThanOrEqual(before)
    before = compared
    places.push(`${state} ${compared}`)
  }
  console.info(`killed at ${places.join(', ')}`)
  expect(places.filter((place) => !place.startsWith('DONE')).length, places.join()).toBeGreaterThan(1)
  const last = begin(env, 'ingest')
  later(last, (child) => child.stop())
  pace.ms = 0
  await growing
  await expect.poll(async () => (await passOf(sql, pass)).state, { timeout: 120_000, interval: 200 }).toBe('DONE')
  const done = await passOf(sql, pass)
  // Rows that were changed or taken away, and totals: each was found and is right again.
  expect(done.drifted).toBeGreaterThan(harmed * 2)
  expect(done.repaired).toBe(done.drifted)
  await expect.poll(() => left(sql), { timeout: 60_000, interval: 100 }).toEqual({ records: 0, entries: 0 })
  const again = await requestPass(
    sql,
    { kind: 'VIEW', name: 'CustomerOrders', generation: generation!.generation },
    'test',
  )
  await expect.poll(async () => (await passOf(sql, again)).state, { timeout: 120_000, interval: 200 }).toBe('DONE')
  expect(await passOf(sql, again)).toMatchObject({ drifted: 0 })
  await last.stop()
  const [right] = await sql.unsafe(`
    select count(*)::int as n from ${table} where id like 's%' and name = 'Ann' and orders = 1 and spent = substr(id, 2)::int`)
  expect(right).toEqual({ n: many })
  // The oracle judges what the log brought.
  for (const one of [table, 'shop.customer', 'shop."order"']) await sql.unsafe(`delete from ${one} where id like 's%'`)
  await expectRight(sql, chaos)
}, 600_000)
