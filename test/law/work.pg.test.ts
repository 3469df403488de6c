/** Law 8: what maintenance costs grows with distinct dirty keys, not with events and not with how many rows a key's change reaches. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startMaintainer } from '../../src/ingest/maintain/maintainer.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { type CuttingProxy, startCuttingProxy } from './cutting-proxy.ts'
import { customer, openStage, order, type Stage } from './stage.ts'

let stage: Stage
let proxy: CuttingProxy
let sql: Sql
beforeEach(async () => {
  stage = await openStage()
  proxy = await startCuttingProxy(stage.database.url)
  sql = connect(proxy.url, { max: 1, name: 'counted' })
})
afterEach(async () => {
  await sql.end({ timeout: 1 })
  await proxy.close()
  await stage.close()
})

type Cost = { readonly statements: number; readonly rowsWritten: number; readonly largestRound: number }

/** Rows written are the view's own, as Postgres counts them. */
const drain = async (budget?: number): Promise<Cost> => {
  const maintainer = startMaintainer({ sql, catalog: stage.catalog, published: async () => undefined, auto: false })
  await maintainer.round(0)
  const before = { ...proxy.counted(), rows: await rowsWritten() }
  let largestRound = 0
  for (;;) {
    const { entries, keys } = await maintainer.round(budget)
    if (entries === 0) break
    largestRound = Math.max(largestRound, keys)
  }
  await maintainer.stop()
  const statements = proxy.counted().executes - before.executes
  return { statements, rowsWritten: (await rowsWritten()) - before.rows, largestRound }
}

const rowsWritten = async (): Promise<number> => {
  await sql`select pg_stat_force_next_flush()`
  const [row] = await sql<{ n: number }[]>`
    select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::int as n from pg_stat_user_tables where schemaname = 'forebay_view'`
  return row!.n
}

const range = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i)

test('law 8 work follows keys: a key changed two hundred times is recomputed once, by as many statements as one changed once', async () => {
  await stage.apply(0, customer('c', 1), order('o', 'c', 1))
  await drain()
  await stage.apply(0, order('o', 'c', 2, 11))
  const once = await drain()
  for (const version of range(200)) await stage.apply(0, order('o', 'c', 3 + version, 20 + version))
  const often = await drain()
  // Its contribution, its customer’s total, the row.
  expect(once.rowsWritten).toBe(3)
  expect(often).toEqual(once)
})

test('law 8 work follows keys: statements grow with rounds of keys, not with keys', async () => {
  const customers = range(3000)
  await stage.apply(0, ...customers.map((i) => customer(`c${i}`, 1)))
  const many = await drain(1000)
  expect(many.rowsWritten).toBe(3000)
  await stage.apply(0, customer('c1', 2, 'Bea'))
  const one = await drain(1000)
  expect(one.rowsWritten).toBe(1)
  // Rounds with work in them, and one that finds nothing.
  const perRound = one.statements / 2
  expect(many.statements).toBeLessThanOrEqual(perRound * (3000 / 1000 + 2))
})

test('law 8 work follows keys: an event that changes nothing a view reads costs the view nothing', async () => {
  await stage.apply(0, customer('c', 1), order('o', 'c', 1))
  await drain()
  const applied = await stage.apply(0, order('o', 'c', 2))
  expect(applied).toMatchObject({ kind: 'applied', rows: 1, logged: 0 })
  expect((await drain()).rowsWritten).toBe(0)
})

test('C10 an entry of 50,000 keys is worked in rounds of about a thousand', { timeout: 120_000 }, async () => {
  const customers = range(50_000)
  await stage.apply(0, ...customers.map((i) => customer(`c${i}`, 1)))
  const entries = await stage.database.sql`select max(n)::int as most from forebay.dirty`
  expect(entries[0]!.most).toBeGreaterThan(1000)
  const cost = await drain(1000)
  expect(cost.largestRound).toBeLessThanOrEqual(2000)
  expect(cost.rowsWritten).toBe(50_000)
})
