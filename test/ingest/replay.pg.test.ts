/** Replay beside live work, on the journal. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { viewBasis, viewFreshness } from '../../src/gateway/freshness/freshness.ts'
import { readSnapshot } from '../../src/gateway/freshness/snapshot.ts'
import { prepareJob } from '../../src/ingest/replay/prepare.ts'
import { cancelReplay, requestReplay } from '../../src/operate/replay/jobs.ts'
import { progressLine } from '../../src/operate/replay/progress.ts'
import { startEpoch } from '../../src/operate/replay.ts'
import { databaseClock } from '../../src/platform/clock.ts'
import { until } from '../kafka/client.ts'
import type { IngestWork } from '../law/ingest-child.ts'
import { change, customers, openShop, type Shop, shop, withRegion } from './replaying.ts'

let s: Shop
beforeEach(async () => {
  s = await openShop()
})
afterEach(() => s.close())

const viewTable = async (): Promise<string> => {
  const [row] = await s.sql<{ name: string }[]>`
    select format('forebay_view.customer_card_%s', hash) as name from forebay.generations where state = 'ACTIVE'`
  return row!.name
}

test('a column added to the schema folder is filled from the log by a replay, and views follow', async () => {
  const before = await s.start(await s.install(shop()))
  await s.put(...customers(0, 1_200))
  await s.put(change({ id: 'c7', name: 'Bea', region: 'south' }, 5_000), change({ id: 'c8' }, 5_001, 'd'))
  await s.caughtUp()
  await before.stop()
  await s.start(await s.install(withRegion))
  await s.caughtUp()
  expect(await s.sql`select count(*)::int as n from shop.customer where region is not null`).toEqual([{ n: 0 }])

  const done = await s.ended(await s.ask('earliest'))
  expect(done).toMatchObject({ state: 'DONE', total: 1_202, done: 1_202, records: 1_202, added: 0, refreshed: 1_199 })
  await s.caughtUp()
  const regions = await s.sql.unsafe(
    `select region, count(*)::int as n from ${await viewTable()} group by 1 order by 1`,
  )
  expect(regions).toEqual([
    { region: 'north', n: 1_198 },
    { region: 'south', n: 1 },
  ])
  expect(await s.ended(await s.ask('earliest'))).toMatchObject({ state: 'DONE', added: 0, refreshed: 0 })
})

test('rows that are missing are brought back', async () => {
  await s.start(await s.install(shop()))
  await s.put(...customers(0, 50))
  await s.caughtUp()
  await s.sql`delete from shop.customer where id in ('c3', 'c4')`
  expect(await s.ended(await s.ask('earliest'))).toMatchObject({ state: 'DONE', added: 2, refreshed: 0 })
  await until(async () => (await s.sql`select from shop.customer`).length === 50, 'all are back')
})

test('from a time on: the records that the log took then or later', async () => {
  await s.start(await s.install(shop()))
  await s.put(...customers(0, 300))
  await s.caughtUp()
  await s.sql`update forebay.journal set at = now() - interval '2 hours' where "offset" < 100`
  const [row] = await s.sql<{ n: number }[]>`select count(*)::int as n from forebay.journal where "offset" >= 100`
  const hourAgo = new Date(Date.now() - 3_600_000).toISOString()
  expect(await s.ended(await s.ask(hourAgo))).toMatchObject({ state: 'DONE', records: row!.n })
  expect(await s.ended(await s.ask(new Date(Date.now() + 60_000).toISOString()))).toMatchObject({
    state: 'DONE',
    records: 0,
  })
})

describe('a replay that is stopped', () => {
  /** Much to fill in, so that it takes a while. */
  const fill = async () => {
    const before = await s.start(await s.install(shop()))
    for (let i = 0; i < 20_000; i += 2_000) await s.put(...customers(i, i + 2_000))
    await s.caughtUp()
    await before.stop()
    return s.install(withRegion)
  }
  const missing = async (): Promise<number> => {
    const [row] = await s.sql<{ n: number }[]>`select count(*)::int as n from shop.customer where region is null`
    return row!.n
  }

  test('by kill -9 goes on where it was, in the next process that comes', async () => {
    await fill()
    const id = await s.ask('earliest')
    const work: IngestWork = { url: s.url, text: withRegion }
    const start = () => {
      const child = fork(new URL('../law/ingest-child.ts', import.meta.url), {
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      })
      child.send(work)
      return child
    }
    const first = start()
    await until(async () => (await s.replay(id)).done > 1_000, 'the replay is under way')
    first.kill('SIGKILL')
    await once(first, 'exit')
    const left = await s.replay(id)
    expect(left).toMatchObject({ state: 'RUNNING' })
    expect(left.done).toBeLessThan(20_000)
    expect(await missing()).toBe(20_000 - left.done)

    const second = start()
    expect(await s.ended(id)).toMatchObject({ state: 'DONE', done: 20_000, total: 20_000 })
    expect(await missing()).toBe(0)
    second.kill('SIGKILL')
    await once(second, 'exit')
  })

  test('by the end of its process goes on in the other; only one works it at a time, and nothing is worked twice', async () => {
    const model = await fill()
    const [a, b] = [await s.start(model), await s.start(model)]
    const id = await s.ask('earliest')
    const workers = () => s.sql<{ pid: number }[]>`
      select distinct pid from pg_locks where locktype = 'advisory' and classid = 74004 and objid = ${id} and granted
        and database = (select oid from pg_database where datname = current_database())`
    await until(async () => (await s.replay(id)).done > 1_000, 'the replay is under way')
    const [worker, ...others] = await workers()
    expect(others).toEqual([])
    await a.stop()
    await until(
      async () => (await workers())[0] !== undefined || (await s.replay(id)).state !== 'RUNNING',
      'somebody works it',
    )
    if ((await s.replay(id)).state === 'RUNNING' && (await workers())[0]?.pid === worker!.pid) {
      // It was the other that worked it: it is that one's turn to go.
      await s.start(model)
      await b.stop()
    }
    expect(await s.ended(id)).toMatchObject({ state: 'DONE', records: 20_000, refreshed: 20_000, added: 0 })
  })

  test('by an operator stays stopped, and what it wrote stays', async () => {
    await s.start(await fill())
    const id = await s.ask('earliest')
    const said = async () => progressLine(await s.replay(id))
    const under = /^\d+% of 20,000 {2}[\d,]+\/s {2}ETA (\d+ min )?\d+ s {2}rows: 0 added, [\d,]+ refreshed/
    await until(async () => (await s.replay(id)).done > 1_000 && under.test(await said()), 'the replay is under way')
    expect(await cancelReplay(s.sql, id)).toBe(true)
    await until(async () => !(await s.replay(id)).worked, 'it is let go')
    const { state, done } = await s.replay(id)
    expect(state).toBe('CANCELLED')
    expect(done).toBeLessThan(20_000)
    expect(await missing()).toBe(20_000 - done)
    expect(await cancelReplay(s.sql, id)).toBe(false)
  })

  test('by a new epoch says so', async () => {
    await s.start(await fill())
    const id = await s.ask('earliest')
    await until(async () => (await s.replay(id)).done > 1_000, 'the replay is under way')
    await startEpoch(s.sql, 'customers', { partition: 1 })
    expect(await s.ended(id)).toMatchObject({
      state: 'FAILED',
      error: expect.stringContaining('a new epoch of customers-1'),
    })
  })
})

