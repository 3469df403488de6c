/** The maintainer among others: views that fail, colleagues that come and go, a log that is cleared, views that are retired. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { truncateSpentSlot } from '../../src/ingest/dirty-log.ts'
import { registerViews } from '../../src/ingest/generations.ts'
import { type Maintainer, startMaintainer } from '../../src/ingest/maintain/maintainer.ts'
import { balanceShards, ownedShards } from '../../src/ingest/maintain/shards.ts'
import { tidy } from '../../src/ingest/rebuild/switch.ts'
import { SHARDS } from '../../src/model/sql/key.ts'
import { codeOf, connect } from '../../src/platform/postgres.ts'
import { until } from '../kafka/client.ts'
import { loadModel } from '../law/model.ts'
import { customer, openStage, order, SHOP, type Stage } from '../law/stage.ts'

const SHARES = `${SHOP}
type OrderShare @view(of: "Order") @allow(roles: [READER]) { id: ID!, total: Int!, share: Int @expr(sql: "100 / total") }
`
let stage: Stage
const closing: (() => Promise<unknown>)[] = []
beforeEach(async () => {
  stage = await openStage(SHARES)
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
  await stage.close()
})

const generationOf = (view: string): number =>
  stage.catalog.generations.find(({ table }) => table.view === view)!.generation
const pending = async (view: string): Promise<number> => {
  const [row] = await stage.database.sql<{ n: number }[]>`
    select count(*)::int as n from forebay.dirty where generation = ${generationOf(view)}`
  return row!.n
}
const spent = async (id: string): Promise<unknown> => (await stage.read('CustomerOrders', id))?.spent

describe('a view of which a key’s SQL fails', () => {
  test('parks the key that fails, and goes on with its others; it recovers when the data is mended', async () => {
    const { maintainer } = stage.maintainer()
    const parked = async () => (await stage.database.sql`select from forebay.parked_keys`).length
    await stage.apply(0, customer('c', 1), order('good', 'c', 1, 10), order('bad', 'c', 1, 0))
    await maintainer.round()
    expect(await spent('c')).toBe('10')
    expect(await pending('CustomerOrders')).toBe(0)
    expect([await pending('OrderShare'), await parked()]).toEqual([0, 1])
    expect(await stage.read('OrderShare', 'good')).toMatchObject({ share: 10 })
    expect(await stage.read('OrderShare', 'bad')).toBeUndefined()

    await stage.apply(0, order('bad', 'c', 2, 4))
    await until(async () => {
      await maintainer.round()
      return (await parked()) === 0
    }, 'the parked key is worked')
    expect(await spent('c')).toBe('14')
    expect(await stage.read('OrderShare', 'bad')).toMatchObject({ share: 25 })
  })

  test('is tried again after a rest that doubles each time it fails', async () => {
    const sql = connect(stage.database.url, { max: 1, name: 'maintainer' })
    closing.push(() => sql.end({ timeout: 1 }))
    let tried = 0
    const catalog = {
      ...stage.catalog,
      generations: stage.catalog.generations
        .filter(({ table }) => table.view === 'OrderShare')
        .map((generation) => ({
          ...generation,
          get recompute() {
            tried++
            return generation.recompute
          },
        })),
    }
    const maintainer = startMaintainer({ sql, catalog, published: async () => undefined, auto: false })
    await stage.apply(0, order('bad', 'c', 1, 0))
    const attempts: number[] = []
    const began = Date.now()
    while (Date.now() - began < 4_000) {
      const before = tried
      await maintainer.round()
      if (tried > before) attempts.push(Date.now())
      await sleep(20)
    }
    const rests = attempts.slice(1).map((at, i) => at - attempts[i]!)
    expect(rests).toHaveLength(2)
    expect(rests[0]).toBeGreaterThanOrEqual(950)
    expect(rests[0]).toBeLessThan(1_700)
    expect(rests[1]).toBeGreaterThanOrEqual(1_950)
    expect(rests[1]).toBeLessThan(2_700)
  })
})

test('C6 two maintainers share the shards evenly, and one takes over what the other loses within two seconds', async () => {
  const { database, catalog } = stage
  const start = (name: string): Maintainer => {
    const sql = connect(database.url, { max: 1, name })
    const maintainer = startMaintainer({ sql, catalog, published: async () => undefined })
    closing.push(
      () => sql.end({ timeout: 1 }),
      () => maintainer.stop(),
    )
    return maintainer
  }
  const owned = async (): Promise<Record<string, number>> => {
    const rows = await database.sql<{ name: string; n: number }[]>`
      select a.application_name as name, count(*)::int as n from pg_locks l join pg_stat_activity a using (pid)
      where l.locktype = 'advisory' and l.classid = 74002 and l.granted and a.datname = current_database() group by 1`
    return Object.fromEntries(rows.map(({ name, n }) => [name, n]))
  }
  start('one')
  await until(async () => (await owned())['forebay one'] === SHARDS, 'one owns all')
  const two = start('two')
  const even = { 'forebay one': SHARDS / 2, 'forebay two': SHARDS / 2 }
  const isEven = async () =>
    JSON.stringify(Object.entries(await owned()).sort()) === JSON.stringify(Object.entries(even))
  await until(isEven, 'shared evenly')

  // It stops first: a connection that goes inside a transaction can end this process with it (porsager/postgres#1208).
  await two.stop()
  const killed = await database.sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name = 'forebay two' and state = 'idle'`
  expect(killed).toHaveLength(1)
  await until(async () => (await owned())['forebay one'] === SHARDS, 'one owns all again', 2_500)
  await stage.apply(0, ...Array.from({ length: 50 }, (_, i) => customer(`c${i}`, 1)))
  await until(async () => (await pending('CustomerOrders')) === 0, 'all shards are worked')
})

test('C6 a maintainer whose connection was killed owns nothing until it balances again', async () => {
  const { sql } = stage.maintainer()
  expect(await balanceShards(sql)).toBe(SHARDS)
  const [me] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`
  await stage.database.sql`select pg_terminate_backend(${me!.pid}::int)`
  await sleep(100)
  expect(await sql.unsafe(ownedShards)).toHaveLength(0)
  expect(await balanceShards(sql)).toBe(SHARDS)
})

describe('C10 the spent slot of the dirty log', () => {
  /** Minute 2 writes to slot 2; the slot that was written before the last one is 0. */
  const now = 2 * 60_000 + 1
  const put = `insert into forebay.dirty (slot, generation, path, shard, keys, n) values (0, 0, 0, 0, '[]', 0)`
  const size = async (slot: number): Promise<number> => {
    const [row] = await stage.database.sql.unsafe<{ n: number }[]>(
      `select pg_relation_size('forebay.dirty_${slot}')::int as n`,
    )
    return row!.n
  }

  test('is truncated once it has been worked off, and no other slot is', async () => {
    const { sql } = stage.database
    await sql`truncate forebay.dirty`
    for (const slot of [0, 1, 2, 3]) await sql.unsafe(put.replace('(0,', `(${slot},`))
    await truncateSpentSlot(sql, now)
    expect(await size(0), 'it holds an entry').toBeGreaterThan(0)
    await sql`delete from forebay.dirty`
    await truncateSpentSlot(sql, now)
    expect(await size(0)).toBe(0)
    for (const slot of [1, 2, 3]) expect(await size(slot)).toBeGreaterThan(0)
  })

  test('is never truncated under a slow writer, whose entry nobody else sees yet', async () => {
    const { sql } = stage.database
    await sql`truncate forebay.dirty`
    await sql.unsafe(put)
    await sql`delete from forebay.dirty`
    const written = Promise.withResolvers<void>()
    const letGo = Promise.withResolvers<void>()
    const writer = sql.begin(async (tx) => {
      await tx.unsafe(put)
      written.resolve()
      await letGo.promise
    })
    await written.promise
    const outcome = await truncateSpentSlot(sql, now).then(() => 'truncated', codeOf)
    letGo.resolve()
    await writer
    expect(outcome, 'the lock is not free').toBe('55P03')
    await truncateSpentSlot(sql, now)
    expect(await sql`select from forebay.dirty where slot = 0`).toHaveLength(1)
  })
})

