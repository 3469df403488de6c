import { expect, test } from 'vitest'
import { journalSource } from '../../src/ingest/source/journal.ts'
import { claimPositions } from '../../src/ingest/source/positions.ts'
import type { Extent, LogSource } from '../../src/ingest/source.ts'
import type { DatabaseClock } from '../../src/platform/clock.ts'
import { until } from '../kafka/client.ts'
import { apply, clock, database, databaseNow, frontier, newTopic, observe, rows, write } from './observing.ts'

test('C20 the frontier stays while a record is unapplied, and moves past the moment of asking once it is applied', async () => {
  const topic = await newTopic()
  const observer = observe(topic)
  await until(async () => (await frontier(topic)) !== null, 'an empty log is fresh')
  await write(topic)
  const written = await databaseNow()
  await observer.observe()
  await observer.observe()
  const held = await frontier(topic)
  expect(held).toBeLessThanOrEqual(written + 1)
  await apply(topic, 1)
  await until(async () => ((await frontier(topic)) ?? 0) > written, 'applied past')
})

test('C20 an idle partition stays fresh', async () => {
  const topic = await newTopic()
  observe(topic)
  await until(async () => (await frontier(topic)) !== null, 'observed')
  const first = (await frontier(topic))!
  await until(async () => (await frontier(topic))! > first + 500, 'moves on without any record')
  expect(await frontier(topic)).toBeLessThanOrEqual(await databaseNow())
})

test('C20 a record written between the answer and the stamp is not covered by the frontier', async () => {
  const topic = await newTopic()
  const real = journalSource({ sql: database.sql, topics: [topic] })
  let written = Number.POSITIVE_INFINITY
  const slow: Pick<LogSource, 'kind' | 'extents'> = {
    kind: 'journal',
    async extents() {
      const answer = await real.extents()
      if (written === Number.POSITIVE_INFINITY) {
        await new Promise((done) => setTimeout(done, 50))
        await write(topic)
        written = await databaseNow()
        await new Promise((done) => setTimeout(done, 50))
      }
      return answer
    },
  }
  observe(topic, { source: slow })
  await until(async () => (await frontier(topic)) !== null, 'the first observation is stamped')
  expect(await frontier(topic)).toBeLessThan(written)
})

test('C24 the stamp is the lower bound of the primary clock', async () => {
  const topic = await newTopic()
  const behind: DatabaseClock = { ...clock, lower: () => clock.lower() - 5_000 }
  await clock.refresh()
  observe(topic, { clock: behind })
  await until(async () => (await frontier(topic)) !== null, 'observed')
  const age = (await databaseNow()) - (await frontier(topic))!
  expect(age).toBeGreaterThan(5_000)
})

test('C20 a partition that comes later is known, with a frontier from before it came, before any other is stamped again', async () => {
  const topic = await newTopic()
  const observer = observe(topic)
  await until(async () => (await frontier(topic)) !== null, 'observed')
  await database.sql`insert into forebay.journal_ends (topic, partition, next_offset) values (${topic}, 1, 3)`
  const added = await databaseNow()
  await observer.observe()
  const [first, second] = await rows(topic)
  expect(first!.frontier).not.toBeNull()
  expect(second).toMatchObject({ partition: 1, frontier: expect.any(Number), state: 'RUNNING' })
  expect(second!.frontier).toBeLessThan(added)
  await apply(topic, 3, 1)
  await until(async () => ((await frontier(topic, 1)) ?? 0) > added, 'applied past')
})

test('C21 a position outside the log is stuck with a reason and its frontier stays', async () => {
  const topic = await newTopic(2)
  const extent = (partition: number, start: bigint, end: bigint): Extent => ({ topic, partition, start, end })
  let answer = [extent(0, 0n, 10n), extent(1, 0n, 10n)]
  const source: Pick<LogSource, 'kind' | 'extents'> = { kind: 'journal', extents: async () => answer }
  await claimPositions(database.sql, answer)
  await Promise.all([apply(topic, 10, 0), apply(topic, 5, 1)])
  observe(topic, { source })
  await until(async () => (await frontier(topic)) !== null, 'observed')
  answer = [extent(0, 0n, 4n), extent(1, 7n, 10n)]
  await until(async () => (await rows(topic)).every(({ state }) => state === 'STUCK'), 'both are stuck')
  const [shrunk, gone] = await rows(topic)
  expect(shrunk!.reason).toMatch(/ends at 4, before the next offset 10: the topic was made anew or lost records/)
  expect(gone!.reason).toMatch(/starts at 7, after the next offset 5: records are gone/)
  answer = [extent(0, 0n, 10n), extent(1, 0n, 10n)]
  await new Promise((done) => setTimeout(done, 300))
  expect((await rows(topic)).map((row) => row.frontier)).toEqual([shrunk!.frontier, gone!.frontier])
})

test('C21 a position that came and moved on while the log was being asked stops nothing', async () => {
  const topic = await newTopic()
  const real = journalSource({ sql: database.sql, topics: [topic] })
  let asked = 0
  const slow: Pick<LogSource, 'kind' | 'extents'> = {
    kind: 'journal',
    async extents() {
      const answer = await real.extents()
      if (asked++ === 0) {
        await claimPositions(database.sql, answer)
        await write(topic, 4)
        await apply(topic, 4)
      }
      return answer
    },
  }
  observe(topic, { source: slow })
  await until(async () => (await frontier(topic)) !== null, 'observed')
  expect((await rows(topic))[0]).toMatchObject({ state: 'RUNNING', reason: null })
})

