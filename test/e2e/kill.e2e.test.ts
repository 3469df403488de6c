/** kill -9 of ingest at random moments, again and again. FOREBAY_KILLS: how often; the long form is 50. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { kafkaClient } from '../kafka/client.ts'
import { begin } from '../support/forebay.ts'
import { ownKafka } from '../support/kafka.ts'
import { freshDatabase } from '../support/postgres.ts'
import { appendAll, expectEnd, expectRight, left, makeChaos, topics } from './chaos.ts'
import { later } from './fault-shop.ts'

const kills = Number(process.env.FOREBAY_KILLS ?? 8)

test(`ingest on the journal, killed ${kills} times while the log grows, ends equal to the oracle`, async () => {
  const chaos = await makeChaos(250 * kills)
  const { sql, url, drop } = await freshDatabase()
  later(sql, drop)
  await chaos.install(sql)
  const env = { ...chaos.place.env, DATABASE_URL: url }
  // So slow that it lasts until the last kill, however long each process lives.
  const pace = { ms: Math.ceil((2_500 * kills) / (chaos.records.length / 25)) }
  const growing = appendAll(sql, chaos.records, pace)
  const working = async (): Promise<boolean> => {
    const { records, entries } = await left(sql)
    return records > 0 || entries > 0
  }
  for (let kill = 0; kill < kills; kill++) {
    const child = begin(env, 'ingest')
    await sleep(500 + chaos.draw.below(1_500))
    await expect.poll(working, { timeout: 10_000, interval: 2, message: 'something to do' }).toBe(true)
    expect(child.alive(), child.output()).toBe(true)
    await child.kill9()
  }
  later(begin(env, 'ingest'), (child) => child.stop())
  pace.ms = 0
  await growing
  await expectEnd(sql, chaos)
}, 600_000)

/** A killed member keeps its partitions for the session timeout, so each costs seconds. */
const rounds = Math.max(2, Math.ceil(kills / 10))
test(`ingest on Kafka, killed ${rounds} times amid a batch, ends equal to the oracle`, async () => {
  const kafka = await ownKafka(4)
  later(kafka, ({ stop }) => stop())
  const chaos = await makeChaos(1_500)
  const { sql, url, drop } = await freshDatabase()
  later(sql, drop)
  await chaos.install(sql)
  const client = await kafkaClient(kafka.brokers)
  later(client, (made) => made.close())
  await client.admin.createTopics({ topics: topics.map((topic) => ({ topic, numPartitions: 4 })) })
  const env = { ...chaos.place.env, DATABASE_URL: url, KAFKA_BROKERS: kafka.brokers.join() }
  const share = Math.ceil(chaos.records.length / (rounds + 1))
  const produce = async (round: number): Promise<void> => {
    const part = chaos.records.slice(round * share, (round + 1) * share)
    for (let start = 0; start < part.length; start += 20) {
      const groups = Map.groupBy(part.slice(start, start + 20), ({ topic }) => topic)
      const topicMessages = [...groups].map(([topic, messages]) => ({ topic, messages: [...messages] }))
      await client.producer.sendBatch({ topicMessages, acks: -1 })
    }
  }
  const applied = async (): Promise<number> => {
    const [row] = await sql`select coalesce(sum(next_offset), 0)::int as n from forebay.positions`
    return row!.n
  }
  const idle = async (): Promise<boolean> => (await left(sql)).entries === 0
  for (let round = 0; round < rounds; round++) {
    const child = begin(env, 'ingest')
    const before = await applied()
    const producing = produce(round)
    await expect.poll(applied, { timeout: 30_000, interval: 5 }).toBeGreaterThan(before)
    await sleep(chaos.draw.below(100))
    await child.kill9()
    await producing
  }
  later(begin(env, 'ingest'), (child) => child.stop())
  await produce(rounds)
  // A producer that had no answer in time sends again, so there may be more than it was given.
  const end = await client.count(topics)
  expect(end).toBeGreaterThanOrEqual(chaos.records.length)
  await expect.poll(applied, { timeout: 60_000 }).toBe(end)
  await expect.poll(idle, { timeout: 30_000 }).toBe(true)
  await expectRight(sql, chaos)
}, 300_000)
