/** The rules of maintenance and order that are not about interleavings: each as the schedule or the data that its alternative gets wrong. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Change } from '../../src/ingest/change.ts'
import { entityTable } from '../../src/model/names.ts'
import { brake, change, customer, line, openStage, order, type Stage } from './stage.ts'

let s: Stage
beforeEach(async () => {
  s = await openStage()
})
afterEach(() => s.close())

const overview = (id: string) => s.read('CustomerOrders', id)
const orderRow = async (id: string) => {
  const table = entityTable(s.model.entities.get('Order')!)
  const [row] = await s.database.sql.unsafe(
    `select total, customer_id, _deleted, _version, _tie from ${table} where id = $1`,
    [id],
  )
  return row
}
const nextOffset = async (partition: number): Promise<string> => {
  const [row] = await s.database.sql`select next_offset from forebay.positions where partition = ${partition}`
  return row!.next_offset
}
/** As before, but read by an initial snapshot. */
const initial = (c: Change): Change => ({
  ...c,
  live: false,
  version: c.version.kind === 'ordered' ? { ...c.version, minor: 0n } : c.version,
})
const incremental = (c: Change): Change => ({ ...c, live: false, version: { kind: 'incremental', epoch: 0 } })
const remove = (entity: string, id: string, version: number): Change => change(entity, { id }, version)

test('C2 what lies across a join moves with it: an order takes its lines along to another customer', async () => {
  await s.apply(0, customer('1', 1), customer('2', 1), order('5', '1', 1), line('l1', '5', 1, 3))
  await s.drain()
  expect(await overview('1')).toMatchObject({ units: '3' })
  await s.apply(0, order('5', '2', 2))
  await s.drain()
  await s.apply(0, line('l2', '5', 2, 4))
  await s.drain()
  expect(await overview('1')).toMatchObject({ units: '0', orders: 0 })
  expect(await overview('2')).toMatchObject({ units: '7', orders: 1 })
})

test('C3 a root that is deleted and comes back has what changed meanwhile in its aggregates', async () => {
  await s.apply(0, customer('c', 1), order('o1', 'c', 1, 10), order('o2', 'c', 1, 20))
  await s.drain()
  await s.apply(0, remove('Customer', 'c', 2))
  await s.drain()
  expect(await overview('c')).toBeUndefined()
  await s.apply(0, remove('Order', 'o1', 2), order('o2', 'c', 2, 21), order('o3', 'c', 1, 5))
  await s.drain()
  expect(await overview('c')).toBeUndefined()
  await s.apply(0, customer('c', 3))
  await s.drain()
  expect(await overview('c')).toMatchObject({ orders: 2, spent: '26', ids: ['o2', 'o3'] })
})

test('an entity that no view reads is applied like any other', async () => {
  expect(await s.apply(0, brake('a', 1))).toMatchObject({ kind: 'applied', rows: 1, logged: 0 })
})

test('a decimal key is one key, however it is written', async () => {
  const rates = await openStage(`
    extend enum Role { READER }
    extend schema @domain(name: "shop", owner: "law")
    type Rate @entity(domain: "shop", key: "id", source: { topic: "rates" }) { id: Decimal! name: String! uses: [Use!]! @join(to: "rateId") }
    type Use @entity(domain: "shop", key: "id", source: { topic: "uses" }) { id: ID! rateId: Decimal! n: Int! }
    type RateUse @view(of: "Rate") @allow(roles: [READER]) { id: Decimal! n: Long! @sum(of: "uses.n") }`)
  try {
    await rates.apply(
      0,
      change('Rate', { id: '1.50', name: 'a' }, 1),
      change('Use', { id: 'u', rateId: '1.5', n: 3 }, 1),
    )
    await rates.drain()
    expect(await rates.read('RateUse', '1.5')).toMatchObject({ n: '3' })
  } finally {
    await rates.close()
  }
})