test('C8 a view that is gone stands by and is kept up; once it is retired its entries go, and those of others stay', async () => {
  const { sql } = stage.database
  await stage.apply(0, customer('c', 1), order('o', 'c', 1))
  await stage.drain()
  await stage.apply(0, customer('c', 2, 'Bea'), order('o', 'c', 2, 20))
  expect(await pending('OrderShare')).toBeGreaterThan(0)
  const others = await pending('CustomerOrders')
  expect(others).toBeGreaterThan(0)

  const catalog = await registerViews(sql, await loadModel(SHOP))
  expect(catalog.generations.map(({ table, state }) => [table.view, state])).toEqual([
    ['CustomerOrders', 'ACTIVE'],
    ['OrderShare', 'STANDBY'],
  ])
  expect(catalog.version).toBeGreaterThan(stage.catalog.version)
  expect(await pending('OrderShare')).toBeGreaterThan(0)
  expect(await tidy(sql, 3_600_000)).toEqual([])
  expect(await tidy(sql, 0)).toEqual([catalog.generations[1]!.generation])
  expect(await pending('OrderShare')).toBe(0)
  expect(await pending('CustomerOrders')).toBe(others)
  expect(await stage.read('OrderShare', 'o'), 'its table goes a moment later').toMatchObject({ total: 10 })
  const retired = await sql`select view from forebay.generations where retired_at is not null`
  expect(retired).toEqual([{ view: 'OrderShare' }])
})
