/**
 * law 6: with and without caches, and with Redis dying midway, answers are equal and never older than asked. Two writers write, maintenance works it
 * in, and gateways with and without caches are asked for the same few keys all the while; Redis is killed, stands still, is slow and comes back empty, a primary of its
 * cluster dies, and where the feed comes over Postgres its connections are cut and its owner's too. Every answer is held against what was in the log when: nothing
 * from before its own asOf, or from before what was asked, may be missing. In the end all of them answer what is in the table.
 *
 * LAW6_SECONDS: how long each (default 4); FOREBAY_LAW_SEED: which schedule.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterEach, test } from 'vitest'
import { until } from '../kafka/client.ts'
import { ownRedis, pidOf, type RedisService } from '../support/redis.ts'
import { startRedisCluster } from '../support/redis-cluster.ts'
import { holdLaw6 } from './law6.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

test('law 6 with the feed and the rows in a Redis that is killed, stands still and is slow', {
  timeout: 120_000,
}, async () => {
  let redis: RedisService = await ownRedis()
  closing.push(() => redis.stop())
  const { url } = redis
  const port = Number(new URL(url).port)
  await holdLaw6(closing, url, async (_, over) => {
    while (!over()) {
      await sleep(600)
      const pid = await pidOf(url)
      process.kill(pid, 'SIGSTOP')
      await sleep(400)
      process.kill(pid, 'SIGCONT')
      await sleep(600)
      const slow = new Redis(url)
      for (let times = 0; times < 5; times++) {
        await slow.client('PAUSE', 60, 'ALL')
        await sleep(80)
      }
      slow.disconnect()
      await sleep(600)
      await redis.kill9()
      await sleep(300)
      redis = await ownRedis({ port })
    }
  })
})

test('law 6 with the feed over Postgres, of which connections are cut and the owner too', {
  timeout: 120_000,
}, async () => {
  await holdLaw6(closing, undefined, async ({ database: { sql } }, over) => {
    while (!over()) {
      for (const name of ['change feed', 'owner', 'desk', 'gateway reads']) {
        await sleep(300)
        await sql`select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and application_name = ${`forebay ${name}`}`
      }
    }
  })
})

test('law 6 with a Redis Cluster of which the primaries of rows and of the feed die, and their replicas take over', {
  timeout: 180_000,
}, async () => {
  const cluster = await startRedisCluster()
  closing.push(() => cluster.stop())
  await holdLaw6(closing, cluster.url, async () => {
    await sleep(1_000)
    await cluster.killPrimaryOf('{changes}')
    await until(cluster.healthy, 'a replica has taken over')
  })
})
