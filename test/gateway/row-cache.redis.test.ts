/** The row cache with a real Redis: it changes no answer, keeps nothing that must not be kept, and may die at any moment. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createRowCache } from '../../src/gateway/read/row-cache.ts'
import type { StoredRow } from '../../src/gateway/read/row-sql.ts'
import { createKeyHash, type KeyHash, readKeyHash } from '../../src/platform/key-hash.ts'
import { connectRedis } from '../../src/platform/redis.ts'
import { fillRow, invalidateRows, type RowKey, readRows, rowCacheKey } from '../../src/platform/row-cache.ts'
import { until } from '../kafka/client.ts'
import { ownRedis, pidOf, type RedisService, startRedis } from '../support/redis.ts'
import { desk } from './support/desk.ts'
import { readModel, startWorld, type World } from './support/world.ts'

describe('a write only ever replaces an older version', () => {
  let redis: Redis
  const { row: nameOf } = createKeyHash('s'.repeat(64))
  const name = nameOf(`t${process.pid}`, 'acme', ['ada'])
  beforeAll(async () => {
    redis = new Redis((await startRedis()).url)
  })
  afterAll(() => redis.disconnect())
  const fill = (version: string, row: string, asOf = 1) =>
    fillRow(redis, name, { version, asOf, feeds: '{}', row }, 60_000)
  const read = async () => (await readRows(redis, [name]))[0]?.row

  test('C30 a row read before a change is not put back after it', async () => {
    await fill('5', 'old')
    expect(await read()).toBe('old')
    expect(await invalidateRows(redis, [{ name, version: 6n }]), 'it was there').toEqual(new Set([name]))
    expect(await read()).toBeUndefined()
    expect(await invalidateRows(redis, [{ name, version: 6n }]), 'its tombstone was').toEqual(new Set())
    await fill('5', 'old')
    expect(await read()).toBeUndefined()
    await fill('6', 'new')
    expect(await read()).toBe('new')
  })

  test('C30 versions compare as numbers of 64 bits', async () => {
    await fill('9', 'nine')
    await fill('10', 'ten')
    await fill('9', 'nine')
    expect(await read()).toBe('ten')
    await fill('9223372036854775807', 'greatest')
    await fill('9223372036854775806', 'less')
    expect(await read()).toBe('greatest')
  })

  test('many rows are dropped at once, each by its own version', async () => {
    const names = Array.from({ length: 700 }, (_, i) => nameOf('many', 'acme', [String(i)]))
    const kept = names.filter((_, i) => i % 7 === 0)
    await Promise.all(kept.map((one) => fillRow(redis, one, { version: '9', asOf: 1, feeds: '{}', row: 'r' }, 60_000)))
    const held = await invalidateRows(
      redis,
      names.map((one, i) => ({ name: one, version: i % 14 === 0 ? 10n : 8n })),
    )
    expect(held).toEqual(new Set(kept.filter((one) => names.indexOf(one) % 14 === 0)))
    const left = await readRows(redis, kept)
    expect(left.filter((one) => one !== undefined)).toHaveLength(kept.length - held.size)
  })

  test('C33 no name of a row tells its key or its tenant', () => {
    expect(rowCacheKey(nameOf('h', 'acme', ['ada@example.com']))).toMatch(/^forebay:\{row .\}:[\w-]{22}$/)
  })
})

let redis: RedisService
let cached: World
let plain: World
let client: Redis
let names: KeyHash
beforeAll(async () => {
  redis = await ownRedis()
  client = new Redis(redis.url)
  client.on('error', () => {})
  const model = await readModel('test/graphql/schema')
  cached = await startWorld({ model, rows: desk, redisUrl: redis.url })
  plain = await startWorld({ model, rows: desk })
  names = await readKeyHash(cached.database.sql)
})
afterAll(async () => {
  client.disconnect()
  await cached.stop()
  await plain.stop()
  await redis.stop()
})

const agent = { roles: ['AGENT'] }
const card = (id: string) =>
  `{ customerCard(id: "${id}") { id email phone fullName points extra createdAt orders { id total payer } _id } }`
/** A fill goes on after its answer. */
const settled = () => sleep(50)
const reads = async (query: string, asker = agent): Promise<number> => {
  cached.statements()
  await cached.ask(query, asker)
  await settled()
  return cached.statements().length
}

