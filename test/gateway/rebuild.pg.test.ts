/** Queries through a switch: gateways of the older and of the newer folder, on the real engine, while changes are applied. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startGateway } from '../../src/gateway/main.ts'
import { registerViews } from '../../src/ingest/generations.ts'
import { rollback } from '../../src/ingest/rebuild/states.ts'
import { tidy } from '../../src/ingest/rebuild/switch.ts'
import type { Model } from '../../src/model/model.ts'
import { readConfig } from '../../src/platform/config.ts'
import { serve } from '../../src/platform/http.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { until } from '../kafka/client.ts'
import { loadModel } from '../law/model.ts'
import { openBuilder } from '../law/rebuilding.ts'
import { customer, openStage, order, SHOP, type Stage } from '../law/stage.ts'

const older = SHOP.replace('orders: Int! @count(of: "orders")', 'orders: Int! @count(of: "orders") @filter')
const newer = older.replace('spent: Long! @sum(of: "orders.total")', 'most: Int @max(of: "orders.total") @order')
const closing: (() => Promise<unknown>)[] = []
let s: Stage
let sql: Sql
beforeEach(async () => {
  s = await openStage(older, { live: true })
  sql = s.database.sql
  for (const topic of ['customers', 'orders', 'lines'])
    await sql`
      insert into forebay.positions (topic, partition, next_offset, frontier, observed_at, observed_end)
      values (${topic}, 0, 0, clock_timestamp() + interval '1 hour', clock_timestamp() + interval '1 hour', 0)`
  await s.apply(0, customer('c', 1), order('o', 'c', 1, 7))
  await s.drain()
  await sql`update forebay.positions set frontier = clock_timestamp() + interval '1 hour' where topic = 'log'`
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
  await s.close()
})

const openGateway = async (model: Model) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'forebay-rebuild-'))
  const pool = connect(s.database.url, { max: 3, name: 'gateway test' })
  const gateway = await startGateway({
    config: { ...readConfig({ FOREBAY_SECRET: 's'.repeat(32) }), databaseUrl: s.database.url, dataDir },
    model,
    sql: pool,
    authenticate: async () => ({ subject: 'reader', roles: ['READER'], scopes: [], claims: { tenant: 'acme' } }),
  })
  const server = await serve({ port: 0, routes: gateway.routes })
  closing.push(async () => {
    await server.close()
    await gateway.stop()
    await pool.end({ timeout: 1 })
    await rm(dataDir, { recursive: true, force: true })
  })
  const ask = async (fields: string, root = 'customerOrders(id: "c")') => {
    const response = await fetch(`http://127.0.0.1:${server.port}/graphql`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ query: `{ ${root} { ${fields} } }` }),
    })
    // biome-ignore lint/suspicious/noExplicitAny: an answer's shape is the test's own knowledge
    return { status: response.status, body: (await response.json()) as any }
  }
  return { gateway, ask }
}
type Asking = Awaited<ReturnType<typeof openGateway>>
const rebuilding = async ({ ask }: Asking, fields: string): Promise<boolean> =>
  (await ask(fields)).body.errors?.[0]?.extensions.code === 'VIEW_REBUILDING'

/** One question after the other until it is ended: what was answered with anything but a row of known freshness. */
const hammer = ({ ask }: Asking, fields: string) => {
  const wrong: unknown[] = []
  let [over, asked] = [false, 0]
  const asking = (async () => {
    while (!over) {
      const { body } = await ask(fields)
      asked += 1
      const { state } = body.extensions?.freshness?.views.CustomerOrders ?? {}
      if (body.errors || !body.data.customerOrders || !['FRESH', 'LAGGING'].includes(state)) wrong.push(body)
    }
  })()
  const end = async (): Promise<readonly unknown[]> => {
    over = true
    await asking
    return wrong
  }
  closing.push(end)
  return { asked: () => asked, end }
}

/** Changes are applied and worked until it is ended; answers with how many orders there are then. */
const trade = () => {
  const { maintainer } = s.maintainer()
  let over = false
  const trading = (async () => {
    let orders = 1
    for (; !over; orders++) {
      await s.apply(0, order(`o${orders}`, 'c', orders + 10, orders))
      while ((await maintainer.round()).entries > 0);
      await sleep(10)
    }
    while ((await maintainer.round()).entries > 0);
    return orders
  })()
  const end = (): Promise<number> => {
    over = true
    return trading
  }
  closing.push(end)
  return { end }
}

