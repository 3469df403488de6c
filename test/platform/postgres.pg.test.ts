import { type AddressInfo, createServer, type Socket, connect as tcp } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import {
  codeOf,
  connect,
  isDataError,
  isRetriable,
  placeOf,
  type Sql,
  untilReachable,
} from '../../src/platform/postgres.ts'
import { untilBlocked } from '../law/stage.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'
import { startToxiproxy } from '../support/toxiproxy.ts'

let database: Database
const fresh = async (): Promise<Database> => (database ??= await freshDatabase())
afterAll(() => database?.drop())

test('a database is Postgres 18 or later, UTF8, ordered by code point, in UTC', async () => {
  const { sql, url } = await fresh()
  await untilReachable(sql, url)
  const [row] =
    await sql`select current_setting('TimeZone') as zone, array(select unnest(array['b','B','a','ä']) order by 1) as texts`
  expect(row).toEqual({ zone: 'UTC', texts: ['B', 'a', 'b', 'ä'] })
})

test('64-bit integers, decimals and microseconds come and go digit by digit', async () => {
  const { sql } = await fresh()
  const long = '9223372036854775807'
  const decimal = '123456789012345678901234567890.1200'
  const time = '2026-11-21 09:30:00.123456+00'
  const [row] =
    await sql`select ${long}::bigint as long, ${decimal}::numeric as decimal, ${time}::timestamptz as time, ${'2026-11-21'}::date as day, ${String(2n ** 62n)}::bigint as big`
  expect(row).toEqual({ long, decimal, time, day: '2026-11-21', big: String(2n ** 62n) })
})

test('an undefined parameter is refused', async () => {
  const { sql } = await fresh()
  await expect((async () => sql`select ${undefined as unknown as string}`)()).rejects.toThrow('UNDEFINED_VALUE')
})

test.each([
  ['select 1/0', '22012'],
  [`select 'x'::int`, '22P02'],
  ['select nothing', '42703'],
  [`do $$ begin raise 'x' using errcode = '23505'; end $$`, '23505'],
])('%s is the data or the statement at fault', async (statement, code) => {
  const { sql } = await fresh()
  const error = await sql.unsafe(statement).catch((failure: unknown) => failure)
  expect([codeOf(error), isDataError(error), isRetriable(error)]).toEqual([code, true, false])
})

test.each(['40001', '40P01', '57P01', '08006'])('SQLSTATE %s is worth another try', async (code) => {
  const { sql } = await fresh()
  const error = await sql
    .unsafe(`do $$ begin raise 'x' using errcode = '${code}'; end $$`)
    .catch((failure: unknown) => failure)
  expect([isDataError(error), isRetriable(error)]).toEqual([false, true])
})

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
  // The dying connection may take one more statement down with it.
  await expect.poll(() => victim`select 1 as one`.catch(isRetriable)).toEqual([{ one: 1 }])
  await victim.end()
})

test('a server that is back is found within a second, however long it was away', async () => {
  const { url } = await fresh()
  const port = Number(new URL(url).port)
  const sockets = new Set<Socket>()
  const relay = createServer((caller) => {
    const server = tcp(port, '127.0.0.1')
    for (const socket of [caller, server]) sockets.add(socket.on('error', () => {}))
    caller.pipe(server).pipe(caller)
  })
  const open = (at: number) => new Promise<void>((done) => relay.listen(at, '127.0.0.1', done))
  await open(0)
  const at = relay.address() as AddressInfo
  const through = new URL(url)
  through.port = String(at.port)
  const sql = connect(through.href, { max: 1, name: 'relayed' })
  await sql`select 1`
  const closed = new Promise((done) => relay.close(done))
  for (const socket of sockets) socket.destroy()
  await closed
  for (const end = Date.now() + 4_000; Date.now() < end; )
    expect(isRetriable(await sql`select 1`.catch((error: unknown) => error))).toBe(true)
  await open(at.port)
  const before = Date.now()
  await expect.poll(() => sql`select 1 as one`.catch(isRetriable), { timeout: 20_000 }).toEqual([{ one: 1 }])
  expect(Date.now() - before).toBeLessThan(2_000)
  await sql.end()
  relay.close()
  for (const socket of sockets) socket.destroy()
})

test('a connection that is closed amid a transaction is opened again, though the rollback found it closed', async () => {
  const { url, sql } = await fresh()
  const port = Number(new URL(url).port)
  const sockets = new Set<Socket>()
  const relay = createServer((caller) => {
    const server = tcp(port, '127.0.0.1')
    for (const socket of [caller, server]) sockets.add(socket.on('error', () => {}))
    caller.pipe(server).pipe(caller)
  })
  await new Promise<void>((done) => relay.listen(0, '127.0.0.1', done))
  const through = new URL(url)
  through.port = String((relay.address() as AddressInfo).port)
  const victim = connect(through.href, { max: 1, name: 'amid' })
  const began = victim.begin((tx) => tx`select pg_sleep(30)`).catch((error: unknown) => error)
  await expect
    .poll(() => sql`select from pg_stat_activity where application_name = 'forebay amid' and query like '%sleep%'`)
    .toHaveLength(1)
  // An orderly end rather than a reset: what is in flight fails once the socket is gone.
  for (const socket of sockets) socket.end()
  expect(isRetriable(await began)).toBe(true)
  expect(await victim`select 1 as one`).toEqual([{ one: 1 }])
  await victim.end()
  relay.close()
  for (const socket of sockets) socket.destroy()
}, 10_000)

test('an unreachable server is named without its password', async () => {
  const url = 'postgres://forebay:hunter2@127.0.0.1:1/shop'
  const sql = connect(url, { max: 1, name: 'nowhere' })
  const error = await untilReachable(sql, url, 300).catch((failure: unknown) => failure)
  expect(String(error)).toContain(`Postgres at 127.0.0.1:1/shop can't be reached`)
  expect(String(error)).toContain('set DATABASE_URL or leave it empty for the embedded one')
  expect(String(error)).not.toContain('hunter2')
  expect(placeOf('not a url, hunter2')).not.toContain('hunter2')
  await sql.end()
})

test('a wrong password is said at once, not retried', async () => {
  const { url } = await fresh()
  const wrong = new URL(url)
  wrong.password = 'wrong'
  const sql = connect(wrong.href, { max: 1, name: 'stranger' })
  const before = Date.now()
  await expect(untilReachable(sql, wrong.href)).rejects.toThrow('password authentication failed')
  expect(Date.now() - before).toBeLessThan(5_000)
  await sql.end()
})

test('a database that is not UTF8 is refused with what to do', async () => {
  const { sql, url } = await fresh()
  const name = `ascii_${process.pid}`
  await sql.unsafe(`create database ${name} template template0 encoding 'SQL_ASCII' locale 'C'`)
  const ascii = new URL(url)
  ascii.pathname = `/${name}`
  const there = connect(ascii.href, { max: 1, name: 'ascii' })
  await expect(untilReachable(there, ascii.href)).rejects.toThrow(/has encoding SQL_ASCII; Forebay needs UTF8/)
  await there.end()
  await sql.unsafe(`drop database ${name} with (force)`)
})

test('C4 a Postgres before 18 has no old images, so it is refused', async () => {
  // An older server is nowhere at hand on purpose: what it would answer is all that counts.
  const older = (async () => [{ number: 170_004, version: '17.4', encoding: 'UTF8' }]) as unknown as Sql
  await expect(untilReachable(older, 'postgres://u:hunter2@old/d')).rejects.toThrow(
    'Postgres at old:5432/d is version 17.4; Forebay needs 18 or later. Upgrade it or set another DATABASE_URL.',
  )
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
