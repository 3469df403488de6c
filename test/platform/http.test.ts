import { request as httpRequest } from 'node:http'
import { connect as tcp } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { healthRoutes } from '../../src/platform/health.ts'
import { json, serve } from '../../src/platform/http.ts'
import { HttpError } from '../../src/platform/http-problem.ts'
import { echo, hello, problemOf, start } from './serving.ts'

test('routes go by exact path, by parameter and by prefix', async () => {
  const { url } = await start([hello('/a'), hello('/ingest/:topic'), hello('/authz/*', '*'), hello('/ingest/known')])
  const get = async (path: string, method = 'GET') => (await fetch(url + path, { method })).json()
  expect(await get('/a?x=1&y=a%20b')).toEqual({ path: '/a', params: {}, query: { x: '1', y: 'a b' } })
  expect(await get('/ingest/a%2Fb.c')).toEqual({ path: '/ingest/:topic', params: { topic: 'a/b.c' }, query: {} })
  expect(await get('/ingest/known')).toMatchObject({ path: '/ingest/known' })
  expect(await get('/authz', 'DELETE')).toMatchObject({ path: '/authz/*' })
  expect(await get('/authz/v1/x', 'PUT')).toMatchObject({ path: '/authz/*' })
})

test('an unknown path is 404, a wrong method 405 with Allow, a broken encoding 400, all as problems', async () => {
  const { url } = await start([hello('/a'), hello('/ingest/:topic', 'POST')])
  expect(await problemOf(await fetch(`${url}/nowhere`))).toMatchObject({ status: 404, title: 'Not found' })
  expect((await fetch(`${url}/ingest/a/b`)).status).toBe(404)
  const wrong = await fetch(`${url}/a`, { method: 'DELETE' })
  expect(wrong.headers.get('allow')).toBe('GET, HEAD')
  expect(await problemOf(wrong)).toMatchObject({ status: 405 })
  expect(await problemOf(await fetch(`${url}/ingest/%E0%A4%A`, { method: 'POST' }))).toMatchObject({ status: 400 })
})

test('HEAD is answered as GET, without the body', async () => {
  const { url } = await start([hello('/a')])
  const response = await fetch(`${url}/a`, { method: 'HEAD' })
  expect([response.status, await response.text()]).toEqual([200, ''])
})

test('two routes for one method and path are refused', async () => {
  await expect(serve({ port: 0, routes: [hello('/a'), hello('/a')] })).rejects.toThrow('two routes')
})

