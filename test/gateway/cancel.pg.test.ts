/** Statements that nobody waits for any more, that take too long, and that come while all connections are at work. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createRunner, readPool } from '../../src/gateway/read/statements.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'
import { until } from './support/asking.ts'
import { desk } from './support/desk.ts'
import { readModel, startWorld } from './support/world.ts'

let database: Database
beforeAll(async () => {
  database = await freshDatabase()
})
afterAll(() => database.drop())

const atWork = async (sql: Sql, text: string): Promise<number> => {
  const [row] = await sql<{ n: number }[]>`
    select count(*)::int as n from pg_stat_activity where state = 'active' and query like ${`%${text}%`} and pid <> pg_backend_pid()`
  return row!.n
}
const withReads = async <T>(more: object, work: (sql: Sql) => Promise<T>): Promise<T> => {
  const sql = connect(database.url, { ...readPool, ...more })
  try {
    return await work(sql)
  } finally {
    await sql.end({ timeout: 1 })
  }
}
const sleeps = { text: `select 'sleeper', pg_sleep(60)`, values: [] }
const code = (error: { extensions?: { code?: unknown } }) => error.extensions?.code

test('a caller that goes away ends its statement in Postgres, and its connection serves the next', async () => {
  await withReads({ max: 1, statementTimeoutMs: 60_000 }, async (sql) => {
    const run = createRunner(sql)
    const away = new AbortController()
    const answer = run(sleeps, false, away.signal).catch(code)
    await until(async () => (await atWork(database.sql, 'sleeper')) === 1)
    away.abort()
    expect(await answer).toBe('UNAVAILABLE')
    await until(async () => (await atWork(database.sql, 'sleeper')) === 0)
    expect(await run({ text: 'select 1 as one', values: [] }, true)).toEqual([{ one: 1 }])
  })
})

test('one that left before it was its turn is never sent', async () => {
  await withReads({ max: 1, statementTimeoutMs: 60_000 }, async (sql) => {
    const sent: string[] = []
    const run = createRunner(sql, ({ text }) => sent.push(text))
    const [first, second] = [new AbortController(), new AbortController()]
    const busy = run(sleeps, false, first.signal).catch(code)
    const waiting = run({ text: 'select 2 as two', values: [] }, false, second.signal).catch(code)
    second.abort()
    first.abort()
    expect(await Promise.all([busy, waiting])).toEqual(['UNAVAILABLE', 'UNAVAILABLE'])
    expect(sent).toEqual([sleeps.text])
    // The connection that was being opened for it is of use to others.
    expect(await run({ text: 'select 3 as three', values: [] }, false)).toEqual([{ three: 3 }])
  })
})

test('no statement goes out behind a slow one while another connection is free', async () => {
  await withReads({ max: 2, statementTimeoutMs: 60_000 }, async (sql) => {
    const run = createRunner(sql)
    const away = new AbortController()
    const slow = run(sleeps, false, away.signal).catch(code)
    await until(async () => (await atWork(database.sql, 'sleeper')) === 1)
    const quick = await Promise.all(
      Array.from({ length: 40 }, (_, i) => run<{ i: number }>({ text: `select ${i} as i`, values: [] }, false)),
    )
    expect(quick.flat().map(({ i }) => i)).toEqual(Array.from({ length: 40 }, (_, i) => i))
    expect(await atWork(database.sql, 'sleeper')).toBe(1)
    away.abort()
    await slow
  })
})

test('what takes too long is stopped, and TOO_COSTLY says what to ask instead', async () => {
  await withReads({ max: 1, statementTimeoutMs: 100 }, async (sql) => {
    const run = createRunner(sql)
    const error = await run(sleeps, false).catch((one: Error) => one)
    expect(error).toMatchObject({ extensions: { code: 'TOO_COSTLY' }, message: expect.stringContaining('Ask by key') })
  })
})

test('a cancel that was meant for the statement before costs the next one nothing', async () => {
  await withReads({ max: 1, statementTimeoutMs: 60_000 }, async (sql) => {
    let pid = 0
    const run = createRunner(sql)
    const [row] = await run<{ pid: number }>({ text: 'select pg_backend_pid() as pid', values: [] }, false)
    pid = row!.pid
    const answer = run<{ done: string }>({ text: `select 'late' || pg_sleep(1)::text as done`, values: [] }, false)
    await until(async () => (await atWork(database.sql, `'late'`)) === 1)
    await database.sql`select pg_cancel_backend(${pid})`
    expect(await answer).toEqual([{ done: 'late' }])
  })
})

test('a caller that hangs up in the middle of a page ends its statement', async () => {
  const world = await startWorld({ model: await readModel('test/graphql/schema'), rows: desk })
  const { table } = world.views.get('CustomerCard')!.table
  const lock = await world.database.sql.reserve()
  try {
    await lock.unsafe(`begin; lock table ${table} in access exclusive mode`)
    const away = new AbortController()
    const page = world.ask(
      '{ customerCards(first: 3) { nodes { id } } }',
      { roles: ['AGENT'] },
      {},
      { signal: away.signal },
    )
    const ended = page.then(
      () => 'answered',
      () => 'left',
    )
    await until(async () => (await atWork(world.database.sql, 'customer_card')) === 1)
    away.abort()
    expect(await ended).toBe('left')
    await until(async () => (await atWork(world.database.sql, 'customer_card')) === 0)
  } finally {
    await lock.unsafe('rollback')
    lock.release()
    await world.stop()
  }
})

test('a server that is gone when a statement is to be cancelled ends no process', async () => {
  const unheard: unknown[] = []
  const hear = (error: unknown) => unheard.push(error)
  process.on('unhandledRejection', hear)
  try {
    await withReads({ max: 1, statementTimeoutMs: 60_000 }, async (sql) => {
      const run = createRunner(sql)
      const away = new AbortController()
      const answer = run(sleeps, false, away.signal).catch(code)
      await until(async () => (await atWork(database.sql, 'sleeper')) === 1)
      // As if it had been stopped: nobody listens there any more for who would cancel.
      sql.options.host = sql.options.host.map(() => '127.0.0.1')
      sql.options.port = sql.options.port.map(() => 1)
      away.abort()
      await database.sql`select pg_terminate_backend(pid) from pg_stat_activity where query like '%sleeper%' and pid <> pg_backend_pid()`
      expect(await answer).toBe('UNAVAILABLE')
    })
  } finally {
    process.off('unhandledRejection', hear)
  }
  expect(unheard).toEqual([])
})
