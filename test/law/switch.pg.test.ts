/** C8 and law 9, one forced schedule each: how a generation is filled, proven, switched to, returned to and given up. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Generation, openCatalog, registerViews } from '../../src/ingest/generations.ts'
import { fillStep } from '../../src/ingest/rebuild/fill.ts'
import { proveWhole } from '../../src/ingest/rebuild/prove.ts'
import { requestBuild, rollback } from '../../src/ingest/rebuild/states.ts'
import { tidy } from '../../src/ingest/rebuild/switch.ts'
import type { RebuildOptions } from '../../src/ingest/rebuild/worker.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { codeOf, connect, type Sql } from '../../src/platform/postgres.ts'
import { fillAll } from './fill.ts'
import { loadModel } from './model.ts'
import { generationsOf, openBuilder, unequal } from './rebuilding.ts'
import { customer, hold, openStage, order, SHOP, type Stage, untilBlocked } from './stage.ts'

const changed = SHOP.replace('spent: Long! @sum(of: "orders.total")', 'most: Int @max(of: "orders.total")')
const closing: (() => Promise<unknown>)[] = []
let s: Stage
let sql: Sql
beforeEach(async () => {
  s = await openStage(SHOP, { live: true })
  sql = s.database.sql
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
  await s.close()
})

/** Rounds as fast as they go, beside what the test does. */
const maintain = async (): Promise<void> => {
  await s.release()
  const { maintainer } = s.maintainer()
  let over = false
  const running = (async () => {
    while (!over) if ((await maintainer.round()).entries === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  })()
  closing.push(() => {
    over = true
    return running
  })
}
const build = async (options: Partial<RebuildOptions> = {}): Promise<void> => {
  const builder = await openBuilder(s.database.url, s.model, { ...options, auto: false })
  try {
    await builder.work()
  } finally {
    await builder.close()
  }
}
const states = async () => (await generationsOf(sql)).map(({ state, pointed }) => (pointed ? `${state} serves` : state))
const rowOf = async ({ table }: Generation, id: string) =>
  (await sql.unsafe(`select * from ${table.table} where id = $1`, [id]))[0]
const newest = async (): Promise<Generation> =>
  (await openCatalog(sql, s.model)).generations.toSorted((a, b) => b.generation - a.generation)[0]!

describe('who doesn’t have the folder that a generation came from', () => {
  test('C8 an applier that meets a generation it doesn’t know keeps it up by its stored definition', async () => {
    await s.apply(0, customer('c', 1), order('o', 'c', 1, 7))
    await registerViews(sql, await loadModel(changed))
    expect(await s.apply(0, order('p', 'c', 2, 9))).toMatchObject({ kind: 'applied' })
    const { maintainer } = s.maintainer()
    await fillAll(sql, s.catalog, maintainer)
    await s.apply(0, order('q', 'c', 3, 11))
    while ((await maintainer.round()).entries > 0);
    expect(await s.read('CustomerOrders', 'c')).toMatchObject({ orders: 3, spent: '27' })
    expect(await rowOf(await newest(), 'c')).toMatchObject({ orders: 3, most: 11 })
  })

  test('C8 one whose folder lacks what it reads stops, and what it was given is not applied', async () => {
    const wider = SHOP.replace('  total: Int!\n', '  total: Int!\n  note: String\n').replace(
      'orders: Int! @count(of: "orders")',
      'orders: Int! @count(of: "orders")\n  notes: Int! @count(of: "orders.note")',
    )
    const model = await loadModel(wider)
    await installModel(sql, model)
    await registerViews(sql, model)
    expect(await s.apply(0, customer('c', 1))).toMatchObject({ kind: 'unknown-generation' })
    expect(await sql`select from shop.customer`).toEqual([])
  })
})

describe('filling', () => {
  const seed = async (n: number) => {
    await s.apply(0, ...Array.from({ length: n }, (_, i) => customer(`c${i}`, i + 1)))
    await s.drain()
    await registerViews(sql, await loadModel(changed))
    return newest()
  }
  const logged = async ({ generation }: Generation) =>
    (
      await sql<{ k: string; n: number }[]>`
        select k::text as k, count(*)::int as n from forebay.dirty, jsonb_array_elements(keys) k
        where generation = ${generation} and path = 0 group by 1`
    ).map(({ n }) => n)

  test('C8 registering writes nothing into the log: a change waits for the catalog alone', async () => {
    const building = await seed(300)
    expect(await logged(building)).toEqual([])
    expect(await states()).toEqual(['ACTIVE serves', 'BUILDING'])
  })

  test('killed in the middle of a chunk, it goes on at its cursor and logs each key once', async () => {
    const building = await seed(300)
    const only = { ...building, fill: building.fill.filter(({ node }) => node === 0) }
    await fillStep(sql, only, 100)
    const holder = await hold(
      s.database.url,
      `select * from forebay.fills where generation = ${building.generation} for update`,
    )
    const victim = connect(s.database.url, { max: 1, name: 'victim' })
    const step = fillStep(victim, only, 100).then(() => 'logged', codeOf)
    await untilBlocked(sql, 1)
    await sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'forebay victim'`
    expect(await step).not.toBe('logged')
    await holder.release()
    await victim.end({ timeout: 0 })
    while ((await fillStep(sql, only, 100)).kind === 'logged');
    expect(await logged(building)).toEqual(Array.from({ length: 300 }, () => 1))
    const fills =
      await sql`select done, finished_at is not null as finished from forebay.fills where generation = ${building.generation}`
    expect(fills).toEqual([{ done: '300', finished: true }])
  })
})

describe('switching', () => {
  beforeEach(async () => {
    await s.apply(0, customer('c', 1), customer('d', 2), order('o', 'c', 1, 7))
    await s.drain()
  })

  test('law 9 what differs is not switched to: its keys are counted, and the old one goes on', async () => {
    await registerViews(sql, await loadModel(changed))
    await maintain()
    await build({
      prove: async (one, generation, options) => {
        await sql.unsafe(`update ${generation.table.table} set most = 8 where id = 'c'`)
        return proveWhole(one, generation, options)
      },
    })
    expect(await states()).toEqual(['ACTIVE serves', 'BUILDING'])
    const [row] = await sql`select reason from forebay.generations where state = 'BUILDING'`
    expect(row!.reason).toBe('1 of 2 keys are not what the definition gives: the view goes on as it was')
    await build()
    expect(await states(), 'it isn’t tried again by itself').toEqual(['ACTIVE serves', 'BUILDING'])
    await requestBuild(sql, 'CustomerOrders')
    expect(await states(), 'another build takes its place').toEqual(['ACTIVE serves', 'BUILDING'])
  })

  test('law 9 going back is at once, to what was kept up meanwhile; the next start doesn’t undo it, and the same command returns', async () => {
    const model = await loadModel(changed)
    await registerViews(sql, model)
    await maintain()
    await build()
    expect(await states()).toEqual(['STANDBY', 'ACTIVE serves'])
    await s.apply(0, order('p', 'd', 5, 3), order('o', 'd', 6, 9))
    const { from, to } = await rollback(sql, 'CustomerOrders')
    expect(await states()).toEqual(['ACTIVE serves', 'STANDBY'])
    await registerViews(sql, model)
    expect(await states()).toEqual(['ACTIVE serves', 'STANDBY'])
    expect(await unequal(sql, s.model)).toEqual([])
    expect(await s.read('CustomerOrders', 'd')).toMatchObject({ orders: 2, spent: '12' })
    expect(await rollback(sql, 'CustomerOrders')).toEqual({ from: to, to: from })
    expect(await states()).toEqual(['STANDBY', 'ACTIVE serves'])
  })

  test('C8 a folder that is deployed again while its definition stands by serves it at once', async () => {
    await registerViews(sql, await loadModel(changed))
    await maintain()
    await build()
    await registerViews(sql, s.model)
    expect(await states()).toEqual(['ACTIVE serves', 'STANDBY'])
  })

  test('C8 what stands by goes once its window has passed and every living gateway has acknowledged the switch', async () => {
    await registerViews(sql, await loadModel(changed))
    const old = s.catalog.generations[0]!
    await maintain()
    await build()
    const [catalog] = await sql<{ version: number }[]>`select version from forebay.catalog`
    await sql`insert into forebay.gateways values ('late', clock_timestamp(), 1), ('gone', now() - interval '20 s', 1)`
    expect(await tidy(sql, 3_600_000)).toEqual([])
    expect(await tidy(sql, 0)).toEqual([])
    await sql`update forebay.gateways set catalog = ${catalog!.version} where id = 'late'`
    expect(await tidy(sql, 3_600_000)).toEqual([])
    expect(await tidy(sql, 0)).toEqual([old.generation])
    expect(await rowOf(old, 'c'), 'maintainers may not know yet').toBeDefined()
    await sql`update forebay.generations set retired_at = now() - interval '10 s' where generation = ${old.generation}`
    await tidy(sql, 0)
    const left = await sql`select relname from pg_class where relname like ${`%${old.table.hash}%`}`
    expect(left).toEqual([])
    await expect(rollback(sql, 'CustomerOrders')).rejects.toThrow('no earlier generation of CustomerOrders is kept')
  })

  test('a view that is new serves at once, and is said to be whole once it is filled', async () => {
    const more = `${SHOP}type OrderShare @view(of: "Order") @allow(roles: [READER]) { id: ID! total: Int! }`
    await registerViews(sql, await loadModel(more))
    const filled = () =>
      sql`select view, state, filled_at is not null as filled from forebay.generations order by generation`
    expect(await filled()).toEqual([
      { view: 'CustomerOrders', state: 'ACTIVE', filled: true },
      { view: 'OrderShare', state: 'ACTIVE', filled: false },
    ])
    await maintain()
    await build()
    expect((await filled())[1]).toEqual({ view: 'OrderShare', state: 'ACTIVE', filled: true })
    expect(await rowOf(await newest(), 'o')).toMatchObject({ total: 7 })
  })

  test('a definition is built anew beside the one that serves, in tables of its own', async () => {
    await maintain()
    await requestBuild(sql, 'CustomerOrders')
    await build()
    expect(await states()).toEqual(['STANDBY', 'ACTIVE serves'])
    const made = await newest()
    expect(made.declared).toBe(s.catalog.generations[0]!.declared)
    expect(made.table.hash).not.toBe(made.declared)
    expect(await rowOf(made, 'c')).toMatchObject({ orders: 1, spent: '7' })
    await registerViews(sql, s.model)
    expect(await states(), 'the next start finds it').toEqual(['STANDBY', 'ACTIVE serves'])
  })
})
