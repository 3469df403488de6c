/** What a slot and a publication do to their source, where this engine has made them itself. Facts 20 and 22. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Ingest } from '../../src/ingest/main.ts'
import { declare, engine, later, type Source, sourceOn, startHere, untilEqual } from '../feed/world.ts'
import { until } from '../kafka/client.ts'
import { type SourcePostgres, startSourcePostgres } from '../support/source-postgres.ts'

let server: SourcePostgres
beforeAll(async () => {
  server = await startSourcePostgres()
}, 60_000)
afterAll(() => server?.stop())

const follow = async () => {
  const source = later(await sourceOn(server.url), dropSlots)
  const connection = `s${randomBytes(4).toString('hex')}`
  const own = await engine(declare('', connection), { [connection]: source.url })
  return { source, own, slot: `forebay_${connection}` }
}
const why = async (ingest: Ingest): Promise<string> => {
  const readiness = await ingest.ready()
  return readiness.ready ? '' : (readiness.reason ?? '')
}
const dropSlots = ({ sql }: Source) =>
  until(async () => {
    await sql`
      select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database() and not active`
    const [left] = await sql<{ n: number }[]>`
      select count(*)::int as n from pg_replication_slots where database = current_database()`
    return left!.n === 0
  }, 'the slots are dropped')

test.each([
  ['without a primary key', 'alter table lines drop constraint lines_pkey', /lines has no primary key/],
  [
    'with a deferrable one',
    'alter table lines drop constraint lines_pkey, add primary key (item_id, no) deferrable',
    /lines has a deferrable primary key.*replica identity full/,
  ],
  [
    'without a replica identity',
    'alter table lines replica identity nothing',
    /lines has a replica identity that is not its primary key/,
  ],
])(
  'fact 20 a table %s is refused before it is published, when its source would refuse updates of it',
  async (_, alter, reason) => {
    const { source, own, slot } = await follow()
    await source.sql.unsafe(alter)
    await source.sql`insert into lines (item_id, no, amount) values (1, 1, 1)`
    const ingest = await startHere(own)
    await until(async () => reason.test(await why(ingest)), 'it says why')
    expect([...(await source.sql`select tablename from pg_publication_tables where pubname = ${slot}`)]).toEqual([])
    await source.sql`update lines set amount = 2`
  },
)

test('fact 20 a primary key that is dropped under the publication is said at once, and it goes on when it is back', {
  timeout: 60_000,
}, async () => {
  const { source, own } = await follow()
  await source.sql`insert into lines (item_id, no, amount) values (1, 1, 1)`
  const ingest = await startHere(own)
  await untilEqual(source, own)
  await source.sql`alter table lines drop constraint lines_pkey`
  await expect(source.sql`update lines set amount = 2`).rejects.toMatchObject({ code: '55000' })
  await until(async () => (await why(ingest)).includes('public.lines no longer has a primary key'), 'it says so')
  expect(await why(ingest)).toMatch(
    /refuses updates and deletes of it.*alter publication "forebay_\w+" drop table public\.lines/,
  )
  await source.sql`alter table lines add primary key (item_id, no)`
  await source.sql`update lines set amount = 3`
  await untilEqual(source, own)
})

test('fact 22 tables that nobody writes hold up nothing: the slot lets go what others write on their server', {
  timeout: 60_000,
}, async () => {
  const { source, own, slot } = await follow()
  await startHere(own)
  await until(async () => (await source.sql`select from pg_stat_replication`).length > 0, 'it follows')
  await source.sql`create table busy (id int)`
  await source.sql`insert into busy select generate_series(1, 20000)`
  const [at] = await source.sql<{ lsn: string }[]>`select pg_current_wal_flush_lsn()::text as lsn`
  await until(
    async () => {
      const [row] = await source.sql<{ freed: boolean }[]>`
        select confirmed_flush_lsn >= ${at!.lsn}::pg_lsn as freed from pg_replication_slots where slot_name = ${slot}`
      return row!.freed
    },
    'the slot has moved',
    30_000,
  )
})
