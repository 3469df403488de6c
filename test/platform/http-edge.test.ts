import { connect as tcp } from 'node:net'
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { healthRoutes } from '../../src/platform/health.ts'
import { json, type Route } from '../../src/platform/http.ts'
import { series } from '../support/metrics.ts'
import { echo, hello, problemOf, serving, start } from './serving.ts'

const packed: Record<string, (plain: string) => Buffer> = {
  gzip: gzipSync,
  deflate: deflateSync,
  br: brotliCompressSync,
  zstd: zstdCompressSync,
}
test.each(Object.entries(packed))('a body packed by %s is unpacked, and bounded once it is', async (encoding, pack) => {
  const bounded: Route = { ...echo, handle: async (context) => json(context.response, 200, await context.json(10_000)) }
  const { url } = await start([bounded])
  const send = (body: Buffer | string) =>
    fetch(`${url}/echo`, { method: 'POST', headers: { 'content-encoding': encoding }, body })
  expect(await (await send(pack('{"a":1}'))).json()).toEqual({ a: 1 })
  const bomb = pack(JSON.stringify('0'.repeat(5_000_000)))
  expect(bomb.length).toBeLessThan(10_000)
  expect(await problemOf(await send(bomb))).toMatchObject({ status: 413, title: 'Body too large' })
  expect(await problemOf(await send('{"a":1}'))).toMatchObject({ status: 400, title: 'Malformed encoding' })
})

test('who goes away is told of by an abort, and who got its answer is not', async () => {
  const asked: AbortSignal[] = []
  const [held, seen] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const wait: Route = {
    method: 'GET',
    path: '/wait/:how',
    handle: async ({ gone, response, params }) => {
      asked.push(gone)
      seen.resolve()
      if (params.how === 'long') await held.promise
      json(response, 200, {})
    },
  }
  const { url } = await start([wait])
  await (await fetch(`${url}/wait/short`)).text()
  const abort = new AbortController()
  const given = fetch(`${url}/wait/long`, { signal: abort.signal }).catch(() => 'gone')
  await expect.poll(() => asked.length).toBe(2)
  abort.abort()
  expect(await given).toBe('gone')
  await expect.poll(() => asked[1]!.aborted).toBe(true)
  held.resolve()
  expect(asked[0]!.aborted).toBe(false)
})

test('a caller that does not read what is out is cut off, and one that reads is not', async () => {
  const patience = { ms: 500, bytesPerSecond: 8 * 1_048_576 }
  const much: Route = {
    method: 'GET',
    path: '/much',
    handle: async ({ response }) => void response.end(Buffer.alloc(32 * 1_048_576)),
  }
  const server = await serving({ port: 0, routes: [much, ...healthRoutes({})], patience })
  const closed = Promise.withResolvers<void>()
  const idle = tcp(server.port, '127.0.0.1', () => idle.write('GET /much HTTP/1.1\r\nHost: x\r\n\r\n'))
  idle.pause()
  idle.on('error', () => {}).on('close', () => closed.resolve())
  const answer = await (await fetch(`http://127.0.0.1:${server.port}/much`)).arrayBuffer()
  expect(answer.byteLength).toBe(32 * 1_048_576)
  const ended = async () => (await series(`http://127.0.0.1:${server.port}`, 'forebay_http_slow_readers_total')).get('')
  await expect.poll(ended, { timeout: 30_000 }).toBe(1)
  idle.resume()
  await closed.promise
})

test('pages of declared origins may ask, others and those of none may not', async () => {
  const server = await serving({
    port: 0,
    routes: [hello('/a', ['GET', 'POST'])],
    origins: ['https://console.example'],
  })
  const ask = (method: string, origin: string, more: Record<string, string> = {}) =>
    fetch(`http://127.0.0.1:${server.port}/a`, { method, headers: { origin, ...more } })
  const own = await ask('OPTIONS', 'https://console.example', {
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization, forebay-wait',
  })
  expect([own.status, own.headers.get('access-control-allow-origin')]).toEqual([204, 'https://console.example'])
  expect(own.headers.get('access-control-allow-headers')).toBe('authorization, forebay-wait')
  expect(own.headers.get('access-control-allow-credentials')).toBe(null)
  const answer = await ask('GET', 'https://console.example')
  expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([200, 'https://console.example'])
  expect(answer.headers.get('access-control-expose-headers')).toContain('Forebay-As-Of')
  const other = await ask('GET', 'https://elsewhere.example')
  expect(other.headers.get('access-control-allow-origin')).toBe(null)
  const none = await start([hello('/a', ['GET', 'POST'])])
  const closed = await fetch(`${none.url}/a`, {
    method: 'OPTIONS',
    headers: { origin: 'https://console.example', 'access-control-request-method': 'POST' },
  })
  expect([closed.status, closed.headers.get('access-control-allow-origin')]).toEqual([405, null])
})

test('a server that leaves ends the connection with each answer, and still takes new ones', async () => {
  const server = await start([hello('/a')])
  const before = await fetch(`${server.url}/a`)
  server.leave()
  const after = await fetch(`${server.url}/a`)
  expect([before.headers.get('connection'), after.status, after.headers.get('connection')]).toEqual([
    'keep-alive',
    200,
    'close',
  ])
})
