/** Who may run a feed: one process of all, and one that was overtaken without noticing writes nothing. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startFeeds } from '../../src/ingest/feed/run.ts'
import type { Feed, FeedJournal } from '../../src/ingest/feed.ts'
import { locks } from '../../src/ingest/locks.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { databaseClock } from '../../src/platform/clock.ts'
import { usualJournal } from '../../src/platform/journal-settings.ts'
import { until } from '../kafka/client.ts'
import { loadModel } from '../law/model.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'
import { declare } from './world.ts'

let database: Database
beforeAll(async () => {
  database = await freshDatabase()
  await installModel(database.sql, await loadModel(declare()))
})
afterAll(() => database.drop())

const name = 'a feed'
/** Runs until told, whatever happens to it, as a process does that stands still. */
const stubborn = () => {
  const over = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<FeedJournal>()
  const feed: Feed = {
    name,
    topics: ['t'],
    basis: 'LOG',
    bound: async () => ({ topics: [] }),
    run(journal) {
      begun.resolve(journal)
      return over.promise
    },
  }
  const { url, sql } = database
  const feeds = startFeeds({
    databaseUrl: url,
    sql,
    clock: databaseClock(sql),
    feeds: [feed],
    room: usualJournal.room,
    entitiesOf: () => [],
  })
  return { journal: begun.promise, feeds, end: over.resolve }
}
const record = (text: string) => ({ topic: 't', key: Buffer.from('k'), value: Buffer.from(text) })
const values = async (): Promise<readonly string[]> =>
  (await database.sql<{ value: Buffer }[]>`select value from forebay.journal order by "offset"`).map(({ value }) =>
    String(value),
  )

test('a feed whose session was ended under it, and that another process runs by now, appends nothing more', async () => {
  const { sql } = database
  const first = stubborn()
  const overtaken = await first.journal
  await overtaken.append([record('one')], { at: 1 })

  // Somebody waits for the lock when the server ends the session that holds it.
  const waiting = await sql.reserve()
  const locked = waiting`select pg_advisory_lock(${locks.feed}, hashtext(${name}))`.then(() => undefined)
  await until(async () => {
    const rows = await sql`select from pg_locks where locktype = 'advisory' and classid = ${locks.feed} and not granted`
    return rows.length > 0
  }, 'somebody waits for the lock')
  await sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = ${`forebay feed ${name}`}`
  await locked
  await until(() => overtaken.stop.aborted, 'the first process notices')

  const second = stubborn()
  await waiting`select pg_advisory_unlock_all()`
  waiting.release()
  const taken = await second.journal
  expect(taken.cursor).toEqual({ at: 1 })
  // Before the second has written anything.
  await expect(overtaken.append([record('two')], { at: 2 })).rejects.toThrow(/another process .* has moved the cursor/)
  await taken.append([record('three')], { at: 3 })
  await expect(overtaken.append([record('four')], { at: 4 })).rejects.toThrow(/another process .* has moved the cursor/)
  expect(await values()).toEqual(['one', 'three'])

  for (const one of [first, second]) one.end()
  await Promise.all([first, second].map(({ feeds }) => feeds.stop()))
})
