/**
 * C29, C30 and C31: the schedules that a cache beside a database goes wrong by, forced on a real Postgres and a real Redis. Each is run on a wrong
 * variant too, which shows that the schedule finds what it is for.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ChangeFeed, followChanges } from '../../src/gateway/feed/feed.ts'
import { type Sequences, sequencesSql } from '../../src/gateway/feed/sequences.ts'
import { viewBasis } from '../../src/gateway/freshness/freshness.ts'
import { createNearCache } from '../../src/gateway/read/near-cache.ts'
import { createRowLoads } from '../../src/gateway/read/row-loads.ts'
import type { Reading, StoredRow } from '../../src/gateway/read/row-sql.ts'
import { createStatements, type Run } from '../../src/gateway/read/statements.ts'
import { createApplier } from '../../src/ingest/apply/apply.ts'
import { itemOf } from '../../src/ingest/apply/stretch.ts'
import { registerViews } from '../../src/ingest/generations.ts'
import { startMaintainer } from '../../src/ingest/maintain/maintainer.ts'
import { publisher } from '../../src/ingest/publish.ts'
import type { Model } from '../../src/model/model.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { startPostgres } from '../../src/platform/embedded-postgres.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { connectRedis } from '../../src/platform/redis.ts'
import { until } from '../kafka/client.ts'
import { freePorts } from '../support/child.ts'
import { startRedis } from '../support/redis.ts'
import { loadModel } from './model.ts'
import { customer, openStage, SHOP, type Stage } from './stage.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** What a gateway has between its requests and Postgres, around a feed that may be told lies about. */
const openCaches = (sql: Sql, model: Model, generation: number, feed: ChangeFeed) => {
  const near = createNearCache(feed, 2 ** 20)
  closing.push(() => near.stop())
  const basis = viewBasis(model, model.views.get('CustomerOrders')!)
  const reading: Reading = {
    table: basis.table,
    fields: new Set(['id', 'name']),
    tenant: 'acme',
    bounded: false,
    classes: () => ['true'],
    held: 'none',
  }
  const statements = createStatements(sql)
  /** While it is set, what has been read waits for it on its way back. */
  let gate: { readonly read: PromiseWithResolvers<void>; readonly opened: PromiseWithResolvers<void> } | undefined
  const run: Run = async (statement, prepare) => {
    const rows = await statements(statement, prepare)
    const closed = gate
    gate = undefined
    closed?.read.resolve()
    await closed?.opened.promise
    return rows as never
  }
  const loads = createRowLoads(run, { feed, near, rows: undefined })
  const sequences = async (): Promise<Sequences> => {
    const [row] = await sql.unsafe<{ feeds: string }[]>(`select ${sequencesSql}::text as feeds`)
    return JSON.parse(row!.feeds) as Sequences
  }
  /** As a request that stands on a snapshot taken just now. */
  const name = async (id = 'ada'): Promise<string | undefined> => {
    const asked = { key: [id], asOf: null, floor: null, feeds: await sequences() }
    const found = await loads.shared({ generation, basis }, 'LOG', reading).load(asked)
    return found && (JSON.parse((found.row as StoredRow).fields) as { name: string }).name
  }
  return {
    name,
    sequences,
    /** The next statement's rows are read and don't arrive before `open`. */
    shut: () => {
      const made = { read: Promise.withResolvers<void>(), opened: Promise.withResolvers<void>() }
      gate = made
      return { read: made.read.promise, open: made.opened.resolve }
    },
    processed: () =>
      until(async () => {
        feed.seen({ feeds: await sequences(), catalog: 1 }, performance.now())
        return feed.covers(await sequences())
      }, 'all that is told is processed'),
  }
}
type Lie = (feed: ChangeFeed) => ChangeFeed
const honest: Lie = (feed) => feed

