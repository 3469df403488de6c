/** A database with partitions to observe, and what is asked and done of them. */
import { afterAll, afterEach } from 'vitest'
import { append, createTopics, journalSource } from '../../src/ingest/source/journal.ts'
import { type Observer, type ObserverOptions, startObserver } from '../../src/ingest/source/observe.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { databaseClock } from '../../src/platform/clock.ts'
import { freshDatabase } from '../support/postgres.ts'
import { model } from './entities.ts'

export const database = await freshDatabase()
await installModel(database.sql, model([]))
export const clock = databaseClock(database.sql)
const observers: Observer[] = []
afterEach(async () => {
  await Promise.all(observers.splice(0).map((observer) => observer.stop()))
})
afterAll(() => database.drop())

let topics = 0
export const newTopic = async (partitions = 1): Promise<string> => {
  const topic = `topic-${topics++}`
  await createTopics(database.sql, [topic], partitions)
  return topic
}
export const write = (topic: string, count = 1) => {
  const records = Array.from({ length: count }, () => ({ key: null, value: Buffer.from('x') }))
  return database.sql.begin((tx) => append(tx, topic, records))
}
/** What the applier does to a position. */
export const apply = (topic: string, next: number, partition = 0) => database.sql`
  update forebay.positions set next_offset = ${next} where topic = ${topic} and partition = ${partition}`
type Row = {
  partition: number
  frontier: number | null
  source: number | null
  state: string
  reason: string | null
  observed_end: string
  unasked: string | null
}
export const rows = (topic: string) => database.sql<Row[]>`
  select partition, (extract(epoch from frontier) * 1000)::float8 as frontier, (extract(epoch from source_frontier) * 1000)::float8 as source,
    state, reason, observed_end, unasked
  from forebay.positions where topic = ${topic} order by 1`
export const frontier = async (topic: string, partition = 0): Promise<number | null> =>
  (await rows(topic)).find((row) => row.partition === partition)?.frontier ?? null
export const databaseNow = async (): Promise<number> => {
  const [row] = await database.sql<
    { ms: number }[]
  >`select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`
  return row!.ms
}
export const observe = (topic: string, more: Partial<ObserverOptions> = {}): Observer => {
  const observer = startObserver({
    sql: database.sql,
    clock,
    source: journalSource({ sql: database.sql, topics: [topic] }),
    topics: [topic],
    maxLagMs: 400,
    ...more,
  })
  observers.push(observer)
  return observer
}
