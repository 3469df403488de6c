/** What a pool does where a connection is lost, and leaves undone. */
import { type AddressInfo, createServer, type Socket, connect as tcp } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { codeOf, connect, isRetriable } from '../../src/platform/postgres.ts'
import { untilBlocked } from '../law/stage.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'
import { BUILD_MS, buildToxiproxy, startToxiproxy } from '../support/toxiproxy.ts'

beforeAll(buildToxiproxy, BUILD_MS)

let database: Database
const fresh = async (): Promise<Database> => (database ??= await freshDatabase())
afterAll(() => database?.drop())

let relays = 0
/** One connection through a relay that can be cut, and opened again where it was. */
const relayed = async () => {
  const { url } = await fresh()
  const port = Number(new URL(url).port)
  const sockets = new Set<Socket>()
  const relay = createServer((caller) => {
    const server = tcp(port, '127.0.0.1')
    for (const socket of [caller, server]) sockets.add(socket.on('error', () => {}))
    caller.pipe(server).pipe(caller)
  })
  const open = (at = 0) => new Promise<void>((done) => relay.listen(at, '127.0.0.1', done))
  await open()
  const at = (relay.address() as AddressInfo).port
  const through = Object.assign(new URL(url), { port: String(at) })
  const name = `relayed ${++relays}`
  const victim = connect(through.href, { max: 1, name })
  const cut = (how: (socket: Socket) => unknown) => {
    for (const socket of sockets) how(socket)
    sockets.clear()
  }
  onTestFinished(async () => {
    cut((socket) => socket.destroy())
    await victim.end({ timeout: 1 })
    relay.close()
  })
  return {
    victim,
    /** Of its session, in pg_stat_activity. */
    name: `forebay ${name}`,
    cut,
    async close() {
      const closed = new Promise((done) => relay.close(done))
      cut((socket) => socket.destroy())
      await closed
    },
    reopen: () => open(at),
  }
}

test('a connection that is cut is retriable, and the pool recovers', async () => {
  const { url, sql } = await fresh()
  const victim = connect(url, { max: 1, name: 'victim' })
  const [me] = await victim`select pg_backend_pid() as pid`
  const sleeping = victim`select pg_sleep(30)`.catch((failure: unknown) => failure)
  await expect
    .poll(
      () => sql`select 1 from pg_stat_activity where pid = ${me?.pid} and query like '%sleep%' and state = 'active'`,
    )
    .toHaveLength(1)
  await sql`select pg_terminate_backend(${me?.pid})`
  expect(isRetriable(await sleeping)).toBe(true)
  expect(await victim`select 1 as one`).toEqual([{ one: 1 }])
  await victim.end()
})

test('a server that is back is found within a second, however long it was away', async () => {
  const { victim, close, reopen } = await relayed()
  await victim`select 1`
  await close()
  for (const end = Date.now() + 4_000; Date.now() < end; )
    expect(isRetriable(await victim`select 1`.catch((error: unknown) => error))).toBe(true)
  await reopen()
  const before = Date.now()
  await expect.poll(() => victim`select 1 as one`.catch(isRetriable), { timeout: 20_000 }).toEqual([{ one: 1 }])
  expect(Date.now() - before).toBeLessThan(2_000)
})

const cuts: [string, (socket: Socket) => unknown][] = [
  ['an orderly end, so that what is in flight fails once the socket is gone', (socket) => socket.end()],
  ['a reset, so that the rollback is asked for before the socket is gone', (socket) => socket.resetAndDestroy()],
]

test.each(cuts)('a connection that is lost amid a transaction is opened again: %s', async (_, how) => {
  const { sql } = await fresh()
  const { victim, name, cut } = await relayed()
  const began = victim.begin((tx) => tx`select pg_sleep(30)`).catch((error: unknown) => error)
  await expect
    .poll(() => sql`select from pg_stat_activity where application_name = ${name} and query like '%sleep%'`)
    .toHaveLength(1)
  cut(how)
  expect(isRetriable(await began)).toBe(true)
  const answer = victim.begin((tx) => tx`select ${'1'}::int as one`)
  expect(await Promise.race([answer, sleep(5_000, 'no answer')])).toEqual([{ one: 1 }])
})

test.each(cuts)('a transaction whose connection is lost writes nothing into the next one on it: %s', async (_, how) => {
  const { sql } = await fresh()
  await sql`create table if not exists written (of text)`
  await sql`truncate written`
  const { victim, cut } = await relayed()
  const reached = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  const late = Promise.withResolvers<unknown>()
  const lost = victim
    .begin(async (tx) => {
      await tx`insert into written values ('lost')`
      reached.resolve()
      await goOn.promise
      late.resolve(await tx`insert into written values ('late')`.catch((error: unknown) => error))
    })
    .catch((error: unknown) => error)
  await reached.promise
  cut(how)
  expect(isRetriable(await lost)).toBe(true)
  await victim.begin(async (tx) => {
    await tx`insert into written values ('next')`
    goOn.resolve()
    expect(isRetriable(await late.promise)).toBe(true)
  })
  expect(await sql`select of from written`).toEqual([{ of: 'next' }])
})

