/** A real Redis Cluster: rows of all slots, streams, and the way through a primary’s death. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { changeStream } from '../../src/platform/change-stream.ts'
import { createKeyHash } from '../../src/platform/key-hash.ts'
import { connectRedis, type RedisClient } from '../../src/platform/redis.ts'
import { fillRow, invalidateRows, readRows, rowCacheKey } from '../../src/platform/row-cache.ts'
import { until } from '../kafka/client.ts'
import { type RedisCluster, startRedisCluster } from '../support/redis-cluster.ts'

let cluster: RedisCluster
let redis: RedisClient
beforeAll(async () => {
  cluster = await startRedisCluster()
  redis = connectRedis(cluster.url)
  await until(async () => (await redis.attempt((client) => client.ping())).ok, 'the cluster answers')
}, 60_000)
afterAll(async () => {
  redis.end()
  await cluster.stop()
})

const { row } = createKeyHash('s'.repeat(64))
const names = Array.from({ length: 300 }, (_, i) => row('d', 'acme', [String(i)]))
const fill = (version: string) =>
  redis.attempt((client) =>
    Promise.all(names.map((name) => fillRow(client, name, { version, asOf: 1, feeds: '{}', row: version }, 60_000))),
  )
const read = async () => {
  const found = await redis.attempt((client) => readRows(client, names))
  return found.ok ? new Set(found.value.map((one) => one?.row)) : 'away'
}

test('rows of all slots are filled, read and dropped, one script call for all that lie together', async () => {
  expect(new Set(names.map((name) => rowCacheKey(name).replace(/\}.*/s, ''))).size).toBeGreaterThan(30)
  expect((await fill('1')).ok).toBe(true)
  expect(await read()).toEqual(new Set(['1']))
  const dropped = await redis.attempt((client) =>
    invalidateRows(
      client,
      names.map((name) => ({ name, version: 2n })),
    ),
  )
  expect(dropped).toEqual({ ok: true, value: new Set(names) })
  await fill('1')
  expect(await read(), 'C30 none of them comes back').toEqual(new Set([undefined]))
})

test('the streams of several feeds are read by one command', async () => {
  const streams = ['a', 'b', 'c'].map(changeStream)
  const found = await redis.attempt(async (client) => {
    for (const stream of streams) await client.xadd(stream, '*', 'm', stream)
    return client.xread('STREAMS', ...streams, ...streams.map(() => '0-0'))
  })
  expect(found).toMatchObject({
    ok: true,
    value: streams.map((stream) => [stream, [[expect.any(String), ['m', stream]]]]),
  })
})

test('while a primary is dead commands are refused at once, and are answered again when another has taken its place', {
  timeout: 60_000,
}, async () => {
  await cluster.killPrimaryOf(rowCacheKey(names[0]!))
  await until(async () => (await read()) === 'away', 'it is noticed')
  await until(async () => redis.state() !== 'CLOSED' || (await read()) !== 'away', 'it is given up, or over')
  await until(async () => (await fill('3')).ok, 'the cluster is whole again')
  expect(await read()).toEqual(new Set(['3']))
  expect(await cluster.healthy()).toBe(true)
})