test('C9 a row that joins across tenants is left out', async () => {
  const foreign: Change = {
    ...order('theirs', 'c', 1),
    row: { id: 'theirs', tenantId: 'globex', customerId: 'c', total: 1 },
  }
  await s.apply(0, customer('c', 1), order('mine', 'c', 1), foreign, line('l', 'theirs', 1, 9))
  await s.drain()
  expect(await overview('c')).toMatchObject({ orders: 1, units: '0', ids: ['mine'] })
})

test('C11 a root that arrives after its children is built whole', async () => {
  await s.apply(0, line('l', 'o', 1, 2))
  await s.drain()
  await s.apply(0, order('o', 'c', 1, 10))
  await s.drain()
  expect(await overview('c')).toBeUndefined()
  await s.apply(0, customer('c', 1))
  await s.drain()
  expect(await overview('c')).toMatchObject({ orders: 1, spent: '10', units: '2', ids: ['o'] })
})

describe('C12 order within a key', () => {
  test('C12 the later version wins in whatever order they come, in one batch or in several', async () => {
    await s.apply(0, order('o', null, 2, 2), order('o', null, 1, 1))
    expect(await orderRow('o')).toMatchObject({ total: 2, _version: '2' })
    await s.apply(0, order('o', null, 1, 1))
    expect(await orderRow('o')).toMatchObject({ total: 2 })
    expect(await s.apply(0, order('o', null, 2, 2))).toMatchObject({
      rows: 0,
      dropped: [{ entity: 'Order', reason: 'duplicate', count: 1 }],
    })
  })

  test('C12 an initial snapshot’s read loses against the stream at the same position', async () => {
    await s.apply(0, initial(order('o', null, 5, 1)))
    await s.apply(0, order('o', null, 5, 2))
    await s.apply(0, initial(order('o', null, 5, 1)))
    expect(await orderRow('o')).toMatchObject({ total: 2, _tie: '1' })
  })

  test('C12 a deleted row’s tombstone keeps its version, so an older change does not bring it back', async () => {
    await s.apply(0, order('o', 'c', 1), remove('Order', 'o', 3))
    await s.apply(0, order('o', 'c', 2))
    expect(await orderRow('o')).toMatchObject({ _deleted: true, _version: '3' })
    await s.apply(0, order('o', 'c', 4, 4))
    expect(await orderRow('o')).toMatchObject({ _deleted: false, total: 4 })
  })

  test('C12 an incremental read wins by offset over what came before it, and the row keeps its version', async () => {
    await s.apply(0, order('o', null, 5, 5), incremental(order('o', null, 6, 6)))
    expect(await orderRow('o')).toMatchObject({ total: 6, _version: '5' })
    await s.apply(0, order('o', null, 4, 4))
    expect(await orderRow('o')).toMatchObject({ total: 6, _version: '5' })
    await s.apply(0, order('o', null, 7, 7))
    expect(await orderRow('o')).toMatchObject({ total: 7, _version: '7' })
  })

  test('C12 an incremental read of a row never seen gives way to any change of the stream', async () => {
    await s.apply(0, incremental(order('o', null, 6, 6)))
    expect(await orderRow('o')).toMatchObject({ total: 6, _version: '-1' })
    await s.apply(0, order('o', null, 1, 1))
    expect(await orderRow('o')).toMatchObject({ total: 1, _version: '1' })
  })
})

describe('C14 a source that went back in time', () => {
  const later = (c: Change): Change => ({ ...c, eventTime: '2030-01-01T00:00:00Z' })

  test('C14 an earlier position with a later time stops the partition, and nothing of the batch is applied', async () => {
    await s.apply(0, order('o', null, 50, 1))
    const result = await s.apply(0, order('other', null, 51), later(order('o', null, 10, 2)))
    expect(result).toMatchObject({ kind: 'stuck', partitions: [{ partition: 0 }] })
    expect(await orderRow('o')).toMatchObject({ total: 1 })
    expect(await orderRow('other')).toBeUndefined()
    expect(await nextOffset(0)).toBe('1')
  })

  test('C14 within one batch too', async () => {
    const result = await s.apply(0, order('o', null, 50, 1), later(order('o', null, 10, 2)))
    expect(result).toMatchObject({ kind: 'stuck' })
  })

  test('C14 a repeated or late change of an undisturbed source is no reason to stop', async () => {
    await s.apply(0, order('o', null, 10), order('o', null, 50, 1))
    expect(await s.apply(0, order('o', null, 10), order('o', null, 50, 1))).toMatchObject({ kind: 'applied', rows: 0 })
  })
})

