/** What maintenance changed is dropped from a real Redis: after its commit, under the key that readers fill, for good. */
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { byKeysStatement } from '../../src/gateway/read/row-sql.ts'
import type { Announced } from '../../src/ingest/maintain/change-feed.ts'
import { publisher } from '../../src/ingest/publish.ts'
import { readMessage } from '../../src/platform/change-message.ts'
import { changeStream } from '../../src/platform/change-stream.ts'
import { type KeyHash, readKeyHash } from '../../src/platform/key-hash.ts'
import { connectRedis, type RedisClient } from '../../src/platform/redis.ts'
import { fillRow, type RowKey, readRows, rowCacheKey } from '../../src/platform/row-cache.ts'
import { until } from '../kafka/client.ts'
import { change, openStage, type Stage } from '../law/stage.ts'
import { ownRedis, startRedis } from '../support/redis.ts'

const SHOP = `
extend enum Role { READER }
extend schema @domain(name: "shop", owner: "test")
type Single @entity(domain: "shop", key: "id", source: { topic: "singles" }) { id: ID!, tenantId: ID! @tenant, n: Int! }
type Pair @entity(domain: "shop", key: ["bay", "a"], source: { topic: "pairs" }) { a: ID!, bay: Int!, tenantId: ID! @tenant, n: Int! }
type Owned @entity(domain: "shop", key: ["tenantId", "id"], source: { topic: "owned" }) { id: ID!, tenantId: ID! @tenant, n: Int! }
type Large @entity(domain: "shop", key: "id", shared: true, source: { topic: "large" }) { id: Long!, n: Int! }
type Moment @entity(domain: "shop", key: "at", shared: true, source: { topic: "moments" }) { at: DateTime!, n: Int! }
type Sale @entity(domain: "shop", key: "id", source: { topic: "sales" }) { id: ID!, tenantId: ID! @tenant, city: String, n: Int! }
type SingleRow @view(of: "Single") @allow(roles: [READER]) { id: ID!, n: Int! }
type PairRow @view(of: "Pair") @allow(roles: [READER]) { a: ID!, bay: Int!, n: Int! }
type OwnedRow @view(of: "Owned") @allow(roles: [READER]) { id: ID!, n: Int! }
type LargeRow @view(of: "Large") @allow(roles: [READER]) { id: Long!, n: Int! }
type MomentRow @view(of: "Moment") @allow(roles: [READER]) { at: DateTime!, n: Int! }
type City @view(of: "Sale", groupBy: ["city"]) @allow(roles: [READER]) { city: String, n: Long! @sum(of: "n") }
`
let url: string
let client: Redis
let redis: RedisClient
let stage: Stage
let names: KeyHash
beforeAll(async () => {
  url = (await startRedis()).url
  client = new Redis(url)
  redis = connectRedis(url)
  await until(async () => (await redis.attempt((one) => one.ping())).ok, 'connected')
})
afterAll(() => {
  client.disconnect()
  redis.end()
})
beforeEach(async () => {
  stage = await openStage(SHOP)
  names = await readKeyHash(stage.database.sql)
})
afterEach(() => stage.close())

const tableOf = (view: string) => stage.catalog.generations.find(({ table }) => table.view === view)!.table
/** The row as the gateway reads and would fill it. */
const readByKey = async (view: string, tenant: string | null, key: RowKey) => {
  const table = tableOf(view)
  const reading = {
    table,
    tenant,
    fields: new Set(table.columns.map(({ field }) => field)),
    bounded: false,
    classes: () => ['true'],
    held: 'none' as const,
  }
  const { text, values } = byKeysStatement(reading, [key])
  const [row] = await stage.database.sql.unsafe<{ key: string; version: string; fields: string }[]>(text, [...values])
  return row
}
const single = (n: number) => change('Single', { id: 'a', tenantId: 'acme', n }, n)
const publishTo = (client: RedisClient) => publisher(client, stage.database.sql)
const work = async (published: (announced: Announced) => Promise<void>) => {
  const { maintainer, sql } = stage.maintainer(published)
  while ((await maintainer.round()).entries > 0);
  await sql.end({ timeout: 1 })
}

test('C31 publish after the commit: another connection sees the new row before anybody is told', async () => {
  await stage.apply(0, single(1))
  const seen: unknown[] = []
  const { maintainer } = stage.maintainer(async ({ changed }) => {
    const stored = await stage.read('SingleRow', 'a')
    seen.push({ n: stored?.n, told: changed[0]!.version === stored?._version })
  })
  await maintainer.round()
  await stage.apply(0, single(2))
  await maintainer.round()
  expect(seen).toEqual([
    { n: 1, told: true },
    { n: 2, told: true },
  ])
})

test('C30 after a published change an older fill is refused and one of the new row is taken', async () => {
  const name = names.row(tableOf('SingleRow').hash, 'acme', ['a'])
  const cached = async () => (await readRows(client, [name]))[0]?.row
  const fill = ({ version, fields }: { version: string; fields: string }) =>
    fillRow(client, name, { version, asOf: 1, feeds: '{}', row: fields }, 60_000)
  await client.del(rowCacheKey(name))
  const publish = publishTo(redis)
  await stage.apply(0, single(1))
  await work(publish)
  const old = (await readByKey('SingleRow', 'acme', ['a']))!
  await fill(old)
  expect(await cached()).toBe('{"id":"a","n":1}')

  await stage.apply(0, single(2))
  await work(publish)
  const pushed = JSON.stringify({ fields: '{"id":"a","n":2}', key: '["a"]', incomplete: false, classes: 1 })
  expect(await cached(), 'what was there is there in its new version').toBe(pushed)
  await fill(old)
  expect(await cached()).toBe(pushed)
  await fill((await readByKey('SingleRow', 'acme', ['a']))!)
  expect(await cached()).toBe('{"id":"a","n":2}')

  await stage.apply(0, change('Single', { id: 'a' }, 3))
  await work(publish)
  expect(await cached(), 'deleted').toBeUndefined()
})

