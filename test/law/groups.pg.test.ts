/**
 * The rules of maintenance where totals of groups are concerned. Each schedule plays on a small wrong variant first and is seen to fail
 * there; then on the engine, with two maintainers of which each owns half of the shards.
 */
import { afterEach, describe, expect, test } from 'vitest'
import type { Change } from '../../src/ingest/change.ts'
import { currentSlot } from '../../src/ingest/dirty-log.ts'
import { openNaive } from './naive.ts'
import { brake, change, customer, holdBrake, line, openStage, order, SHOP, type Stage, untilBlocked } from './stage.ts'
import { ownedId, settle, startWorkers } from './workers.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})
const naive = async (ddl: string) => {
  const opened = await openNaive(ddl)
  closing.push(opened.close)
  return opened
}
const stage = async (text = `${SHOP}${LINES}`): Promise<Stage> => {
  const opened = await openStage(text)
  closing.push(opened.close)
  await opened.apply(99, brake('a', 1))
  await opened.drain()
  await opened.release()
  return opened
}
/** How many orders the customer of the line's order has: a line joins that group without being counted in it. */
const LINES = `
type LineSiblings @view(of: "Line") @allow(roles: [READER]) {
  id: ID!
  siblings: Int! @count(of: "order.customer.orders")
}`

describe('C1 a group’s readers are found after what moved it has committed', () => {
  test('found in the same transaction, one that joins the group meanwhile keeps the old total', async () => {
    const { sql, begin } = await naive(`
      create table sums (g text primary key, n int);
      create table root (id text primary key, g text);
      create table dirty (id text);
      create table view (id text primary key, n int);
      insert into sums values ('x', 1), ('y', 0);
      insert into root values ('r', 'y')`)
    const maintain = async () => {
      await sql`with taken as (delete from dirty returning id)
        insert into view select r.id, s.n from root r join sums s using (g) where r.id in (select id from taken)
        on conflict (id) do update set n = excluded.n`
    }
    const adds = await begin()
    await adds`update sums set n = n + 1 where g = 'x'`
    await adds`insert into dirty select id from root where g = 'x'`
    await sql`update root set g = 'x' where id = 'r'`
    await sql`insert into dirty values ('r')`
    await maintain()
    await adds.commit()
    await maintain()
    expect(await sql`select n from view`).toEqual([{ n: 1 }])
  })

  test('the engine’s second owner tells the new reader what the first one added', async () => {
    const s = await stage()
    const [first, second] = await startWorkers(s, closing)
    const [added, moved] = [await ownedId(first, 'o'), await ownedId(second, 'l')]
    await s.apply(0, customer('x', 1), customer('y', 1), order('ox', 'x', 1), order('oy', 'y', 1), line(moved, 'oy', 1))
    await settle(s, [first, second])
    const commit = first.gate.shut()
    await s.apply(0, order(added, 'x', 1))
    const adding = first.maintainer.round()
    await commit.reached
    await s.apply(0, line(moved, 'ox', 2))
    await second.maintainer.round()
    expect(await s.read('LineSiblings', moved)).toMatchObject({ siblings: 1 })
    commit.open()
    await adding
    await settle(s, [first, second])
    expect(await s.read('LineSiblings', moved)).toMatchObject({ siblings: 2 })
  })
})