test('a record of an earlier epoch comes to the version it had then, not to that of the present one', async () => {
  const before = await s.start(await s.install(shop()))
  await s.put(change({ id: 'c', name: 'Old' }, 9_000), change({ id: 'd', name: 'Dan' }, 9_001))
  await s.caughtUp()
  await startEpoch(s.sql, 'customers', {})
  await before.stop()
  const again = await s.start(await s.install(shop()))
  // The restored source is behind where it was.
  await s.put(change({ id: 'c', name: 'New' }, 5_000))
  await s.caughtUp()
  await again.stop()
  await s.start(await s.install(withRegion))
  expect(await s.ended(await s.ask('earliest'))).toMatchObject({ state: 'DONE', records: 3, refreshed: 2, added: 0 })
  expect(await s.sql`select id, name, region, _epoch, _version from shop.customer order by id`).toEqual([
    { id: 'c', name: 'New', region: 'north', _epoch: 1, _version: '5000' },
    { id: 'd', name: 'Dan', region: 'north', _epoch: 0, _version: '9001' },
  ])
})

test('of two, one waits for the other and says so; one that can’t go on says why and holds nobody up', async () => {
  const ingest = await s.start(await s.install(shop()))
  await s.put(...customers(0, 10))
  await s.caughtUp()
  await s.sql`insert into forebay.positions (topic, partition, next_offset) values ('elsewhere', 0, 5)`
  const stuck = await requestReplay(s.sql, 'Customer', 'elsewhere', 'earliest')
  await until(async () => /elsewhere-0 can't be asked/.test((await s.replay(stuck)).waiting ?? ''), 'says why')
  expect(await s.ended(await s.ask('earliest'))).toMatchObject({ state: 'DONE', records: 10 })
  expect(await s.replay(stuck)).toMatchObject({ state: 'RUNNING' })
  expect(await s.ended(await s.ask(''))).toMatchObject({
    state: 'FAILED',
    error: expect.stringContaining("can't be read"),
  })

  await cancelReplay(s.sql, stuck)
  await ingest.stop()
  const [first, second] = [await s.ask('earliest'), await s.ask('earliest')]
  const worker = await s.sql.reserve()
  await worker`select pg_advisory_lock(74004, ${first})`
  expect(progressLine(await s.replay(second))).toBe(`waiting for replay ${first}`)
  await worker`select pg_advisory_unlock(74004, ${first})`
  worker.release()
  expect(progressLine(await s.replay(second))).toMatch(/^waiting for an ingest process/)
})

describe('refused, with what can be done instead', () => {
  test.each([
    ['customers-0-900', 'customers-0 is applied up to'],
    ['customers-7-0', 'customers-7 has not been read: the partitions are customers-0, customers-1'],
    ['orders-0-0', 'orders-0 has not been read'],
  ])('%s', async (since, reason) => {
    await s.start(await s.install(shop()))
    await s.put(...customers(0, 10))
    await s.caughtUp()
    expect(await s.ended(await s.ask(since))).toMatchObject({ state: 'FAILED', error: expect.stringContaining(reason) })
  })

  test('what the log no longer has', async () => {
    await s.install(shop())
    await s.sql`insert into forebay.positions (topic, partition, next_offset) values ('customers', 0, 80)`
    const at = { topic: 'customers', partition: 0 }
    const source = {
      extents: async () => [{ ...at, start: 50n, end: 100n }],
      offsetsAt: async (_: string, ms: number) => [{ ...at, offset: ms < 1_000_000 ? 50n : 60n }],
    }
    const prepare = (since: string) =>
      prepareJob(s.sql, source, { id: 1, entity: 'Customer', topic: 'customers', since })
    await expect(prepare('customers-0-49')).rejects.toThrow('starts at 50: records from 49 on are gone')
    await expect(prepare('1970-01-01T00:00:01.000Z')).rejects.toThrow('may not go back to 1970-01-01')
    const range = { ...at, epoch: 0, until: 80n }
    expect(await prepare('1970-01-01T00:20:00.000Z')).toEqual([{ ...range, from: 60n }])
    expect(await prepare('earliest')).toEqual([{ ...range, from: 50n }])
    expect(await prepare('customers-0-80')).toEqual([])
  })

  test('C18 what lies below collected tombstones', async () => {
    await s.install(shop())
    await s.sql`insert into forebay.positions (topic, partition, next_offset, collected_below) values ('customers', 0, 80, 60)`
    const at = { topic: 'customers', partition: 0 }
    const source = {
      extents: async () => [{ ...at, start: 0n, end: 80n }],
      offsetsAt: async () => [{ ...at, offset: 59n }],
    }
    const prepare = (since: string) =>
      prepareJob(s.sql, source, { id: 1, entity: 'Customer', topic: 'customers', since })
    for (const since of ['earliest', 'customers-0-59', '1970-01-01T00:20:00.000Z'])
      await expect(prepare(since)).rejects.toThrow('Replay --from customers-0-60, or re-snapshot')
    expect(await prepare('customers-0-60')).toEqual([{ ...at, epoch: 0, from: 60n, until: 80n }])
  })
})

test('beside changes at work, and refreshing every row, no view falls behind what it promises', async () => {
  const before = await s.start(await s.install(shop()))
  for (let i = 0; i < 20_000; i += 2_000) await s.put(...customers(i, i + 2_000))
  await s.caughtUp()
  await before.stop()
  const model = await s.install(withRegion)
  await s.start(model)
  await s.caughtUp()
  const [view] = [...model.views.values()]
  const basis = viewBasis(model, view!)
  const lags: number[] = []
  const id = await s.ask('earliest')
  for (let n = 0; (await s.replay(id)).state === 'RUNNING'; n++) {
    await s.put(
      ...customers(0, 20).map((_, i) =>
        change({ id: `c${(n * 20 + i) % 20_000}`, name: `N${n}` }, 100_000 + n * 20 + i),
      ),
    )
    const clock = databaseClock(s.sql)
    await clock.refresh()
    lags.push(viewFreshness(await readSnapshot(s.sql), basis, clock.upper()).lagMs ?? Number.POSITIVE_INFINITY)
    await sleep(50)
  }
  expect(await s.replay(id)).toMatchObject({ state: 'DONE' })
  expect(lags.length).toBeGreaterThan(5)
  expect(Math.max(...lags)).toBeLessThan(view!.maxLagMs)
  await s.caughtUp()
  const [row] = await s.sql`select count(*)::int as n from shop.customer where region is null`
  expect(row).toEqual({ n: 0 })
})