describe('with one Postgres for all', () => {
  let stage: Stage
  beforeEach(async () => {
    stage = await openStage()
    closing.push(() => stage.close())
    await stage.apply(0, customer('ada', 1, 'one'))
    await stage.drain()
  })
  const generation = () => stage.catalog.generations.find(({ table }) => table.view === 'CustomerOrders')!.generation
  const open = async (lie: Lie, redisUrl?: string) => {
    const { sql, url: databaseUrl } = stage.database
    const feed = await followChanges({ sql, databaseUrl, ...(redisUrl === undefined ? {} : { redisUrl }) })
    closing.push(() => feed.stop())
    const caches = openCaches(sql, stage.model, generation(), lie(feed))
    await until(async () => {
      feed.seen({ feeds: await caches.sequences(), catalog: 1 }, performance.now())
      return feed.covers(await caches.sequences())
    }, 'it follows')
    return caches
  }

  describe('C30 a row that is read before a change and arrives after it', () => {
    const run = async (lie: Lie): Promise<string | undefined> => {
      const { name, shut, processed } = await open(lie)
      await name()
      const gate = shut()
      const old = name()
      await gate.read
      await stage.apply(0, customer('ada', 2, 'two'))
      await stage.drain()
      await processed()
      gate.open()
      expect(await old, 'it stands on a snapshot from before').toBe('one')
      return name()
    }
    test('is kept by one that doesn’t look what changed meanwhile, and served', async () => {
      expect(await run((feed) => ({ ...feed, holds: () => true }))).toBe('one')
    })
    test('is not kept', async () => {
      expect(await run(honest)).toBe('two')
    })
  })

  describe('C29 a key that was asked for when nothing was there', () => {
    const run = async (lie: Lie): Promise<string | undefined> => {
      const { name, processed } = await open(lie)
      for (const _ of [1, 2, 3]) expect(await name('new')).toBeUndefined()
      await stage.apply(0, customer('new', 2, 'here'))
      await stage.drain()
      await processed()
      return name('new')
    }
    test('stays away for one that drops only what it found', async () => {
      expect(await run((feed) => ({ ...feed, listen: () => () => {} }))).toBeUndefined()
    })
    test('is found once it is there', async () => {
      expect(await run(honest)).toBe('here')
    })
  })

  describe('C30 many that ask for a key at once while it changes', () => {
    test('share one read only if that is as new as what each stands on', async () => {
      const { name, shut } = await open(honest)
      await name()
      const gate = shut()
      const old = name()
      await gate.read
      await stage.apply(0, customer('ada', 2, 'two'))
      await stage.drain()
      // It stands on a snapshot after the change, and finds the first one's read under way.
      const late = Promise.all([name(), name()])
      gate.open()
      expect([await old, await late]).toEqual(['one', ['two', 'two']])
    })
  })

  describe('C31 an owner that dies between its commit and telling of it', () => {
    const run = async (lie: Lie) => {
      const { url } = await startRedis()
      const redis = connectRedis(url)
      closing.push(() => redis.end())
      await until(async () => (await redis.attempt((client) => client.ping())).ok, 'Redis answers')
      await stage.release()
      const sql = connect(stage.database.url, { max: 1, name: 'owner' })
      closing.push(() => sql.end({ timeout: 1 }))
      const publish = publisher(redis, stage.database.sql)
      let alive = true
      const { round } = startMaintainer({
        sql,
        catalog: stage.catalog,
        transport: 'LATER',
        published: async (announced) => {
          if (alive) await publish(announced)
        },
        auto: false,
      })
      await round()
      const caches = await open(lie, url)
      const change = async (version: number, name: string) => {
        await stage.apply(0, customer('ada', version, name))
        while ((await round()).entries > 0);
      }
      await change(2, 'two')
      await caches.processed()
      for (const _ of [1, 2, 3]) expect(await caches.name()).toBe('two')
      alive = false
      await change(3, 'three')
      const unsaid = await caches.name()
      alive = true
      await change(4, 'four')
      await caches.processed()
      return { unsaid, later: await caches.name() }
    }
    test('is not noticed by one that takes what it was told for all there is', async () => {
      expect((await run((feed) => ({ ...feed, covers: () => true }))).unsaid).toBe('two')
    })
    test('leaves the sequence ahead, so that nothing kept is served until it has been dropped', async () => {
      expect(await run(honest)).toEqual({ unsaid: 'three', later: 'four' })
    })
  })
})

test('C31 a Postgres that is killed and comes back without its last commits is another epoch: nothing that was kept before is served', {
  timeout: 120_000,
}, async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'forebay-restart-'))
  closing.push(() => rm(dataDir, { recursive: true, force: true }))
  const [port] = (await freePorts(1)) as [number]
  // What isn't waited for reaches the disk late, so that the kill takes it back.
  const options = { dataDir, port, settings: { shared_buffers: '32MB', wal_writer_delay: '10s' } }
  let server = await startPostgres(options)
  closing.push(() => server.stop())
  const sql = connect(server.url, { max: 4, name: 'test' })
  closing.push(() => sql.end({ timeout: 1 }))
  const model = await loadModel(SHOP)
  await installModel(sql, model)
  const catalog = await registerViews(sql, model)
  const applier = createApplier(sql, model, catalog)
  await sql`insert into forebay.positions (topic, partition, next_offset) values ('log', 0, 0)`
  let at = 0n
  const apply = async (name: string) => {
    const position = { topic: 'log', partition: 0, offset: at }
    const record = { ...position, timestamp: 0, key: null, value: null, headers: {} }
    const item = { ...itemOf(record, []), changes: [{ ...customer('ada', Number(at) + 1, name), position }] }
    await applier.apply([{ topic: 'log', partition: 0, from: at, to: at + 1n, epoch: 0, items: [item] }])
    at += 1n
  }
  const own = connect(server.url, { max: 1, name: 'owner', settings: { synchronous_commit: 'off' } })
  closing.push(() => own.end({ timeout: 1 }))
  const maintainer = startMaintainer({ sql: own, catalog, published: async () => {}, auto: false })
  const work = async () => {
    while ((await maintainer.round()).entries > 0);
  }
  await apply('one')
  await work()
  await sql`checkpoint`

  const feed = await followChanges({ sql, databaseUrl: server.url })
  closing.push(() => feed.stop())
  const dropped: string[] = []
  feed.listen({ changed: () => {}, changedWhole: () => {}, dropped: (reason) => dropped.push(reason) })
  const { generation } = catalog.generations.find(({ table }) => table.view === 'CustomerOrders')!
  const { name, processed, sequences } = openCaches(sql, model, generation, feed)
  await processed()
  await apply('two')
  await work()
  await processed()
  for (const _ of [1, 2, 3]) expect(await name()).toBe('two')
  const before = await sequences()

  process.kill(server.pid, 'SIGKILL')
  await until(() => dropped.includes('LOST'), 'the lost connection is noticed')
  expect(feed.covers(before)).toBe(false)
  await server.exited
  server = await startPostgres(options)
  await until(
    () =>
      sequences().then(
        () => true,
        () => false,
      ),
    'Postgres is back',
  )
  const [stored] = await sql.unsafe<{ name: string }[]>(
    `select name from ${catalog.generations.find((one) => one.generation === generation)!.table.table}`,
  )
  expect(await name(), 'as it is there, be it taken back').toBe(stored!.name)
  await until(async () => {
    await work().catch(() => {})
    return Object.keys(await sequences()).every((one) => before[one] === undefined)
  }, 'an owner has opened another feed')
  await processed()
  expect(await name()).toBe('two')
  expect(feed.covers(before)).toBe(false)
})