describe('C2 what lies across another join goes through a contribution of its own', () => {
  test('a line’s difference that is added where its order was seen to be stays there when the order moves', async () => {
    const { sql, begin } = await naive(`
      create table orders (id text primary key, customer text);
      create table line (id text primary key, "order" text, units int);
      create table sums (customer text primary key, units int);
      insert into orders values ('5', '1');
      insert into line values ('l1', '5', 3);
      insert into sums values ('1', 3), ('2', 0)`)
    const addsLine = await begin()
    await addsLine`insert into line values ('l2', '5', 4)`
    await addsLine`update sums set units = units + 4 where customer = (select customer from orders where id = '5')`
    const movesOrder = await begin()
    await movesOrder`update orders set customer = '2' where id = '5'`
    const [seen] = await movesOrder`select sum(units)::int as units from line where "order" = '5'`
    await addsLine.commit()
    await movesOrder`update sums set units = units + ${seen!.units} * case customer when '2' then 1 else -1 end`
    await movesOrder.commit()
    expect(await sql`select customer, units from sums order by 1`).toEqual([
      { customer: '1', units: 4 },
      { customer: '2', units: 3 },
    ])
  })

  test('the engine takes the line along, whether it is written or counted while its order moves', async () => {
    const s = await stage()
    const [first, second] = await startWorkers(s, closing)
    const [counted, moved] = [await ownedId(first, 'l'), await ownedId(second, 'o')]
    await s.apply(0, customer('1', 1), customer('2', 1), order(moved, '1', 1), line('l', moved, 1, 3))
    await settle(s, [first, second])
    // Written by one applier while another moves the order.
    const held = await holdBrake(s, 'a')
    const writing = s.apply(1, line('late', moved, 1, 10), brake('a', 2))
    await untilBlocked(s.database.sql, 1)
    await s.apply(0, order(moved, '2', 2))
    await settle(s, [first, second])
    expect(await s.read('CustomerOrders', '2')).toMatchObject({ units: '3' })
    await held.release()
    await writing
    await settle(s, [first, second])
    expect(await s.read('CustomerOrders', '2')).toMatchObject({ units: '13' })
    // Counted by one maintainer while another moves the order back.
    const commit = first.gate.shut()
    await s.apply(0, line(counted, moved, 1, 100))
    const adding = first.maintainer.round()
    await commit.reached
    await s.apply(0, order(moved, '1', 3))
    await second.maintainer.round()
    commit.open()
    await adding
    await settle(s, [first, second])
    expect(await s.read('CustomerOrders', '1')).toMatchObject({ units: '113', orders: 1 })
    expect(await s.read('CustomerOrders', '2')).toMatchObject({ units: '0', orders: 0 })
  })
})

/** As a repair and a filling do. */
const markEverything = async (s: Stage): Promise<void> => {
  for (const { generation, fill } of s.catalog.generations)
    for (const { first } of fill) await s.database.sql.unsafe(first, [currentSlot(), generation, 1000])
}

describe('C3 a total that is worked out anew neither loses nor doubles what is added meanwhile', () => {
  test('set to what is counted, with a difference still under way, it has that row twice', async () => {
    const { sql, begin } = await naive(`
      create table child (id text primary key, g text);
      create table delta (g text, n int);
      create table sums (g text primary key, n int);
      insert into sums values ('x', 0)`)
    const writes = await begin()
    await writes`insert into child values ('c', 'x')`
    await writes`insert into delta values ('x', 1)`
    await writes.commit()
    await sql`update sums s set n = (select count(*) from child c where c.g = s.g)`
    await sql`with taken as (delete from delta returning g, n)
      update sums s set n = s.n + t.n from taken t where t.g = s.g`
    expect(await sql`select n from sums`).toEqual([{ n: 2 }])
  })

  test('the engine’s totals stay, however often every key is worked again', async () => {
    const s = await stage()
    const [first, second] = await startWorkers(s, closing)
    const added = await ownedId(first, 'o')
    await s.apply(0, customer('x', 1), order('o', 'x', 1, 5), line('l', 'o', 1, 2))
    await settle(s, [first, second])
    await s.apply(0, order(added, 'x', 1, 7), line('m', added, 1, 3))
    await markEverything(s)
    const commit = first.gate.shut()
    const adding = first.maintainer.round()
    await commit.reached
    await markEverything(s)
    await second.maintainer.round()
    commit.open()
    await adding
    await settle(s, [first, second])
    const whole = { orders: 2, spent: '12', units: '5' }
    expect(await s.read('CustomerOrders', 'x')).toMatchObject(whole)
    await markEverything(s)
    await settle(s, [first, second])
    expect(await s.read('CustomerOrders', 'x')).toMatchObject(whole)
  })
})