test('law 9 no question fails through a build, a switch and the way back, from the older folder or the newer', async () => {
  const model = await loadModel(newer)
  const [old, fresh] = [await openGateway(s.model), await openGateway(model)]
  await s.release()
  const trading = trade()

  expect((await fresh.ask('orders name')).body.data.customerOrders).toMatchObject({ name: 'Ann' })
  const early = await fresh.ask('orders most')
  expect(early.status).toBe(503)
  expect(early.body.errors).toMatchObject([
    {
      message:
        "CustomerOrders.most can't be read yet. What serves is another definition; no build of this one is under way.",
      extensions: { code: 'VIEW_REBUILDING', rebuild: { progress: null, secondsLeft: null } },
    },
  ])
  expect((await fresh.gateway.ready()).ready).toBe(true)

  await registerViews(sql, model)
  await until(
    async () => (await fresh.ask('most')).body.errors[0].extensions.rebuild.progress === 0,
    'the gateway knows of the build',
  )
  const [before, after] = [hammer(old, 'orders spent'), hammer(fresh, 'orders name ids')]
  const builder = await openBuilder(s.database.url, s.model)
  closing.push(() => builder.close())
  await until(async () => !(await rebuilding(fresh, 'most')), 'the new definition serves')
  const whole = hammer(fresh, 'orders most')
  const seen = whole.asked()
  await until(async () => whole.asked() > seen + 20, 'it was asked for')
  expect(await whole.end()).toEqual([])
  const ordered = await fresh.ask('nodes { most }', 'customerOrderses(orderBy: [{ most: DESC }])')
  expect(ordered.body.errors).toBeUndefined()

  await rollback(sql, 'CustomerOrders')
  await until(async () => rebuilding(fresh, 'most'), 'the newer folder follows the way back')
  await rollback(sql, 'CustomerOrders')
  await until(async () => !(await rebuilding(fresh, 'most')), 'and forth')
  expect(await before.end()).toEqual([])
  expect(await after.end()).toEqual([])
  expect(Math.min(before.asked(), after.asked())).toBeGreaterThan(20)
  const orders = await trading.end()
  expect((await fresh.ask('orders most')).body.data.customerOrders).toEqual({ orders, most: Math.max(7, orders - 1) })
  expect((await old.ask('orders')).body.data.customerOrders).toEqual({ orders })
})

test('what is searched by has to be there by index: a filter that only the newer folder has waits for its build', async () => {
  const searchable = await loadModel(
    newer.replace('name: String!\n  orders: Int!', 'name: String! @filter\n  orders: Int!'),
  )
  const { ask } = await openGateway(searchable)
  const { body } = await ask('nodes { name }', 'customerOrderses(where: { name: { eq: "Ann" } })')
  expect(body.errors).toMatchObject([{ extensions: { code: 'VIEW_REBUILDING' } }])
  expect(body.errors[0].message).toContain("CustomerOrders.name can't be searched by yet")
  const known = await ask('nodes { name }', 'customerOrderses(where: { orders: { eq: 1 } })')
  expect(known.body.data.customerOrderses.nodes).toEqual([{ name: 'Ann' }])
})

test('C8 each gateway acknowledges a switch, and one whose folder is no longer kept is not ready and says why', async () => {
  const old = await openGateway(s.model)
  await s.release()
  const trading = trade()
  await registerViews(sql, await loadModel(newer))
  const builder = await openBuilder(s.database.url, s.model)
  closing.push(() => builder.close())
  const serves = async () => (await sql`select from forebay.generations where state = 'STANDBY'`).length === 1
  await until(serves, 'the newer definition serves')
  expect((await old.ask('spent')).body.errors).toBeUndefined()
  await until(async () => {
    const [row] = await sql`select catalog = (select version from forebay.catalog) as same from forebay.gateways`
    return row!.same
  }, 'the gateway has acknowledged the switch')
  expect(await tidy(sql, 0)).toHaveLength(1)
  await until(async () => !(await old.gateway.ready()).ready, 'the older folder is not kept any more')
  expect((await old.gateway.ready()).reason).toBe(
    "CustomerOrders: another definition has taken the place of this folder's, which is not kept any more; start with the folder that ingest has",
  )
  expect((await old.ask('orders')).body.errors).toBeUndefined()
  expect(await rebuilding(old, 'spent')).toBe(true)
  await trading.end()
})