const nameOf = (key: RowKey): string => names.row(cached.views.get('CustomerCard')!.table.hash, 'acme', key)

test('a row that is asked for again comes from Redis from then on', async () => {
  expect([await reads(card('ada')), await reads(card('ada')), await reads(card('ada'))]).toEqual([1, 1, 0])
})

test('C29 lookups, pages and counts are not kept, nor is what a row rule bounds', async () => {
  const clerk = { roles: ['CLERK'], claims: { region: 'north' } }
  for (const [query, asker] of [
    ['{ customerCard(email: "bob@example.com") { id } }', agent],
    ['{ customerCards { totalCount nodes { id } } }', agent],
    ['{ regionFile(id: "ada") { id } }', clerk],
  ] as const) {
    const first = await reads(query, asker)
    expect(first).toBeGreaterThan(0)
    expect(await reads(query, asker)).toBe(first)
  }
})

test('what is kept is the row before any policy: no mask of one role reaches another', async () => {
  const ask = async (roles: string[], tenant = 'acme') =>
    (await cached.ask('{ customerCard(id: "dan") { id email } }', { roles, tenant })).body.data.customerCard
  expect((await ask(['AGENT'])).email).toBe('S***@e***.com')
  await settled()
  expect((await ask(['FRAUD'])).email).toBe('SHARED@example.com ')
  expect((await ask(['SERVICE'])).email).toMatch(/^tok_/)
  expect((await ask(['AGENT'])).email).toBe('S***@e***.com')
  expect(await ask(['AGENT'], 'globex')).toBeNull()
})

test('C30 a changed row is read anew once its drop is published', async () => {
  const points = async () =>
    (await cached.ask('{ customerCard(id: "bob") { points } }', agent)).body.data.customerCard.points
  for (const _ of [1, 2]) {
    expect(await points()).toBe('7')
    await settled()
  }
  await cached.write({ Customer: [{ ...desk.Customer![1], points: '8' }] })
  expect(await points()).toBe('7')
  const { table } = cached.views.get('CustomerCard')!
  const [row] = await cached.database.sql.unsafe<{ version: string }[]>(
    `select _version::text as version from ${table.table} where id = 'bob'`,
  )
  await invalidateRows(client, [{ name: nameOf(['bob']), version: row!.version }])
  expect(await points()).toBe('8')
  await plain.write({ Customer: [{ ...desk.Customer![1], points: '8' }] })
})

test('law 6 a cached row older than maxLag is not served, and an answer is as old as its oldest row', async () => {
  const name = nameOf(['ada'])
  const [row] = await readRows(client, [name])
  expect(row).toBeDefined()
  const age = async (ms: number) => {
    await client.del(rowCacheKey(name))
    await fillRow(client, name, { ...row!, asOf: Date.now() - ms }, 60_000)
    cached.statements()
    const { body, headers } = await cached.ask(card('ada'), agent)
    const { asOf, lagMs, state } = body.extensions.freshness
    expect(headers.get('forebay-as-of')).toBe(asOf)
    await settled()
    return { statements: cached.statements().length, lagMs, state }
  }
  const young = await age(4_000)
  expect(young).toMatchObject({ statements: 0, state: 'LAGGING' })
  expect(young.lagMs).toBeGreaterThanOrEqual(4_000)
  expect(await age(6_000)).toMatchObject({ statements: 1, state: 'FRESH', lagMs: 0 })
})