test('a result that is broken off leaves nothing in the next one', async () => {
  const { sql } = await fresh()
  const { victim, name, cut } = await relayed()
  const broken = victim`select i, pg_sleep(case when i > 2000 then 30 else 0 end) from generate_series(1, 3000) i`
  const failed = broken.catch((error: unknown) => error)
  await expect
    .poll(() => sql`select from pg_stat_activity where application_name = ${name} and wait_event = 'PgSleep'`)
    .toHaveLength(1)
  cut((socket) => socket.end())
  expect(isRetriable(await failed)).toBe(true)
  expect(await victim`select 1 as one`).toEqual([{ one: 1 }])
})

test('transactions that the server ends while this process stands still leave the pool able to go on', async () => {
  const { sql, url } = await fresh()
  const pool = connect(url, { max: 2, name: 'test', settings: { idle_in_transaction_session_timeout: '200ms' } })
  // Holds both transactions up in a statement, and lets go by itself while this process is frozen.
  const held = sql.unsafe('select pg_advisory_xact_lock(74999, 1); select pg_sleep(1)').simple()
  held.catch(() => {})
  await new Promise((done) => setTimeout(done, 100))
  const work = () =>
    pool.begin(async (tx) => {
      await tx`select pg_advisory_xact_lock_shared(74999, 1)`
      await tx`select 1`
      return 'done'
    })
  const first = [work(), work()].map((one) => one.catch((error: unknown) => codeOf(error)))
  await untilBlocked(sql, 2)
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_000)
  expect(await Promise.all(first)).toEqual(['CONNECTION_CLOSED', 'CONNECTION_CLOSED'])
  await held
  expect(await Promise.all([work(), work()])).toEqual(['done', 'done'])
  await pool.end({ timeout: 1 })
}, 20_000)

describe('a network that swallows what is sent', () => {
  const graceMs = 5_000
  const open = async () => {
    const { url } = await fresh()
    const proxy = await startToxiproxy(Number(new URL(url).port))
    const through = Object.assign(new URL(url), { port: String(proxy.port) }).href
    const sql = connect(through, { max: 1, name: 'swallowed', statementTimeoutMs: 300 })
    onTestFinished(async () => {
      await sql.end({ timeout: 1 })
      await proxy.stop()
    })
    return { sql, swallow: (stream: 'upstream' | 'downstream') => proxy.add(swallows, stream) }
  }
  const swallows = { type: 'timeout', attributes: { timeout: 0 } } as const

  test.concurrent.for(['upstream', 'downstream'] as const)(
    '%s: a statement is given up and worth another try, which goes through once the network is back',
    async (stream) => {
      const { sql, swallow } = await open()
      await sql`select 1`
      const end = await swallow(stream)
      const began = performance.now()
      const error = await sql`select 1`.catch((failure: unknown) => failure)
      expect(performance.now() - began).toBeLessThan(graceMs + 3_000)
      expect([codeOf(error), isRetriable(error)]).toEqual(['CONNECTION_CLOSED', true])
      await end()
      expect(await sql`select 1 as n`).toEqual([{ n: 1 }])
    },
  )

  test.concurrent('a connection that is asked nothing is left alone, and a transaction is given up as well', async () => {
    const { sql, swallow } = await open()
    const [{ pid }] = (await sql`select pg_backend_pid() as pid`) as unknown as [{ pid: number }]
    // Longer than it takes to give up: who asks nothing waits for nothing.
    await sleep(graceMs + 1_000)
    expect(await sql`select pg_backend_pid() as pid`).toEqual([{ pid }])
    const end = await swallow('downstream')
    const error = await sql.begin((tx) => tx`select 1`).catch((failure: unknown) => failure)
    expect(codeOf(error)).toBe('CONNECTION_CLOSED')
    await end()
    expect(await sql.begin((tx) => tx`select 1 as n`)).toEqual([{ n: 1 }])
  })
})

test('who is let in and sent off at once is told so, and a pool whose peer does that does not knock without a pause', async () => {
  let knocks = 0
  const balancer = createServer((caller) => {
    knocks += 1
    caller.on('error', () => {}).destroy()
  })
  await new Promise<void>((done) => balancer.listen(0, '127.0.0.1', done))
  const { port } = balancer.address() as AddressInfo
  const pool = connect(`postgres://law@127.0.0.1:${port}/law`, { max: 1, name: 'sent off' })
  onTestFinished(async () => {
    await pool.end({ timeout: 1 })
    balancer.close()
  })
  const failed = (work: Promise<unknown>) =>
    Promise.race([
      work.catch((error: unknown) => error),
      sleep(5_000).then(() => new Error(`nothing in 5 s, and ${knocks} attempts`)),
    ])
  for (const error of [
    await failed(pool`select 1`),
    await failed(pool.begin((tx) => tx`select 1`)),
    await failed(pool.reserve()),
  ])
    expect(codeOf(error), String(error)).toBe('CONNECTION_CLOSED')
  const all = await Promise.all([1, 2, 3, 4].map((n) => failed(pool`select ${n}`)))
  for (const error of all) expect(isRetriable(error), String(error)).toBe(true)
  expect(knocks).toBeLessThan(20)
})
