/** Order that more than one key or partition takes part in: truncates, snapshots, changed keys, tombstones and their end. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Change, Truncate } from '../../src/ingest/change.ts'
import { startSweeper } from '../../src/ingest/sweep.ts'
import { metricsText } from '../../src/platform/metrics.ts'
import {
  brake,
  customer,
  hold,
  holdBrake,
  openStage,
  order,
  type Stage,
  untilBlocked,
  untilBlockedOrDone,
} from './stage.ts'

let s: Stage
beforeEach(async () => {
  s = await openStage()
})
afterEach(() => s.close())

const ends = new Map<number, bigint>()
const sweeper = (ttl = 'P30D') =>
  startSweeper({
    sql: s.database.sql,
    model: s.model,
    catalog: s.catalog,
    source: {
      extents: async () => [...ends].map(([partition, end]) => ({ topic: 'orders', partition, start: 0n, end })),
    },
    ttl,
    auto: false,
  })
const live = async () => {
  const rows = await s.database.sql<{ id: string }[]>`select id from shop.order where _live order by id`
  return rows.map(({ id }) => id).join(' ')
}
const truncate = (partition: number, version: number, eventTime: string | null = null) => {
  const batch = s.stretch(partition, [order('unused', null, 1)])
  const one: Truncate = {
    entity: 'Order',
    version: { kind: 'ordered', epoch: 0, major: BigInt(version), minor: 1n },
    eventTime,
    position: { topic: 'log', partition, offset: batch.from },
  }
  return s.applier.apply([{ ...batch, items: batch.items.map((item) => ({ ...item, changes: [], truncates: [one] })) }])
}
const read = (id: string, version: number, last = false): Change => ({
  ...order(id, null, version),
  live: false,
  version: { kind: 'ordered', epoch: 0, major: BigInt(version), minor: 0n },
  snapshot: last ? 'last' : 'read',
})

test('C17 a truncate takes rows below it away in its own time, and drops what lags behind it on other partitions', async () => {
  await s.apply(0, customer('c', 1), order('a', 'c', 1), order('b', 'c', 2), order('later', 'c', 20))
  await s.apply(1, brake('x', 1))
  await s.drain()
  await s.database.sql`insert into forebay.positions (topic, partition, next_offset) values ('log', 7, 0)`
  expect(await truncate(7, 10)).toMatchObject({ kind: 'applied' })
  expect(await s.apply(1, order('lagging', 'c', 5))).toMatchObject({
    rows: 0,
    dropped: [{ entity: 'Order', reason: 'truncated', count: 1 }],
  })
  expect(await s.database.sql`select from forebay.dirty where shard = -1`).not.toEqual([])
  expect(await sweeper().sweep()).toBe(2)
  expect(await live()).toBe('later')
  await s.drain()
  expect(await s.read('CustomerOrders', 'c')).toMatchObject({ orders: 1 })
  expect(await s.database.sql`select from forebay.dirty`).toEqual([])
})

test('C17 an incremental read from before the truncate, which has no version, is dropped by its time', async () => {
  await s.database.sql`insert into forebay.positions (topic, partition, next_offset) values ('log', 7, 0)`
  await truncate(7, 10, '2026-09-21T14:13:20.010Z')
  await sweeper().sweep()
  const readAt = (id: string, version: number): Change => ({
    ...order(id, null, version),
    version: { kind: 'incremental', epoch: 0 },
    live: false,
  })
  expect(await s.apply(1, readAt('before', 9), readAt('after', 11))).toMatchObject({
    rows: 1,
    dropped: [{ entity: 'Order', reason: 'truncated', count: 1 }],
  })
  expect(await live()).toBe('after')
})

test('C17 a writer under way when the truncate comes is waited for, so no sweep is over before its row is there', async () => {
  await s.apply(0, brake('a', 1))
  await s.database.sql`insert into forebay.positions (topic, partition, next_offset) values ('log', 7, 0)`
  const held = await holdBrake(s, 'a')
  const writing = s.apply(1, order('o', null, 5), brake('a', 2))
  await untilBlocked(s.database.sql, 1)
  const truncating = truncate(7, 10)
  await untilBlockedOrDone(s.database.sql, 2, truncating)
  await sweeper().sweep()
  await held.release()
  expect(await writing).toMatchObject({ kind: 'applied' })
  expect(await truncating).toMatchObject({ kind: 'applied' })
  await sweeper().sweep()
  expect(await live()).toBe('')
})

test('C13 rows that a snapshot did not contain go once the ends seen after it are applied; a late read brings its row back', async () => {
  await s.apply(0, order('kept', null, 1), order('gone', null, 2), order('late', null, 3), order('new', null, 30))
  await s.apply(0, read('kept', 10), read('kept', 10, true))
  await s.database.sql`insert into forebay.positions (topic, partition, next_offset) values ('orders', 0, 5)`
  ends.clear()
  ends.set(0, 6n)
  expect(await sweeper().sweep()).toBe(0)
  await s.database.sql`update forebay.positions set next_offset = 6 where topic = 'orders'`
  expect(await sweeper().sweep()).toBe(2)
  expect(await live()).toBe('kept new')
  await s.apply(0, read('late', 10))
  expect(await live()).toBe('kept late new')
})

test('C13 a snapshot that is broken off and begun again sweeps by the second one alone', async () => {
  await s.apply(0, order('a', null, 1), order('b', null, 2))
  await s.apply(0, read('a', 10))
  ends.clear()
  expect(await sweeper().sweep()).toBe(0)
  await s.apply(0, read('a', 20), read('b', 20, true))
  expect(await sweeper().sweep()).toBe(0)
  expect(await live()).toBe('a b')
})

const removed = (id: string, to: string, version: number): Change => ({
  ...order(id, null, version),
  op: 'delete',
  row: { id },
  keyChange: { side: 'old', id: String(version), key: { id: to } },
})
const moved = (id: string, from: string, version: number): Change => ({
  ...order(id, null, version),
  row: { id, tenantId: 'acme', customerId: null },
  absent: ['total'],
  keyChange: { side: 'new', id: String(version), key: { id: from } },
})
const totals = async () => {
  const rows = await s.database.sql<{ id: string; total: number }[]>`
    select id, total from shop.order where _live order by id`
  return rows.map(({ id, total }) => `${id}=${total}`).join(' ')
}

test.each([
  ['the delete first', [0, 1]],
  ['the upsert first', [1, 0]],
] as const)('C15 what a changed key leaves out comes from the old key’s row, %s', async (_, [first, second]) => {
  await s.apply(0, order('old', null, 1, 77))
  const sides = [() => s.apply(0, removed('old', 'new', 5)), () => s.apply(1, moved('new', 'old', 5))]
  await sides[first]!()
  expect(await totals()).toBe(first === 0 ? '' : 'old=77')
  await sides[second]!()
  expect(await totals()).toBe('new=77')
})

test('C15 a key changed twice is filled through both, though the first delete comes last', async () => {
  await s.apply(0, order('a', null, 1, 77))
  await s.apply(1, moved('b', 'a', 5), removed('b', 'c', 6))
  await s.apply(2, moved('c', 'b', 6))
  expect(await totals()).toBe('a=77')
  await s.apply(0, removed('a', 'b', 5))
  expect(await totals()).toBe('c=77')
})

test('C15 in one batch, an insert and a change of its key', async () => {
  await s.apply(0, order('a', null, 1, 77), removed('a', 'b', 5), moved('b', 'a', 5))
  expect(await totals()).toBe('b=77')
})

test('C15 two writers that bring the two sides at once: who commits second brings them together', async () => {
  await s.apply(0, order('old', null, 1, 77), order('new', null, 1), {
    ...order('new', null, 2),
    op: 'delete',
    row: { id: 'new' },
  })
  const held = await hold(s.database.url, `select from shop.order where id = 'new' for update`)
  const upserting = s.apply(1, moved('new', 'old', 5))
  await untilBlocked(s.database.sql, 1)
  const deleting = s.apply(0, removed('old', 'new', 5))
  await untilBlocked(s.database.sql, 2)
  await held.release()
  expect([await upserting, await deleting]).toMatchObject([{ kind: 'applied' }, { kind: 'applied' }])
  expect(await totals()).toBe('new=77')
})

test('C15 a key that had a row before waits likewise', async () => {
  await s.apply(0, order('old', null, 1, 77))
  await s.apply(1, order('new', null, 2, 5), { ...order('new', null, 3), op: 'delete', row: { id: 'new' } })
  await s.apply(1, moved('new', 'old', 5))
  expect(await totals()).toBe('old=77')
  await s.apply(0, removed('old', 'new', 5))
  expect(await totals()).toBe('new=77')
})

test('C15 a row from another key takes nothing from one that a truncate has left here for the moment', async () => {
  await s.apply(0, order('old', null, 6, 77), order('new', null, 1, 5))
  await s.apply(1, moved('new', 'old', 7))
  expect(await totals()).toBe('old=77')
  await s.apply(0, removed('old', 'new', 7))
  expect(await totals()).toBe('new=77')
})

test('C15 a row whose old image nobody has is not shown with nulls in its place, until a full image comes', async () => {
  await s.apply(0, removed('never', 'new', 5))
  const partial: Change = {
    ...moved('new', 'never', 5),
    row: { id: 'new', tenantId: 'acme', total: 7 },
    absent: ['customerId'],
  }
  await s.apply(1, partial)
  expect(await totals()).toBe('')
  await sweeper().collect()
  expect((await metricsText()).text).toContain('forebay_rows_awaiting_image{entity="Order"} 1')
  await s.apply(1, { ...order('new', null, 6, 8), version: { kind: 'incremental', epoch: 0 }, live: false })
  expect(await totals()).toBe('new=8')
  await sweeper().collect()
  expect((await metricsText()).text).toContain('forebay_rows_awaiting_image{entity="Order"} 0')
})

test('C18 tombstones go after their time, and say from where the log may be read again', async () => {
  await s.apply(0, order('o', null, 1), { ...order('o', null, 2), op: 'delete', row: { id: 'o' } })
  await s.database.sql`insert into forebay.positions (topic, partition, next_offset) values ('orders', 0, 9)`
  expect(await sweeper().collect()).toBe(0)
  await s.database.sql`update shop.order set _deleted_at = now() - interval '31 days'`
  expect(await sweeper().collect()).toBe(1)
  expect(await s.database.sql`select collected_below::int as n from forebay.positions where topic = 'orders'`).toEqual([
    { n: 2 },
  ])
})
