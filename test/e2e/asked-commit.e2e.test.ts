/** C27 by a commit of the source itself, followed by a slot: who has committed there reads it, by what its own log said after the commit. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadSchema } from '../../src/model/load.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { positionOfCommit } from '../../src/position.ts'
import { until } from '../kafka/client.ts'
import { declarationOf, table, viewOf } from '../law/source-shop.ts'
import { makePlace, type Running, startForebay } from '../support/forebay.ts'
import { freshDatabase } from '../support/postgres.ts'
import { startSourcePostgres } from '../support/source-postgres.ts'

let source: Sql
let forebay: Running
const ends: (() => Promise<unknown>)[] = []
const later = <T>(made: T, end: (made: T) => Promise<unknown>): T => {
  ends.push(() => end(made))
  return made
}

beforeAll(async () => {
  const server = later(await startSourcePostgres(), (made) => made.stop())
  source = later(connect(server.url, { max: 2, name: 'source' }), (sql) => sql.end({ timeout: 1 }))
  await source.unsafe(`${table}; insert into items values ('first', 0)`)
  const database = later(await freshDatabase(), (made) => made.drop())
  const made = later(await makePlace(declarationOf('connection: "shop", table: "items"')), (one) => one.remove())
  const place = { ...made, env: { ...made.env, DATABASE_URL: database.url, FOREBAY_CONNECTION_SHOP: server.url } }
  const loaded = await loadSchema(made.env.FOREBAY_SCHEMA!)
  if (!loaded.ok) throw new Error('the schema has faults')
  await installModel(database.sql, loaded.model)
  forebay = later(await startForebay(place), ({ child }) => child.stop())
  await until(async () => (await viewOf(forebay))?.basis === 'SOURCE', 'its first bound about the source')
}, 120_000)
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

const ask = (after: string, more: Readonly<Record<string, string>> = {}) =>
  forebay.ask(
    '{ shelf(id: "mine") { n } }',
    { roles: ['CLERK'] },
    { 'Forebay-After': after, 'Forebay-Wait': '10s', ...more },
  )
const logPosition = async (): Promise<string> => {
  const [row] = await source<{ lsn: string }[]>`select pg_current_wal_lsn()::text as lsn`
  return row!.lsn
}

test('C27 what was committed before an lsn was read is in the answer that is asked for after it', async () => {
  for (let n = 1; n <= 10; n++) {
    await source`insert into items values ('mine', ${n}) on conflict (id) do update set n = excluded.n`
    const { body } = await ask(positionOfCommit('shop', await logPosition()))
    expect(body.errors).toBeUndefined()
    expect(body.data.shelf.n).toBe(n)
  }
}, 120_000)

test('C27 a commit that is yet to come is awaited, and one of a source that nobody reads is refused at once', async () => {
  const early = await ask('lsn:shop:7FFFFFFF/0', { 'Forebay-On-Stale': 'fail' })
  expect(early.body.errors[0].extensions.code).toBe('STALE')
  expect(early.body.errors[0].message).toContain('not applied yet: shop at 7FFFFFFF/0')
  const foreign = await ask('lsn:crm:0/1')
  expect(foreign.body.errors[0].extensions.code).toBe('BAD_USER_INPUT')
})