test('C22 an answer about fields that pending work doesn’t touch is fresh, and the row that it leaves in the cache is as old as its other fields', async () => {
  const { sql } = cached.database
  const { touched } = cached.views.get('CustomerCard')!
  const path = touched.findIndex((fields) => fields !== 'ROW' && fields.has('orders'))
  const lag = async (id: string, fields: string): Promise<number> =>
    Number((await cached.ask(`{ customerCard(id: "${id}") { ${fields} } }`, agent)).body.extensions.freshness.lagMs)
  // Pages aren't cached, and are found by other fields than they show.
  const page = async (): Promise<number> =>
    Number((await cached.ask('{ customerCards { nodes { id } } }', agent)).body.extensions.freshness.lagMs)
  const forget = () => client.flushall()
  await sql`
    insert into forebay.dirty (slot, generation, path, shard, keys, n, origin)
    select 0, generation, ${path}, 0, '[]', 0, clock_timestamp() - interval '2 seconds' from forebay.generations where view = 'CustomerCard'`
  await until(async () => (await page()) >= 2_000, 'the gateway has seen it')
  await forget()
  expect(await lag('bob', 'id _freshness { asOf }')).toBe(0)
  await settled()
  await sql`delete from forebay.dirty`
  await until(async () => (await page()) === 0, 'and that it is gone')
  expect(await lag('bob', 'orders { id }'), 'as it was read').toBeGreaterThanOrEqual(2_000)
  // What else may depend on other fields is about the whole row.
  await sql`
    insert into forebay.dirty (slot, generation, path, shard, keys, n, origin)
    select 0, generation, ${path}, 0, '[]', 0, clock_timestamp() - interval '2 seconds' from forebay.generations where view = 'CustomerCard'`
  await until(async () => (await page()) >= 2_000, 'seen')
  await forget()
  expect(await lag('ada', 'id')).toBe(0)
  await settled()
  await forget()
  expect(await lag('ada', 'id _freshness { incomplete }'), 'whether it is whole').toBeGreaterThanOrEqual(2_000)
  await forget()
  expect(await lag('ada', 'id orders { id }')).toBeGreaterThanOrEqual(2_000)
  await sql`delete from forebay.dirty`
  await forget()
})

test('law 6 a row whose drop Redis missed while it stood still does not come back, and rows are kept again soon', async () => {
  const lost = connectRedis(redis.url)
  try {
    const cache = createRowCache(lost, () => Date.now())
    const name = names.row('lost', 'acme', ['a'])
    const scope = { maxLagMs: 30_000, basis: 'LOG' as const, name: () => name }
    const row = (version: string) => ({ version, key: '["a"]', fields: { version } }) as unknown as StoredRow
    /** By its own bound: no feed vouches for it. */
    const got = async () => {
      const [hit] = await cache.get(scope, [['a']])
      return hit?.asOf === undefined ? undefined : hit.row.version
    }
    const fill = (version: string) => cache.fill(scope, row(version), Date.now(), {})
    const used = () => expect.poll(() => lost.state(), { timeout: 5_000, interval: 5 }).toBe('CLOSED')
    await expect.poll(async () => (await lost.attempt((one) => one.ping())).ok).toBe(true)
    await used()
    fill('00000000000000000001')
    await expect.poll(got).toBe('00000000000000000001')
    const pid = await pidOf(redis.url)
    process.kill(pid, 'SIGSTOP')
    try {
      while (lost.state() === 'CLOSED') expect(await got()).toBeUndefined()
      // Ingest is refused as well: the row has changed, and Redis is not told.
      expect(await lost.attempt((one) => invalidateRows(one, [{ name, version: 2n }]))).toEqual({ ok: false })
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    await used()
    expect(await readRows(client, [name])).toMatchObject([{ version: '00000000000000000001' }])
    expect(await got()).toBeUndefined()
    await expect
      .poll(
        () => {
          fill('00000000000000000002')
          return got()
        },
        { timeout: 5_000, interval: 100 },
      )
      .toBe('00000000000000000002')
  } finally {
    lost.end()
  }
})

test('law 6 with a cache, without one, and with Redis killed midway the answers are the same', async () => {
  const queries = [
    card('ada'),
    card('bob'),
    card('nobody'),
    '{ a: customerCard(id: "ada") { email } b: customerCard(id: "cyd") { tags region } lineFile(orderId: "o2", line: 1) { amount } }',
    '{ customerCards(orderBy: { points: DESC }) { nodes { id points } } }',
  ]
  const data = async (world: World, query: string) => (await world.ask(query, agent)).body.data
  const round = async () => {
    for (const query of queries) expect(await data(cached, query)).toEqual(await data(plain, query))
  }
  await round()
  await round()
  const during = Array.from({ length: 8 }, () => round())
  await redis.kill9()
  await Promise.all(during)
  const begun = performance.now()
  await round()
  expect(performance.now() - begun).toBeLessThan(5_000)
})