test('C21 an end that is older than what was read, as a deposed leader answers, stops nothing and stamps nothing', async () => {
  const topic = await newTopic()
  const extent = (end: bigint): Extent => ({ topic, partition: 0, start: 0n, end })
  let answer = [extent(10n)]
  const source: Pick<LogSource, 'kind' | 'extents'> = { kind: 'kafka', extents: async () => answer }
  await claimPositions(database.sql, answer)
  await apply(topic, 10)
  const observer = observe(topic, { source, lostAfterMs: 600 })
  await until(async () => (await frontier(topic)) !== null, 'observed')
  answer = [extent(7n)]
  await observer.observe()
  const held = await frontier(topic)
  await observer.observe()
  expect(await frontier(topic)).toBe(held)
  expect((await rows(topic))[0]).toMatchObject({ state: 'RUNNING' })
  answer = [extent(10n)]
  await until(async () => (await frontier(topic))! > held!, 'the true leader answers')
  answer = [extent(7n)]
  await until(async () => (await rows(topic))[0]!.state === 'STUCK', 'it lasts, so the log has lost records')
})

test('C20 a log that can’t be asked holds the frontier and says why, and goes on by itself once it answers', async () => {
  const topic = await newTopic(2)
  const real = journalSource({ sql: database.sql, topics: [topic] })
  let away = false
  const source: Pick<LogSource, 'kind' | 'extents'> = {
    kind: 'journal',
    extents: () => (away ? Promise.reject(new Error('connection refused')) : real.extents()),
  }
  const observer = observe(topic, { source })
  await until(async () => (await rows(topic)).filter((row) => row.frontier !== null).length === 2, 'observed')
  away = true
  await until(async () => (await rows(topic)).every(({ unasked }) => unasked !== null), 'said')
  const held = await frontier(topic)
  await expect(observer.observe()).rejects.toThrow('connection refused')
  const [row] = await rows(topic)
  expect(row).toMatchObject({ state: 'RUNNING', unasked: "the log can't be asked: connection refused", frontier: held })
  away = false
  await until(async () => (await rows(topic)).every(({ unasked }) => unasked === null), 'withdrawn')
  expect(await frontier(topic)).toBeGreaterThan(held!)
})

test('C20 a topic that is missing from an answer holds its frontiers and says why, while others go on', async () => {
  const [one, other] = [await newTopic(), await newTopic()]
  const real = journalSource({ sql: database.sql, topics: [one, other] })
  let silent = false
  const source: Pick<LogSource, 'kind' | 'extents' | 'refusals'> = {
    kind: 'journal',
    extents: async () => (await real.extents()).filter(({ topic }) => !silent || topic !== one),
    refusals: () => new Map([[one, 'not authorised']]),
  }
  observe(one, { source, topics: [one, other] })
  await until(async () => (await frontier(one)) !== null && (await frontier(other)) !== null, 'observed')
  silent = true
  await until(async () => (await rows(one))[0]!.unasked === 'not authorised', 'said')
  const [held, before] = [await frontier(one), await frontier(other)]
  await until(async () => (await frontier(other))! > before! + 300, 'the other goes on')
  expect(await frontier(one)).toBe(held)
  expect((await rows(other))[0]!.unasked).toBeNull()
})

test('a paused partition is fresh while its log holds nothing new, and holds still once it does', async () => {
  const topic = await newTopic()
  const observer = observe(topic)
  await until(async () => (await frontier(topic)) !== null, 'observed')
  await database.sql`update forebay.positions set state = 'PAUSED', reason = 'by hand' where topic = ${topic}`
  const paused = await databaseNow()
  await until(async () => (await frontier(topic))! > paused, 'nothing new')
  await write(topic)
  const written = await databaseNow()
  await observer.observe()
  await observer.observe()
  expect(await frontier(topic)).toBeLessThanOrEqual(written + 1)
})

test('a frontier never goes back, whichever process writes last', async () => {
  const topic = await newTopic()
  const observer = observe(topic)
  await until(async () => (await frontier(topic)) !== null, 'observed')
  await database.sql`update forebay.positions set frontier = now() + interval '1 hour' where topic = ${topic}`
  const ahead = await frontier(topic)
  await observer.observe()
  expect(await frontier(topic)).toBe(ahead)
})

test('C32 one statement writes all frontiers, and appliers are neither waited for nor held up', async () => {
  const topic = await newTopic(20)
  await database.sql.unsafe(`
    create table written (at timestamptz);
    create function note() returns trigger language plpgsql as $$ begin insert into written values (clock_timestamp()); return null; end $$;
    create trigger note after update on forebay.positions for each statement execute function note()`)
  const observer = observe(topic)
  await until(async () => (await rows(topic)).filter((row) => row.frontier !== null).length === 20, 'all observed')
  const applier = await database.sql.reserve()
  await applier`begin`
  await applier`select from forebay.positions where topic = ${topic} and partition = 3 for update`
  const before = await databaseNow()
  await observer.observe()
  await observer.observe()
  const after = await rows(topic)
  expect(after.filter((row) => row.frontier! > before)).toHaveLength(19)
  expect(after.find(({ partition }) => partition === 3)!.frontier).toBeLessThanOrEqual(before)
  await applier`commit`
  applier.release()
  await write(topic, 20)
  await database.sql`truncate written`
  await new Promise((done) => setTimeout(done, 1_000))
  await observer.stop()
  const [counted] = await database.sql<{ n: number }[]>`select count(*)::int as n from written`
  // Behind: 4 observations a second for maxLagMs 400 make 10, and a write every 75 ms makes 13.
  expect(counted!.n).toBeGreaterThan(5)
  expect(counted!.n).toBeLessThanOrEqual(26)
  await database.sql.unsafe('drop trigger note on forebay.positions')
})