describe('C22 pending work carries its origin', () => {
  const setFrontier = (partition: number, at: string) =>
    s.database.sql`update forebay.positions set frontier = ${at}::timestamptz where partition = ${partition}`
  const origins = async (): Promise<readonly (string | null)[]> => {
    const rows = await s.database.sql<{ origin: string | null }[]>`
      select distinct forebay.iso(origin) as origin from forebay.dirty order by 1`
    return rows.map(({ origin }) => origin)
  }
  const EARLY = '2026-01-01T00:00:00.25Z'
  const LATE = '2026-01-01T00:00:00.5Z'

  test('C22 an entry has the frontier before its batch; before there is one, none', async () => {
    await s.apply(0, customer('a', 1))
    expect(await origins()).toEqual([null])
    await s.drain()
    await setFrontier(0, EARLY)
    await s.apply(0, customer('b', 1))
    await setFrontier(0, LATE)
    expect(await origins()).toEqual([EARLY])
    const [entry] = await s.database.sql`select offsets from forebay.dirty limit 1`
    expect(entry!.offsets).toEqual({ log: { 0: '1' } })
  })

  test('C22 what a round leaves for the next keeps the earliest origin of what it took', async () => {
    await s.apply(0, customer('x', 1))
    await s.apply(1, customer('y', 1))
    await s.drain()
    await setFrontier(0, LATE)
    await setFrontier(1, EARLY)
    const many = (prefix: string) => Array.from({ length: 300 }, (_, i) => customer(`${prefix}${i}`, 1))
    await s.apply(0, ...many('late'))
    await s.apply(1, ...many('early'))
    await s.release()
    const { maintainer } = s.maintainer()
    for (let left = 600; left > 0; left--) {
      const { entries } = await maintainer.round(50)
      const [row] = await s.database.sql<{ early: boolean; n: number }[]>`
        select coalesce(bool_or(k->>0 like 'early%'), false) as early, count(*)::int as n from forebay.dirty, jsonb_array_elements(keys) k`
      if (row!.early) expect((await origins())[0]).toBe(EARLY)
      if (entries === 0) break
    }
    expect(await origins()).toEqual([])
  })

  test('C22 keys that are followed to another owner’s shard take the origin along', async () => {
    await s.apply(0, ...Array.from({ length: 40 }, (_, i) => customer(`c${i}`, 1)))
    await s.apply(0, ...Array.from({ length: 40 }, (_, i) => order(`o${i}`, `c${i}`, 1)))
    await s.drain()
    await s.release()
    await setFrontier(0, EARLY)
    const [first, second] = [s.maintainer(), s.maintainer()]
    for (const { maintainer } of [first, second, first, second]) await rebalanced(maintainer.round())
    await s.apply(0, ...Array.from({ length: 40 }, (_, i) => line(`l${i}`, `o${i}`, 1)))
    await setFrontier(0, LATE)
    await first.maintainer.round()
    const fed = s.catalog.generations.flatMap(({ paths }) => paths.flatMap(({ fedBy }, n) => (fedBy ? [n] : [])))
    const left = await s.database.sql`select path from forebay.dirty where path = any(${fed}::int[])`
    expect(left.length, 'groups forwarded to the second maintainer').toBeGreaterThan(0)
    expect(await origins()).toEqual([EARLY])
  })
})

/** Shards change hands at most once a second. */
const rebalanced = async (round: Promise<unknown>): Promise<void> => {
  await round
  await new Promise((resolve) => setTimeout(resolve, 1100))
}
