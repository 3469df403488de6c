import { createServer, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { connectRedis, type RedisClient } from '../../src/platform/redis.ts'
import { ownRedis, pidOf } from '../support/redis.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})
const client = (url: string): RedisClient => {
  const redis = connectRedis(url)
  cleanups.push(() => redis.end())
  return redis
}
const get = (redis: RedisClient, key = 'k') => redis.attempt((commands) => commands.get(key))
const timed = async <T>(work: () => Promise<T>): Promise<readonly [T, number]> => {
  const before = performance.now()
  return [await work(), performance.now() - before]
}
const up = async () => {
  const server = await ownRedis()
  cleanups.push(() => server.stop())
  return server
}

test('commands are answered, those of one tick together', async () => {
  const { url } = await up()
  const redis = client(url)
  await expect.poll(() => redis.attempt((commands) => commands.set('k', 'v'))).toEqual({ ok: true, value: 'OK' })
  const answers = await Promise.all(Array.from({ length: 100 }, () => get(redis)))
  expect(answers).toEqual(Array(100).fill({ ok: true, value: 'v' }))
  expect(await get(redis, 'other')).toEqual({ ok: true, value: null })
})

test('a Redis that dies is given up at once and found again when it is back', async () => {
  const first = await ownRedis()
  const port = Number(new URL(first.url).port)
  const redis = client(first.url)
  await expect.poll(() => get(redis)).toEqual({ ok: true, value: null })
  await first.kill9()
  const [, slow] = await timed(() => Promise.all(Array.from({ length: 20 }, () => get(redis))))
  expect(slow).toBeLessThan(1_000)
  await expect.poll(async () => [await get(redis), redis.state() === 'CLOSED']).toEqual([{ ok: false }, false])
  const [answer, quick] = await timed(() => get(redis))
  expect([answer, quick < 100]).toEqual([{ ok: false }, true])
  const second = await ownRedis({ port })
  cleanups.push(() => second.stop())
  await expect.poll(() => get(redis), { timeout: 10_000 }).toEqual({ ok: true, value: null })
  expect(redis.state()).toBe('CLOSED')
})

test('a server that takes connections and never answers costs one timeout, not one a command', async () => {
  const sockets = new Set<Socket>()
  const silent = createServer((socket) => void sockets.add(socket.on('error', () => {})))
  await new Promise<void>((done) => silent.listen(0, '127.0.0.1', done))
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy()
    silent.close()
  })
  const address = silent.address()
  const redis = client(`redis://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`)
  const [, first] = await timed(() => Promise.all([get(redis), get(redis), get(redis), get(redis)]))
  expect(first).toBeLessThan(1_000)
  const [answer, later] = await timed(() => get(redis))
  expect([answer, later < 100]).toEqual([{ ok: false }, true])
})

test('a Redis that was never there delays nothing and throws nothing', async () => {
  const redis = client('redis://127.0.0.1:1')
  const [answers, took] = await timed(() => Promise.all(Array.from({ length: 50 }, () => get(redis))))
  expect(answers).toEqual(Array(50).fill({ ok: false }))
  expect(took).toBeLessThan(1_000)
  expect(redis.state()).toBe('OPEN')
})

test('a hung server (SIGSTOP) costs at most one timeout, and is used again when it goes on', async () => {
  const { url } = await up()
  const redis = client(url)
  await expect.poll(() => get(redis)).toEqual({ ok: true, value: null })
  const pid = await pidOf(url)
  process.kill(pid, 'SIGSTOP')
  cleanups.push(() => process.kill(pid, 'SIGCONT'))
  const [, took] = await timed(() => Promise.all(Array.from({ length: 10 }, () => get(redis))))
  expect(took).toBeLessThan(1_000)
  expect(redis.state()).not.toBe('CLOSED')
  process.kill(pid, 'SIGCONT')
  await expect.poll(() => get(redis), { timeout: 5_000 }).toEqual({ ok: true, value: null })
})
