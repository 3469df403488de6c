/** Views compared with their definitions: what was planted is found, named, repaired; what is on its way is never called drift. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startMaintainer } from '../../src/ingest/maintain/maintainer.ts'
import { connect } from '../../src/platform/postgres.ts'
import { openReconciling } from './reconciling.ts'
import { customer, line, openStage, order, type Stage } from './stage.ts'

let s: Stage
let r: ReturnType<typeof openReconciling>
const closing: (() => Promise<unknown>)[] = []
beforeEach(async () => {
  s = await openStage()
  r = openReconciling(s)
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
  await r.close()
  await s.close()
})

const openMaintainer = async () => {
  const opened = s.maintainer()
  await opened.maintainer.round()
  return opened
}
const view = 'CustomerOrders'
const tableOf = () => r.generation(view).table.table

test('drift of every kind is found, told apart, repaired, and compared again', async () => {
  const customers = Array.from({ length: 40 }, (_, i) => customer(String(i), 1))
  await s.apply(0, ...customers, ...customers.map((_, i) => order(`o${i}`, String(i), 1, i)))
  await s.drain()
  await s.release()
  const { sql } = s.database
  await sql.unsafe(`update ${tableOf()} set spent = spent + 1 where id = '3'`)
  await sql.unsafe(`update ${tableOf()} set name = 'Eve' where id = '4'`)
  await sql.unsafe(`update ${tableOf()} set _tenant = 'globex' where id = '5'`)
  await sql.unsafe(`update ${tableOf()} set _incomplete = true where id = '6'`)
  await sql.unsafe(`update ${tableOf()} set ids = '["o8"]' where id = '7'`)
  await sql.unsafe(`delete from ${tableOf()} where id = '8'`)
  await sql.unsafe(
    `insert into ${tableOf()} (id, name, orders, spent, units, ids, _tenant, _version, _incomplete) values ('zz', 'Nobody', 0, 0, 0, '[]', 'acme', 1, false)`,
  )
  const { maintainer } = await openMaintainer()
  const reconciler = r.reconciler(maintainer)
  const id = await r.ask(view)
  expect(await r.finish(id, [reconciler], () => maintainer.round())).toMatchObject({ drifted: 7, repaired: 7 })
  expect(await r.drift(id)).toEqual([
    ...['3', '4', '5', '6', '7'].map((key) => ({ key: `["${key}"]`, kind: 'CHANGED', repaired: true })),
    { key: '["8"]', kind: 'MISSING', repaired: true },
    { key: '["zz"]', kind: 'EXTRA', repaired: true },
  ])
  expect(await s.read(view, '3')).toMatchObject({ spent: '3' })
  expect(await s.read(view, '5')).toMatchObject({ _tenant: 'acme' })
  expect(await s.read(view, '8')).toMatchObject({ orders: 1 })
  expect(await s.read(view, 'zz')).toBeUndefined()
  const again = await r.ask(view)
  expect(await r.finish(again, [reconciler], () => maintainer.round())).toMatchObject({ drifted: 0, repaired: 0 })
})

test('what waits in the log is no drift, whoever owns it', async () => {
  await s.apply(0, customer('1', 1), customer('2', 1), order('o', '1', 1))
  await s.drain()
  await s.release()
  const [one, two] = [await openMaintainer(), await openMaintainer()]
  const rounds = async () => {
    await one.maintainer.round()
    await two.maintainer.round()
  }
  await one.sql`select pg_advisory_unlock_all()`
  const shares = async () => {
    await rounds()
    return [(await one.maintainer.owned()).length, (await two.maintainer.owned()).length]
  }
  await expect.poll(shares, { timeout: 20_000 }).toEqual([8, 8])
  await s.apply(0, order('o', '2', 2, 7), line('l', 'o', 1, 3))
  const id = await r.ask(view)
  const reconcilers = [r.reconciler(one.maintainer), r.reconciler(two.maintainer)]
  expect(await r.finish(id, reconcilers, rounds)).toMatchObject({ drifted: 0 })
  for (let left = 5; left > 0; left--) await rounds()
  expect(await s.read(view, '2')).toMatchObject({ orders: 1, units: '3' })
})

test('a pass goes on where it was left, by whoever comes next', async () => {
  await s.apply(0, ...Array.from({ length: 2_500 }, (_, i) => customer(String(i), 1)))
  await s.drain()
  await s.release()
  await s.database.sql.unsafe(`update ${tableOf()} set name = 'Eve' where id in ('0', '1500', '999')`)
  const { maintainer } = await openMaintainer()
  const id = await r.ask(view)
  const first = r.reconciler(maintainer)
  while ((await r.passOf(id)).compared < 1_000) await first.step()
  expect(await r.passOf(id)).toMatchObject({ state: 'READING', compared: 1_000 })
  await first.stop()
  const done = await r.finish(id, [r.reconciler(maintainer)], () => maintainer.round())
  expect(done).toMatchObject({ compared: 2_500, drifted: 3, repaired: 3 })
})

test('under unbroken load by two maintainers nothing is called drift, and what is planted meanwhile is put right', async () => {
  const keys = Array.from({ length: 60 }, (_, i) => String(i))
  await s.apply(0, ...keys.map((key) => customer(key, 1)))
  await s.drain()
  await s.release()
  const pools = [1, 2].map((n) => connect(s.database.url, { max: 1, name: `maintainer ${n}` }))
  closing.push(() => Promise.all(pools.map((pool) => pool.end({ timeout: 1 }))))
  const maintainers = pools.map((sql) => startMaintainer({ sql, catalog: s.catalog, published: async () => undefined }))
  const reconcilers = maintainers.map(r.reconciler)
  let over = false
  let version = 2
  const load = (async () => {
    while (!over) {
      version += 1
      const at = (n: number): string => keys[(version * 7 + n * 13) % keys.length]!
      await s.apply(
        0,
        ...[1, 2, 3].map((n) => order(`o${(version + n) % 40}`, at(n), version, version % 3)),
        ...[1, 2, 3].map((n) => line(`l${(version + n) % 50}`, `o${(version * 3 + n) % 40}`, version, version % 2)),
      )
      await sleep(5)
    }
  })()
  const pass = async (id: string) => r.finish(id, reconcilers, () => sleep(20), 1_000)
  try {
    let compared = 0
    for (let n = 0; n < 4; n++) {
      const done = await pass(await r.ask(view))
      compared += done.compared
      expect(done).toMatchObject({ drifted: 0 })
    }
    expect(compared).toBeGreaterThanOrEqual(4 * keys.length)
    // What was on its way was seen to differ, and told from drift.
    const [seen] = await s.database.sql`select last_value::int as n from forebay.drift_id_seq`
    expect(seen!.n).toBeGreaterThan(4)
    await s.database.sql.unsafe(`update ${tableOf()} set name = 'Eve' where id = '7'`)
    await pass(await r.ask(view))
    expect(await s.read(view, '7')).toMatchObject({ name: 'Ann' })
  } finally {
    over = true
    await load
    for (const maintainer of maintainers) await maintainer.stop()
  }
}, 180_000)
