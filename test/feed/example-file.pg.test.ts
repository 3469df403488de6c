/** The feed that SOURCES.md shows, as any feed is tested: broken off and compared with its source, and asked how far it is. */
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { startFeeds } from '../../src/ingest/feed/run.ts'
import { databaseClock } from '../../src/platform/clock.ts'
import { usualJournal } from '../../src/platform/journal-settings.ts'
import { until } from '../kafka/client.ts'
import { fileFeed } from './example-file.ts'
import { engine, later, startHere } from './world.ts'

const topic = 'people'
const declaration = `
extend enum Role { CLERK }
extend schema @domain(name: "crm", owner: "crm", source: { format: JSON, naming: AS_IS })
type Person @entity(domain: "crm", key: "id", source: { topic: "${topic}" }) { id: ID! n: Int! }
type Card @view(of: "Person") @allow(roles: [CLERK]) { id: ID! n: Int! }
`

test('the feed of SOURCES.md: each line once, through restarts, and a bound that holds', async () => {
  const folder = later(await mkdtemp(join(tmpdir(), 'forebay-feed-')), (made) => rm(made, { recursive: true }))
  const path = join(folder, 'people.jsonl')
  const own = await engine(declaration, {})
  await startHere(own)
  const clock = databaseClock(own.sql)
  const start = () => {
    const [feeds, { room }] = [[fileFeed(path, topic)], usualJournal]
    return startFeeds({ databaseUrl: own.url, sql: own.sql, clock, feeds, room, entitiesOf: () => ['Person'] })
  }
  const lines: string[] = []
  const write = async (count: number): Promise<void> => {
    const more = Array.from({ length: count }, (_, i) =>
      JSON.stringify({ id: `p${(lines.length + i) % 40}`, n: lines.length + i }),
    )
    lines.push(...more)
    const text = more.map((line) => `${line}\n`).join('')
    // A line may be there in part when it is read.
    const cut = Math.floor(text.length / 2)
    await appendFile(path, text.slice(0, cut))
    await appendFile(path, text.slice(cut))
  }
  const ends = async (): Promise<number> => {
    const [row] = await own.sql<{ n: number }[]>`select count(*)::int as n from forebay.journal`
    return row!.n
  }
  await writeFile(path, '')
  await write(60_000)
  for (let round = 0; round < 3; round++) {
    const feeds = start()
    await write(50)
    await until(async () => (await ends()) > round * 10_000, 'it reads')
    if (round === 1)
      await own.sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'forebay feed people' and datname = current_database()`
    await feeds.stop()
  }
  const feeds = later(start(), (made) => made.stop())
  await write(50)
  const [now] = await own.sql<{ at: number }[]>`select (extract(epoch from clock_timestamp()) * 1000)::float8 as at`
  const partitions = [0, 1, 2, 3].map((partition) => ({ topic, partition }))
  await until(() => partitions.every((one) => (feeds.seen(one)?.at ?? 0) > now!.at), 'asked since')
  expect(partitions.reduce((sum, one) => sum + Number(feeds.seen(one)!.end), 0)).toBe(lines.length)

  const records = await own.sql<{ key: Buffer; value: Buffer }[]>`
    select key, value from forebay.journal order by partition, "offset"`
  const byKey = Map.groupBy(records, ({ key }) => String(key))
  for (const [key, of] of byKey)
    expect(of.map(({ value }) => String(value))).toEqual(lines.filter((line) => JSON.parse(line).id === key))
  const newest = Object.fromEntries(lines.slice(-40).map((line) => [JSON.parse(line).id, JSON.parse(line).n]))
  const rows = async () =>
    Object.fromEntries((await own.sql`select id, n from crm.person`).map(({ id, n }) => [id, n] as const))
  await expect.poll(rows, { timeout: 20_000 }).toEqual(newest)
})
