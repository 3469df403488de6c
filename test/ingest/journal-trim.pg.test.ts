/** What the journal forgets, and that nobody who reads it sees a hole. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { append, createTopics, journalExtents, journalSource } from '../../src/ingest/source/journal.ts'
import { trimJournal } from '../../src/ingest/source/journal-trim.ts'
import { Gone } from '../../src/ingest/source.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { until } from '../kafka/client.ts'
import { memorySink } from '../kafka/memory-sink.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'
import { model } from './entities.ts'

let database: Database
beforeAll(async () => {
  database = await freshDatabase(20)
  await installModel(database.sql, model([]))
})
afterAll(() => database?.drop())

const topic = 'things'
beforeEach(async () => {
  await database.sql`truncate forebay.journal, forebay.journal_ends, forebay.positions, forebay.replays, forebay.replay_positions`
  await createTopics(database.sql, [topic], 1)
})
const write = (count: number) =>
  database.sql.begin((tx) =>
    append(
      tx,
      topic,
      Array.from({ length: count }, (_, i) => ({ key: null, value: Buffer.from(String(i)) })),
    ),
  )
const age = (below: number) =>
  database.sql`update forebay.journal set at = now() - interval '8 days' where "offset" < ${below}`
const applied = (next: number) => database.sql`
  insert into forebay.positions (topic, partition, next_offset) values (${topic}, 0, ${next})
  on conflict (topic, partition) do update set next_offset = ${next}`
const offsets = async () => {
  const rows = await database.sql<{ offset: number }[]>`select "offset"::int as offset from forebay.journal order by 1`
  return rows.map(({ offset }) => offset)
}
const start = async () => (await journalExtents(database.sql, [topic]))[0]!.start

test('what is applied and old goes, and the start says so; what is young, or not applied, stays', async () => {
  await write(5_000)
  await age(4_500)
  expect(await trimJournal(database.sql, 'P7D')).toBe(0)
  await applied(3_000)
  expect(await trimJournal(database.sql, 'P7D')).toBe(3_000)
  expect([await start(), (await offsets())[0], (await offsets()).length]).toEqual([3_000n, 3_000, 2_000])
  await applied(5_000)
  expect(await trimJournal(database.sql, 'P7D')).toBe(1_500)
  expect([await start(), (await offsets())[0]]).toEqual([4_500n, 4_500])
  expect(await trimJournal(database.sql, 'P7D')).toBe(0)
  // An old record behind a young one stays: what is kept has no hole.
  await database.sql`update forebay.journal set at = now() - interval '8 days' where "offset" > 4600`
  expect(await trimJournal(database.sql, 'P7D')).toBe(0)
})

test('what a replay still wants stays', async () => {
  await write(10)
  await age(10)
  await applied(10)
  const [job] = await database.sql<{ id: number }[]>`
    insert into forebay.replays (entity, topic, since, requested_by) values ('Thing', ${topic}, '0', 'test') returning id`
  await database.sql`
    insert into forebay.replay_positions (replay, partition, epoch, first_offset, next_offset, until_offset) values (${job!.id}, 0, 0, 2, 4, 10)`
  await trimJournal(database.sql, 'P7D')
  expect(await start()).toBe(4n)
  await database.sql`update forebay.replays set finished_at = now()`
  await trimJournal(database.sql, 'P7D')
  expect(await start()).toBe(10n)
})

test('C21 a reader that stands before the start is stopped, and a replay from there is refused', async () => {
  await write(10)
  await age(6)
  await applied(6)
  await trimJournal(database.sql, 'P7D')
  const sink = memorySink()
  sink.positions.set(`${topic}-0`, { topic, partition: 0, offset: 3n })
  const source = journalSource({ sql: database.sql, topics: [topic] })
  await source.start(sink)
  await until(() => sink.stopped.size > 0, 'stopped')
  expect(sink.stopped.get(`${topic}-0`)).toMatch(/starts at 6, after the next offset 3/)
  expect(sink.batches).toEqual([])
  const again = source.reread([{ topic, partition: 0, from: 3n, until: 9n }], new AbortController().signal)
  await expect(again[Symbol.asyncIterator]().next()).rejects.toThrow(Gone)
  await source.stop()
})

test('readers, writers and two trimmers at once: every record is read once, in order', {
  timeout: 30_000,
}, async () => {
  const sink = memorySink(async (batch) => {
    await applied(Number(batch.from))
  })
  const source = journalSource({ sql: database.sql, topics: [topic], batchRecords: 50, pollMs: 10 })
  await source.start(sink)
  await until(() => sink.positions.size > 0, 'assigned')
  let writing = true
  const trimming = [1, 2].map(async () => {
    while (writing) await trimJournal(database.sql, 'PT0S')
  })
  for (let n = 0; n < 60; n++) await write(40)
  await until(() => sink.records().length === 2_400, 'read')
  writing = false
  await Promise.all(trimming)
  await source.stop()
  expect(sink.records().map(({ offset }) => Number(offset))).toEqual(Array.from({ length: 2_400 }, (_, i) => i))
  expect(await start()).toBeGreaterThan(1_000n)
})
