/** C8: what leads to a node whose filling has not begun is left out, and nothing is lost by it. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Generation, openCatalog, registerViews } from '../../src/ingest/generations.ts'
import type { Maintainer } from '../../src/ingest/maintain/maintainer.ts'
import { fillStep } from '../../src/ingest/rebuild/fill.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { fillAll } from './fill.ts'
import { loadModel } from './model.ts'
import { unequal } from './rebuilding.ts'
import { customer, hold, line, openStage, order, SHOP, type Stage, untilBlocked } from './stage.ts'

const changed = SHOP.replace('ids: [ID!]!', 'last: [ID!]!')
let s: Stage
let sql: Sql
let maintainer: Maintainer
let filler: Sql
let building: Generation
beforeEach(async () => {
  s = await openStage(SHOP, { live: true })
  sql = s.database.sql
  await s.apply(0, ...['a', 'b', 'c'].map((id, n) => customer(id, n + 1)), order('o', 'a', 5, 7), line('l', 'o', 6, 3))
  // What comes from now on has an origin, as what a filling logs has not.
  await sql`update forebay.positions set frontier = now()`
  await s.drain()
  await s.release()
  await registerViews(sql, await loadModel(changed))
  await s.catalog.reload!()
  building = s.catalog.generations.find(({ state }) => state === 'BUILDING')!
  ;({ maintainer } = s.maintainer())
  filler = connect(s.database.url, { max: 1, name: 'filler' })
})
afterEach(async () => {
  await filler.end({ timeout: 1 })
  await s.close()
})

const drain = async (): Promise<number> => {
  let keys = 0
  for (;;) {
    const round = await maintainer.round()
    if (round.entries === 0) return keys
    keys += round.keys
  }
}
const pending = async (): Promise<number> => {
  const [row] = await sql<{ n: number }[]>`
    select count(*)::int as n from forebay.dirty where generation = ${building.generation}`
  return row!.n
}
const rows = async (): Promise<number> => {
  const counts = await Promise.all(building.tables.map((table) => sql.unsafe(`select from ${table}`)))
  return counts.reduce((total, { length }) => total + length, 0)
}
const fillTo = async (node: number): Promise<void> => {
  for (const one of building.fill) {
    if (one.node === node) return
    while ((await fillStep(filler, { ...building, fill: [one, building.fill.at(-1)!] }, 1_000)).kind === 'logged') {
      const [fill] =
        await sql`select from forebay.fills where generation = ${building.generation} and node = ${one.node} and finished_at is not null`
      if (fill) break
    }
    await drain()
  }
}
const whole = async (): Promise<void> => {
  await fillAll(filler, s.catalog, maintainer)
  await drain()
  expect(await unequal(sql, s.model)).toEqual([])
}

test('C8 changes are not worked for what is to be filled anyway, and are in it once it is filled', async () => {
  const before = await s.apply(0, customer('d', 7), order('p', 'd', 8, 9), order('o', 'b', 9, 8), line('m', 'p', 10, 4))
  expect(before).toMatchObject({ kind: 'applied' })
  expect(await pending()).toBeGreaterThan(0)
  await drain()
  expect(await pending()).toBe(0)
  expect(await rows()).toBe(0)
  await whole()
  expect(await sql.unsafe(`select id, orders, spent, units from ${building.table.table} order by id`)).toEqual([
    { id: 'a', orders: 0, spent: '0', units: '0' },
    { id: 'b', orders: 1, spent: '8', units: '3' },
    { id: 'c', orders: 0, spent: '0', units: '0' },
    { id: 'd', orders: 1, spent: '9', units: '4' },
  ])
})

test('C8 deeper nodes that have begun are kept up, those above them not yet', async () => {
  await fillTo(0)
  const kept = await rows()
  expect(kept).toBeGreaterThan(0)
  await s.apply(0, line('m', 'o', 7, 4))
  await drain()
  expect(await rows()).toBe(kept + 1)
  expect(await sql.unsafe(`select from ${building.table.table}`)).toHaveLength(0)
  await whole()
})

test('C8 a row that comes while its node’s first chunk is being logged is not left out', async () => {
  await fillTo(0)
  // The filling stops once it has read its chunk, with nothing committed.
  await sql.unsafe(`
    create function stop() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(4242, 0); return new; end $$;
    create trigger stop before update on forebay.fills for each row when (new.node = 0) execute function stop()`)
  const holder = await hold(s.database.url, 'select pg_advisory_xact_lock(4242, 0)')
  const chunk = fillStep(filler, building, 1_000)
  await untilBlocked(sql, 1)
  await s.apply(0, customer('late', 20), order('q', 'late', 21, 5))
  await drain()
  await holder.release()
  expect(await chunk).toMatchObject({ kind: 'logged', keys: 3 })
  await whole()
  expect(await sql.unsafe(`select orders from ${building.table.table} where id = 'late'`)).toEqual([{ orders: 1 }])
})

test('C8 a filling doesn’t begin amid a round that leaves out what leads to it', async () => {
  await fillTo(0)
  const { table } = (await openCatalog(sql, s.model)).generations.find(({ state }) => state === 'ACTIVE')!.table
  const holder = await hold(s.database.url, `select * from ${table} where id = 'a' for update`)
  await s.apply(0, customer('a', 30, 'Zoe'), customer('late', 31))
  const round = maintainer.round()
  await untilBlocked(sql, 1)
  const chunk = fillStep(filler, building, 1_000)
  await untilBlocked(sql, 2)
  await holder.release()
  await round
  expect(await chunk).toMatchObject({ kind: 'logged', keys: 4 })
  await whole()
})