describe('C6 groups have no owner: additions meet under the row’s lock', () => {
  test('read first and written afterwards, one of two additions is lost', async () => {
    const { sql, begin } = await naive(
      `create table sums (g text primary key, n int); insert into sums values ('x', 0)`,
    )
    const [one, two] = [await begin(), await begin()]
    const [seenByOne] = await one`select n from sums where g = 'x'`
    const [seenByTwo] = await two`select n from sums where g = 'x'`
    await one`update sums set n = ${seenByOne!.n} + 1 where g = 'x'`
    await one.commit()
    await two`update sums set n = ${seenByTwo!.n} + 1 where g = 'x'`
    await two.commit()
    expect(await sql`select n from sums`).toEqual([{ n: 1 }])
  })

  test('the engine keeps what both owners add, to a group that is new and to one that is there', async () => {
    const s = await stage()
    const [first, second] = await startWorkers(s, closing)
    await s.apply(0, customer('x', 1))
    await settle(s, [first, second])
    for (const turn of [1, 2]) {
      const [mine, theirs] = [await ownedId(first, `a${turn}`), await ownedId(second, `b${turn}`)]
      await s.apply(0, order(mine, 'x', 1), order(theirs, 'x', 1))
      const commit = first.gate.shut()
      const one = first.maintainer.round()
      await commit.reached
      const two = second.maintainer.round()
      await untilBlocked(s.database.sql, 1)
      commit.open()
      await Promise.all([one, two])
      await settle(s, [first, second])
      expect(await s.read('CustomerOrders', 'x')).toMatchObject({ orders: 2 * turn })
    }
  })
})

describe('C9 a group is of one tenant', () => {
  const AREAS = `
    extend enum Role { READER }
    extend schema @domain(name: "shop", owner: "law")
    type Shop @entity(domain: "shop", key: "id", source: { topic: "shops" }) {
      id: ID! tenantId: ID! @tenant area: String!
      nearby: [Stall!]! @join(from: ["area"], to: ["area"])
      stalls: [Stall!]! @join(to: "shopId")
    }
    type Stall @entity(domain: "shop", key: "id", source: { topic: "stalls" }) {
      id: ID! shopId: ID! area: String! shop: Shop @join(from: "shopId") @tenant
    }
    type Stopper @entity(domain: "shop", key: "id", shared: true, source: { topic: "brakes" }) { id: ID! }
    type Near @view(of: "Shop") @allow(roles: [READER]) { id: ID! nearby: Int! @count(of: "nearby") }
    type ByArea @view(of: "Stall", groupBy: ["area"]) @allow(roles: [READER]) { area: String! stalls: Int! @count }`
  const shop = (id: string, tenantId: string, version: number): Change =>
    change('Shop', { id, tenantId, area: 'north' }, version)
  const stall = (id: string, shopId: string, version: number, area = 'north'): Change =>
    change('Stall', { id, shopId, area }, version)
  const byArea = async (s: Stage) => {
    const { table } = s.catalog.generations.find(({ table }) => table.view === 'ByArea')!.table
    return s.database.sql.unsafe(`select _tenant, area, stalls from ${table} order by 1, 2`)
  }

  test('by its join values alone it adds up what other tenants have', async () => {
    const { sql } = await naive(`
      create table stall (tenant text, area text);
      insert into stall values ('acme', 'north'), ('globex', 'north')`)
    expect(await sql`select area, count(*)::int as n from stall group by area`).toEqual([{ area: 'north', n: 2 }])
  })

  test('the engine counts each tenant’s own, those whose tenant comes late once it has come', async () => {
    const s = await stage(AREAS)
    const both = await startWorkers(s, closing)
    await s.apply(0, shop('a', 'acme', 1), stall('a1', 'a', 1), stall('g1', 'g', 1), stall('g2', 'g', 1, 'south'))
    await settle(s, both)
    expect(await s.read('Near', 'a')).toMatchObject({ nearby: 1 })
    expect(await byArea(s)).toEqual([{ _tenant: 'acme', area: 'north', stalls: 1 }])
    await s.apply(0, shop('g', 'globex', 1), stall('g3', 'g', 1))
    await settle(s, both)
    expect(await s.read('Near', 'a')).toMatchObject({ nearby: 1 })
    expect(await s.read('Near', 'g')).toMatchObject({ nearby: 2 })
    const globex = { _tenant: 'globex', area: 'north', stalls: 2 }
    expect(await byArea(s)).toEqual([
      { _tenant: 'acme', area: 'north', stalls: 1 },
      globex,
      { ...globex, area: 'south', stalls: 1 },
    ])
    await s.apply(0, change('Shop', { id: 'a' }, 2))
    await settle(s, both)
    expect(await s.read('Near', 'g')).toMatchObject({ nearby: 2 })
    expect((await byArea(s)).map((row) => row._tenant)).toEqual(['globex', 'globex'])
  })
})