describe('a row the engine changed is replaced under the key by which the gateway fills it', () => {
  const cases: readonly {
    readonly name: string
    readonly view: string
    readonly entity: string
    readonly row: Parameters<typeof change>[1]
    readonly tenant: string | null
    readonly asked: RowKey
  }[] = [
    {
      name: 'a single key',
      view: 'SingleRow',
      entity: 'Single',
      row: { id: 'é"\\', tenantId: 'acme' },
      tenant: 'acme',
      asked: ['é"\\'],
    },
    {
      name: 'a composite key',
      view: 'PairRow',
      entity: 'Pair',
      row: { a: 'x', bay: 7, tenantId: 'acme' },
      tenant: 'acme',
      asked: ['7', 'x'],
    },
    {
      name: 'a key that holds the tenant column',
      view: 'OwnedRow',
      entity: 'Owned',
      row: { id: 'x', tenantId: 'acme' },
      tenant: 'acme',
      asked: ['x'],
    },
    {
      name: 'a group',
      view: 'City',
      entity: 'Sale',
      row: { id: 'x', tenantId: 'acme', city: 'Bonn' },
      tenant: 'acme',
      asked: ['Bonn'],
    },
    {
      name: 'the group of null',
      view: 'City',
      entity: 'Sale',
      row: { id: 'x', tenantId: 'acme', city: null },
      tenant: 'acme',
      asked: [null],
    },
    {
      name: 'a Long beyond 53 bits',
      view: 'LargeRow',
      entity: 'Large',
      row: { id: '9007199254740993' },
      tenant: null,
      asked: ['9007199254740993'],
    },
    {
      name: 'a DateTime',
      view: 'MomentRow',
      entity: 'Moment',
      row: { at: '2026-11-21T09:30:00.120000Z' },
      tenant: null,
      asked: ['2026-11-21T09:30:00.12Z'],
    },
  ]
  test.each(cases)('$name', async ({ view, entity, row, tenant, asked }) => {
    await stage.apply(0, change(entity, { ...row, n: 1 }, 1))
    await work(async () => undefined)
    const read = (await readByKey(view, tenant, asked))!
    const own = JSON.parse(read.key) as RowKey
    expect(own, 'found by the key under which it is filled').toEqual(asked)
    const name = names.row(tableOf(view).hash, tenant, own)
    const cached = async () => (await readRows(client, [name]))[0]?.row
    await client.del(rowCacheKey(name))
    await fillRow(client, name, { version: read.version, asOf: 1, feeds: '{}', row: read.fields }, 60_000)
    expect(await cached()).toBe(read.fields)

    await stage.apply(0, change(entity, { ...row, n: 2 }, 2))
    await work(publishTo(redis))
    const after = (await readByKey(view, tenant, asked))!
    expect(JSON.parse((await cached()) ?? '{}')).toMatchObject({ fields: after.fields, key: after.key })
    expect(after.fields).not.toBe(read.fields)
  })
})

test('C31 what is told of a change in the stream comes after its rows, numbered without a gap', async () => {
  const name = names.row(tableOf('SingleRow').hash, 'acme', ['a'])
  const seen: unknown[] = []
  const publish = publishTo(redis)
  let feed = ''
  const round = async (n: number) => {
    await stage.apply(0, single(n))
    await work(async (announced) => {
      feed = announced.feed
      await publish(announced)
      seen.push(announced.sequence)
    })
  }
  await round(1)
  const [row] = (await client.xrevrange(changeStream(feed), '+', '-', 'COUNT', 1))[0]!.slice(1) as [string[]]
  const message = readMessage(row[1]!)!
  expect(message).toMatchObject({ feed, sequence: seen[0], part: 1, parts: 1 })
  expect(message.groups).toEqual([
    {
      view: 'SingleRow',
      generation: expect.any(Number),
      hash: tableOf('SingleRow').hash,
      rows: { tenant: names.tenant('acme'), keys: [name] },
    },
  ])
  expect(JSON.stringify(row), 'C33 neither key nor tenant').not.toMatch(/acme/)
})

test('publishing never throws while Redis is gone, and drops rows again when it is back', async () => {
  const first = await ownRedis()
  const fragile = connectRedis(first.url)
  try {
    await until(async () => (await fragile.attempt((one) => one.ping())).ok, 'connected')
    const publish = publishTo(fragile)
    const told: unknown[] = []
    const round = async (n: number) => {
      await stage.apply(0, single(n))
      await work(async (announced) => {
        await publish(announced)
        told.push(announced.changed[0]!.version)
      })
    }
    await round(1)
    await first.kill9()
    for (const n of [2, 3, 4, 5, 6]) await round(n)
    expect(told).toHaveLength(6)
    expect(await stage.read('SingleRow', 'a')).toMatchObject({ n: 6 })
    expect(fragile.state()).not.toBe('CLOSED')

    const second = await ownRedis({ port: Number(new URL(first.url).port) })
    try {
      await until(() => fragile.state() === 'CLOSED', 'Redis is back')
      await round(7)
      const back = new Redis(second.url)
      const key = rowCacheKey(names.row(tableOf('SingleRow').hash, 'acme', ['a']))
      expect(await back.get(key)).toMatch(/^\d{20}tombstone$/)
      back.disconnect()
    } finally {
      await second.stop()
    }
  } finally {
    fragile.end()
    await first.stop()
  }
})
