/** Law 4: however often a process is killed, and wherever, once it has come to its end the tables are the same. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { LogRecord } from '../../src/ingest/change.ts'
import { append, createTopics } from '../../src/ingest/source/journal.ts'
import type { Sql } from '../../src/platform/postgres.ts'
import type { Log } from './change-arbitrary.ts'
import { startCuttingProxy } from './cutting-proxy.ts'
import { type Draw, tape } from './draw.ts'
import { withDatabase } from './engine.ts'
import type { IngestWork } from './ingest-child.ts'
import type { ChildWork } from './process-child.ts'
import { check } from './runs.ts'
import { schemaArbitrary } from './schema-arbitrary.ts'
import { expectViewsEqualQuery } from './tables.ts'

const TIMEOUT = { timeout: 600_000 }

const start = (file: string, work: ChildWork | IngestWork) => {
  const child = fork(new URL(file, import.meta.url), { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  let complaint = ''
  child.stderr!.on('data', (text) => {
    complaint += text
  })
  const ended = once(child, 'exit').then(([code]) => code as number | null)
  child.send(work)
  return { child, ended, complaint: () => complaint }
}

/** Until the backends of a process that was killed have noticed. */
const untilGone = async (sql: Sql): Promise<void> => {
  for (let left = 1000; left > 0; left--) {
    const [row] = await sql<{ n: number }[]>`
      select count(*)::int as n from pg_stat_activity where datname = current_database() and application_name like 'forebay law%'`
    if (row!.n === 0) return
    await sleep(5)
  }
  throw new Error('a process that was killed still has sessions')
}

/** Kills the process once so many messages have gone to Postgres. Whether it got to its end before. */
const runKilled = async (work: ChildWork, sql: Sql, messages: number): Promise<boolean> => {
  const proxy = await startCuttingProxy(work.url, messages)
  const { child, ended, complaint } = start('./process-child.ts', { ...work, url: proxy.url })
  proxy.whenCut.then(() => child.kill('SIGKILL'))
  const code = await ended
  const killed = proxy.isCut()
  await proxy.close()
  await untilGone(sql)
  if (!killed && code !== 0) throw new Error(`the process failed by itself:\n${complaint()}`)
  return !killed
}

test('law 4 crash anywhere: killed between any two messages to Postgres, and started again', TIMEOUT, async () => {
  let kills = 0
  await check(
    4,
    fc.asyncProperty(schemaArbitrary, tape(6000), (text, numbers) =>
      withDatabase(text, numbers, async ({ sql, url, model, rows, draw }) => {
        for (let more = 10; !(await runKilled({ url, text, numbers }, sql, more + draw.below(400))); more += 40)
          kills += 1
        await expectViewsEqualQuery(sql, model, rows)
      }),
    ),
  )
  expect(kills).toBeGreaterThan(0)
})

/** Appends the whole log, a few records of some topic at a time; those of one partition stay in order. */
const appendAll = async (sql: Sql, draw: Draw, log: Log): Promise<void> => {
  const lanes = [...log.values()].map((lane) => [...lane])
  for (let open = lanes.filter((l) => l.length > 0); open.length > 0; open = open.filter((l) => l.length > 0)) {
    const records = draw.pick(open).splice(0, 1 + draw.below(5))
    await sql.begin((tx) =>
      append(
        tx,
        records[0]!.topic,
        records.map(({ key, value, headers }) => ({ key, value, headers: textOf(headers) })),
      ),
    )
    await sleep(20 + draw.below(80))
  }
}

/** The journal's headers are text. */
const textOf = (headers: LogRecord['headers']): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))

const isApplied = async (sql: Sql): Promise<boolean> => {
  const [row] = await sql<{ applied: boolean }[]>`
    select not exists (select from forebay.dirty) and not exists (select from forebay.snapshots where state = 'READ') and not exists (
      select from forebay.journal_ends e left join forebay.positions p using (topic, partition)
      where p.next_offset is distinct from e.next_offset and e.next_offset > 0) as applied`
  return row!.applied
}

const whatIsLeft = async (sql: Sql): Promise<string> => {
  const dirty = await sql`select generation, path, shard, keys from forebay.dirty`
  const positions = await sql`
    select e.topic, e.partition, e.next_offset as end, p.next_offset, p.state, p.reason
    from forebay.journal_ends e left join forebay.positions p using (topic, partition) where p.next_offset is distinct from e.next_offset`
  return JSON.stringify({ dirty, positions })
}

/** Starts ingest and kills it at random moments while the log grows; the last one may finish. Answers with the number of kills. */
const killWhileGrowing = async (work: IngestWork, sql: Sql, draw: Draw, log: Log): Promise<number> => {
  let growing = true
  const grown = appendAll(sql, draw, log).finally(() => {
    growing = false
  })
  for (let kills = 0; ; kills++) {
    const ingest = start('./ingest-child.ts', work)
    const failed = ingest.ended.then((code) => {
      if (code !== null) throw new Error(`ingest ended by itself:\n${ingest.complaint()}`)
    })
    await Promise.race([once(ingest.child, 'message'), failed])
    if (growing) await sleep(draw.below(300))
    else await Promise.race([grown.then(() => untilApplied(sql)), failed])
    const last = !growing && (await isApplied(sql))
    ingest.child.kill('SIGKILL')
    await failed
    if (last) return kills
  }
}

const untilApplied = async (sql: Sql): Promise<void> => {
  for (let left = 600; !(await isApplied(sql)); left--) {
    if (left === 0) throw new Error(`what was appended was not applied within a minute: ${await whatIsLeft(sql)}`)
    await sleep(100)
  }
}

/** A schema's id in a header is no text, so records whose schema a registry has don't come by the journal. */
const journalSchema = schemaArbitrary.filter((text) => !/format: (\w*AVRO|JSON_SCHEMA)/.test(text))

test('law 4 crash anywhere: ingest on the journal, killed at random moments while the log grows', TIMEOUT, async () => {
  let kills = 0
  await check(
    2,
    fc.asyncProperty(journalSchema, tape(6000), (text, numbers) =>
      withDatabase(text, numbers, async ({ sql, url, model, rows, log, draw }) => {
        await sql`truncate forebay.positions`
        const topics = [...model.entities.values()].map(({ source }) => source.topic)
        await createTopics(sql, topics)
        kills += await killWhileGrowing({ url, text }, sql, draw, log)
        expect(await sql`select reason from forebay.quarantine`).toEqual([])
        await expectViewsEqualQuery(sql, model, rows)
      }),
    ),
  )
  expect(kills).toBeGreaterThan(0)
})