test.each([
  ['nonsense', '{"a":', 'not JSON'],
  ['bytes that are no UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'not JSON'],
  ['nothing', '', 'empty'],
])('a body of %s is a 400', async (_, body, said) => {
  const { url } = await start([echo])
  const answer = await problemOf(await fetch(`${url}/echo`, { method: 'POST', body }))
  expect(answer).toMatchObject({ status: 400, title: 'Malformed JSON' })
  expect(answer.detail).toContain(said)
})

test('a body beyond 1 MiB is a 413, said in its length or found on the way, and one of 1 MiB is taken', async () => {
  const { url } = await start([echo])
  const whole = JSON.stringify('x'.repeat(1_048_574))
  expect((await fetch(`${url}/echo`, { method: 'POST', body: whole })).status).toBe(200)
  expect(await problemOf(await fetch(`${url}/echo`, { method: 'POST', body: `${whole} ` }))).toMatchObject({
    status: 413,
  })
  const chunked = httpRequest(`${url}/echo`, { method: 'POST' })
  const answered = new Promise<number | undefined>((done, fail) =>
    chunked.on('response', (response) => done(response.statusCode)).on('error', fail),
  )
  for (let i = 0; i < 20; i++) chunked.write('x'.repeat(65_536))
  expect(await answered).toBe(413)
  chunked.destroy()
})

test('a body in an encoding that is not known is a 415, which says what is', async () => {
  const { url } = await start([echo])
  const answer = await fetch(`${url}/echo`, { method: 'POST', body: '{}', headers: { 'content-encoding': 'lzma' } })
  expect(answer.headers.get('accept-encoding')).toBe('gzip, deflate, br, zstd')
  expect(await problemOf(answer)).toMatchObject({ status: 415 })
})

test('a handler that throws becomes a 500 that says only the request id, an HttpError what it says', async () => {
  const { url } = await start([
    {
      method: 'GET',
      path: '/bug',
      handle: async () => {
        throw new Error('select secret from customers')
      },
    },
    {
      method: 'GET',
      path: '/known',
      handle: async () => {
        throw new HttpError(409, { title: 'Taken', detail: 'Somebody was first.' })
      },
    },
  ])
  const bug = await fetch(`${url}/bug`, { headers: { 'x-request-id': 'abc-1' } })
  const answer = await problemOf(bug)
  expect(answer).toMatchObject({
    status: 500,
    detail: 'Something went wrong here; it is logged under request id abc-1.',
  })
  expect(JSON.stringify(answer)).not.toContain('secret')
  expect(await problemOf(await fetch(`${url}/known`))).toEqual({
    type: 'about:blank',
    title: 'Taken',
    status: 409,
    detail: 'Somebody was first.',
  })
})

test('a plain request id is kept, any other replaced', async () => {
  const { url } = await start([hello('/a')])
  const idOf = async (given?: string) =>
    (await fetch(`${url}/a`, given ? { headers: { 'x-request-id': given } } : {})).headers.get('x-request-id')
  expect(await idOf('trace.1:2_3-4')).toBe('trace.1:2_3-4')
  expect(await idOf('a b')).toMatch(/^[0-9a-f-]{36}$/)
  expect(await idOf('x'.repeat(65))).toMatch(/^[0-9a-f-]{36}$/)
  expect(await idOf()).toMatch(/^[0-9a-f-]{36}$/)
})

test.each([
  ['what is no HTTP', 'HELO mail\r\n\r\n', 400],
  ['headers beyond 16 KiB', `GET /a HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`, 431],
])('%s is answered with a problem', async (_, bytes, status) => {
  const { port } = await start([hello('/a')])
  const socket = tcp(port, '127.0.0.1')
  socket.write(bytes)
  const answer = await text(socket)
  expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
  expect(JSON.parse(answer.split('\r\n\r\n')[1] ?? '')).toMatchObject({ status })
})

test('closing lets the answer under way finish and says Connection: close', async () => {
  const gate = Promise.withResolvers<void>()
  const server = await start([
    {
      method: 'GET',
      path: '/slow',
      handle: async ({ response }) => {
        await gate.promise
        json(response, 200, 'done')
      },
    },
  ])
  const answer = fetch(`${server.url}/slow`)
  await new Promise((done) => setTimeout(done, 50))
  const closed = server.close()
  await expect(fetch(`${server.url}/slow`)).rejects.toThrow()
  gate.resolve()
  expect(await (await answer).json()).toBe('done')
  await closed
})

test('closing cuts what does not finish in time', async () => {
  const server = await start([{ method: 'GET', path: '/never', handle: () => new Promise(() => {}) }], 100)
  const answer = fetch(`${server.url}/never`).catch((error: unknown) => error)
  await new Promise((done) => setTimeout(done, 50))
  const before = Date.now()
  await server.close()
  expect(Date.now() - before).toBeLessThan(1_000)
  expect(await answer).toBeInstanceOf(Error)
})

test('a port that is taken is said with its remedy', async () => {
  const { port } = await start([])
  await expect(serve({ port, routes: [] })).rejects.toThrow(
    `Port ${port} on 127.0.0.1 can't be opened: another program has it; set PORT to a free one`,
  )
})

test('readiness names every check, and a failing or hanging one is not ready', async () => {
  const checks = {
    good: async () => ({ ready: true }),
    bad: async () => {
      throw new Error('postgres://u:hunter2@h')
    },
    hangs: () => new Promise<never>(() => {}),
  }
  const { url } = await start(healthRoutes(checks))
  expect((await fetch(`${url}/healthz`)).status).toBe(200)
  const response = await fetch(`${url}/readyz`)
  expect([response.status, await response.json()]).toEqual([
    503,
    {
      status: 'not ready',
      checks: {
        good: { ready: true },
        bad: { ready: false, reason: 'the check failed' },
        hangs: { ready: false, reason: 'no answer in time' },
      },
    },
  ])
})

test('requests are counted by route, never by path', async () => {
  const { url } = await start([...healthRoutes({}), hello('/counted/:topic')])
  await fetch(`${url}/counted/somebody@example.com`)
  await fetch(`${url}/nowhere/somebody@example.com`)
  expect((await fetch(`${url}/readyz`)).status).toBe(200)
  const metrics = await (await fetch(`${url}/metrics`)).text()
  expect(metrics).toContain('forebay_http_request_seconds_count{route="/counted/:topic",method="GET",status="200"} 1')
  expect(metrics).not.toContain('somebody')
  expect(metrics).toContain('process_resident_memory_bytes')
})
