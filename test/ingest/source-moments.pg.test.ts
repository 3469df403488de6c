/** C23, rule by rule: a real Postgres says where it stands, and the test says what connectors have committed. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { readAccount } from '../../src/ingest/connect/committed.ts'
import type { Offsets, Written } from '../../src/ingest/connect/offsets.ts'
import { type Connectors, watchConnectors } from '../../src/ingest/connect/source-moments.ts'
import { type DatabaseClock, databaseClock } from '../../src/platform/clock.ts'
import { until } from '../kafka/client.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'

let database: Database
let clock: DatabaseClock
beforeAll(async () => {
  database = await freshDatabase()
  clock = databaseClock(database.sql)
  await clock.refresh()
  await database.sql`create table items (id int)`
  await database.sql`create table "Other Items" (id int)`
  await database.sql`create table unsent (id int)`
  await database.sql`create publication sent for table items, "Other Items"`
})
afterAll(() => database?.drop())

/** The offsets topic: one partition, whose records the test writes. */
let written: Written[]
let end: bigint
let read: boolean
let connectors: Connectors
const offsets: Offsets = {
  topic: 'connect.offsets',
  ends: async () => new Map(end === 0n ? [] : [[0, end]]),
  hasRead: () => read,
  of: (server) => (server === 'shop' ? written : []),
  trouble: () => undefined,
  stop: async () => {},
}
const commit = (lsn: bigint | null, more: Partial<Written> = {}): void => {
  const one = { connector: 'shop', lsn, snapshot: false, at: { partition: 0, offset: end }, ...more }
  written = [...written.filter(({ connector }) => connector !== one.connector), one]
  end += 1n
}
const topics = ['shop.public.items', 'shop.public.Other_Items', 'shop.public.unsent']
const start = (): void => {
  connectors = watchConnectors([{ server: 'shop', url: database.url, topics }], offsets, clock, {
    everyMs: 50,
    lateMs: 700,
  })
}
const moment = (topic = 'shop.public.items') => connectors.moments().get(topic)
const stands = async (): Promise<bigint> => {
  const [row] = await database.sql<{ lsn: string }[]>`select (pg_current_wal_insert_lsn() - '0/0')::text as lsn`
  return BigInt(row!.lsn)
}
const change = () => database.sql`insert into items values (1)`
/** It has been asked at least once since. */
const asked = async (): Promise<void> => {
  await new Promise((done) => setTimeout(done, 250))
}
beforeEach(() => {
  written = []
  end = 0n
  read = true
})
afterEach(() => connectors.stop())

test('C23 a moment is one before the asking, and counts once an offset past what was answered is committed', async () => {
  start()
  await asked()
  expect(moment()).toEqual({ at: null, trouble: expect.stringContaining('no connector of topic.prefix shop') })
  // Others write to the server too.
  const without = await stands()
  await change()
  const before = clock.upper()
  await asked()
  commit(without)
  await asked()
  expect(moment()?.at ?? 0, 'a commit is missing yet').toBeLessThan(before)
  commit(await stands())
  await until(() => (moment()?.at ?? 0) > before, 'it has passed')
  expect(moment()).toEqual({ at: expect.any(Number), trouble: null, lsn: expect.any(BigInt) })
  expect(moment()!.at).toBeLessThanOrEqual(clock.upper())
  expect(moment('shop.public.Other_Items'), 'as Debezium names its topic').toEqual(moment())
})

test('C23, fact 22 with a connector that is dead, or idle without writing, the moment holds still, and after a while it is said', async () => {
  start()
  await asked()
  commit(await stands())
  await until(() => moment()?.at != null, 'it lives')
  await change()
  await asked()
  const held = moment()!.at
  await until(() => moment()!.trouble !== null, 'said')
  expect(moment()).toMatchObject({
    at: held,
    trouble: expect.stringContaining('the connector shop has committed no offset past what its source had'),
  })
})

test('C23 an offset from before the asking that lies beyond the source is of a history that the source has lost', async () => {
  commit((await stands()) + 1_000_000_000_000n)
  start()
  await asked()
  expect(moment()).toEqual({
    at: null,
    trouble: expect.stringContaining('the source is behind what its connector shop'),
  })
  commit((await stands()) + 1_000_000_000_000n)
  await until(() => moment()?.at != null, 'written after the asking it is of the source as it is now')
})

test('C23 while a first snapshot is under way, offsets say nothing; nor do those of a source without lsn, nor some that are not read yet', async () => {
  start()
  await asked()
  commit((await stands()) + 1_000_000n, { snapshot: true })
  await asked()
  expect(moment()).toEqual({ at: null, trouble: expect.stringContaining('has not finished its first snapshot') })
  commit(null)
  await asked()
  expect(moment()).toEqual({ at: null, trouble: expect.stringContaining('commits no lsn') })
  read = false
  commit((await stands()) + 1_000_000n)
  await asked()
  expect(moment()?.at).toBeNull()
  read = true
  await until(() => moment()?.at != null, 'read')
})

test('C23 of several connectors with one prefix each has to have passed', async () => {
  start()
  await asked()
  commit((await stands()) + 1_000_000n)
  commit(1n, { connector: 'shop-too' })
  await asked()
  expect(moment()?.at).toBeNull()
  commit((await stands()) + 1_000_000n, { connector: 'shop-too' })
  await until(() => moment()?.at != null, 'both')
})

test('C23, fact 19 a table that nobody sends is not known, however far its connector is', async () => {
  start()
  await asked()
  commit((await stands()) + 1_000_000n)
  await until(() => moment()?.at != null, 'the others')
  expect(moment('shop.public.unsent')).toEqual({ at: null, trouble: expect.stringContaining('no publication') })
})

test('C23 what Kafka Connect 4.1 keeps of Debezium 3.4, as it was captured', () => {
  const account = (key: string, value: string | null) =>
    readAccount(Buffer.from(key), value === null ? null : Buffer.from(value))
  const key = '["shop",{"server":"shop"}]'
  const streaming =
    '{"transaction_id":"787","lsn_proc":24619312,"messageType":"COMMIT","lsn_commit":24619312,"lsn":24619312,"txId":787,"ts_usec":1795614325361683,"transaction_data_collection_order_public.items":1}'
  expect(account(key, streaming)).toEqual({
    connector: 'shop',
    server: 'shop',
    committed: { lsn: 24619312n, snapshot: false },
  })
  expect(account(key, null)).toMatchObject({ committed: 'GONE' })
  expect(account('["mysql",{"server":"shop"}]', '{"file":"binlog.000003","pos":4711}')).toMatchObject({
    committed: { lsn: null },
  })
  expect(account('["files",{"filename":"x"}]', '{"position":1}')).toBeUndefined()
  expect(account('not JSON', '{}')).toBeUndefined()
})
