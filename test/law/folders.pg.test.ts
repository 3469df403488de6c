/** C8: processes of different folders. Of the definitions that running processes declare, the one that was registered last serves. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { declaredBy, registerViews } from '../../src/ingest/generations.ts'
import { declareRunning } from '../../src/ingest/rebuild/running.ts'
import { rollback } from '../../src/ingest/rebuild/states.ts'
import type { Model } from '../../src/model/model.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { loadModel } from './model.ts'
import { generationsOf, openBuilder } from './rebuilding.ts'
import { customer, openStage, order, SHOP, type Stage } from './stage.ts'

const changed = SHOP.replace('spent: Long! @sum(of: "orders.total")', 'most: Int @max(of: "orders.total")')
const closing: (() => Promise<unknown>)[] = []
let s: Stage
let sql: Sql
let newer: Model
beforeEach(async () => {
  s = await openStage(SHOP, { live: true })
  sql = s.database.sql
  newer = await loadModel(changed)
  await s.apply(0, customer('c', 1), order('o', 'c', 2, 7))
  await s.drain()
  await s.release()
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
  await s.close()
})

/** A process that runs, as far as others can see: what it declares, then what it registers. It ends as one that is killed. */
const start = async (model: Model) => {
  const own = connect(s.database.url, { max: 1, name: 'process' })
  const end = () => own.end({ timeout: 0 })
  closing.push(end)
  await declareRunning(own, declaredBy(model).keys())
  await registerViews(sql, model)
  return { end }
}
/** Builds with this folder until it says so. `looks`: as a process that runs looks, again and again. */
const builder = async (model: Model, abandonedMs: number) => {
  const declared = new Map([...declaredBy(model)].map(([hash, { table }]) => [hash, table.view]))
  const register = async () => void (await registerViews(sql, model))
  const own = await openBuilder(s.database.url, model, { auto: false, folder: { declared, register }, abandonedMs })
  closing.push(own.close)
  return own
}
const buildAll = async (): Promise<void> => {
  const { maintainer } = s.maintainer()
  const own = await openBuilder(s.database.url, s.model, { auto: false })
  let over = false
  const working = (async () => {
    while (!over) {
      await maintainer.round()
      await sleep(5)
    }
  })()
  await own.work()
  over = true
  await working
  await own.close()
}
const states = async () =>
  (await generationsOf(sql)).map(({ view, state, pointed }) => `${view} ${state}${pointed ? ' serves' : ''}`)
const reasons = async () => (await sql`select reason from forebay.generations order by generation`).map((r) => r.reason)

test('C8 a process of an older folder that starts again takes nothing back, and says why', async () => {
  await start(s.model)
  await start(newer)
  await buildAll()
  const switched = ['CustomerOrders STANDBY', 'CustomerOrders ACTIVE serves']
  expect(await states()).toEqual(switched)
  await start(s.model)
  expect(await states()).toEqual(switched)
  expect(await reasons()).toEqual([expect.stringContaining('a running process declares a newer definition'), null])
  // The newer one, started again, finds what it left.
  await start(newer)
  expect(await states()).toEqual(switched)
})

test('C8 nor does it give up the build of a newer folder whose process runs; it does where none runs', async () => {
  await start(s.model)
  const { end } = await start(newer)
  const building = ['CustomerOrders ACTIVE serves', 'CustomerOrders BUILDING']
  expect(await states()).toEqual(building)
  await start(s.model)
  expect(await states()).toEqual(building)
  await end()
  await expect.poll(() => registerViews(sql, s.model).then(states)).toEqual(['CustomerOrders ACTIVE serves'])
})

test('C8 a newer folder that starts again while an older one runs and serves, serves', async () => {
  const { end } = await start(newer)
  await buildAll()
  await end()
  await expect.poll(() => registerViews(sql, s.model).then(states)).toContain('CustomerOrders ACTIVE serves')
  await start(s.model)
  expect(await states()).toEqual(['CustomerOrders ACTIVE serves', 'CustomerOrders STANDBY'])
  await start(newer)
  expect(await states()).toEqual(['CustomerOrders STANDBY', 'CustomerOrders ACTIVE serves'])
})

test('C8 once no process declares the newer one any more, the older folder takes over, and not at a mere restart', async () => {
  const first = await start(newer)
  await buildAll()
  const older = await builder(s.model, 400)
  await older.work()
  await first.end()
  await older.work()
  const again = await start(newer)
  await sleep(500)
  await older.work()
  expect(await states()).toEqual(['CustomerOrders STANDBY', 'CustomerOrders ACTIVE serves'])
  await again.end()
  const look = async () => {
    await older.work()
    return states()
  }
  await expect.poll(look, { timeout: 5_000 }).toEqual(['CustomerOrders ACTIVE serves', 'CustomerOrders STANDBY'])
  expect(await reasons()).toEqual([null, null])
})

test('C8 what an operator went back from is not taken up again', async () => {
  const running = await builder(newer, 0)
  await registerViews(sql, newer)
  await buildAll()
  await rollback(sql, 'CustomerOrders')
  for (let looks = 3; looks > 0; looks--) await running.work()
  expect(await states()).toEqual(['CustomerOrders ACTIVE serves', 'CustomerOrders STANDBY'])
})

test('C8 a view that only a newer folder has goes on while its process runs', async () => {
  const more = await loadModel(
    `${SHOP}type OrderShare @view(of: "Order") @allow(roles: [READER]) { id: ID! total: Int! }`,
  )
  const { end } = await start(more)
  await start(s.model)
  expect(await states()).toEqual(['CustomerOrders ACTIVE serves', 'OrderShare ACTIVE serves'])
  await end()
  await expect
    .poll(() => registerViews(sql, s.model).then(states))
    .toEqual(['CustomerOrders ACTIVE serves', 'OrderShare STANDBY'])
})

test('C8 a folder that lacks what a running process’s view reads, and brings nothing new, doesn’t start', async () => {
  const wider = await loadModel(
    SHOP.replace('  total: Int!\n', '  total: Int!\n  note: String\n').replace(
      'orders: Int! @count(of: "orders")',
      'orders: Int! @count(of: "orders")\n  notes: Int! @count(of: "orders.note")',
    ),
  )
  await installModel(sql, wider)
  const { end } = await start(wider)
  await expect(registerViews(sql, s.model)).rejects.toThrow(
    'a running process declares a definition of CustomerOrders that this folder can’t keep up'.replace('’', "'"),
  )
  await end()
  await expect.poll(() => registerViews(sql, s.model).then(states)).toEqual(['CustomerOrders ACTIVE serves'])
})
