import { afterAll, expect, test } from 'vitest'
import {
  codeOf,
  connect,
  isDataError,
  isRetriable,
  placeOf,
  type Sql,
  untilReachable,
} from '../../src/platform/postgres.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'

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

test('a result that breaks off amid its rows leaves no holes in the next one of its connection', async () => {
  const one = connect((await fresh()).url, { max: 1, name: 'test' })
  try {
    await expect(one`select 1 / (3 - n) from generate_series(1, 9) n`).rejects.toThrow('division by zero')
    expect([...(await one<{ n: number }[]>`select n from generate_series(1, 3) n`)]).toEqual([
      { n: 1 },
      { n: 2 },
      { n: 3 },
    ])
  } finally {
    await one.end()
  }
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
