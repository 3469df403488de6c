import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { kafkaSource } from '../../src/ingest/source/kafka.ts'
import { startObserver } from '../../src/ingest/source/observe.ts'
import { claimPositions, markStuck } from '../../src/ingest/source/positions.ts'
import type { Sink } from '../../src/ingest/source.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { databaseClock } from '../../src/platform/clock.ts'
import { model } from '../ingest/entities.ts'
import { type KafkaService, startKafka } from '../support/kafka.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'
import { type Client, kafkaClient, until } from './client.ts'

let kafka: KafkaService
let client: Client
let database: Database
beforeAll(async () => {
  ;[kafka, database] = await Promise.all([startKafka(), freshDatabase()])
  client = await kafkaClient(kafka.brokers)
  await installModel(database.sql, model([]))
})
afterAll(async () => {
  await client?.close()
  await kafka?.stop()
  await database?.drop()
})

test('C20 after a transactional producer the frontier moves on: the marker at the end holds nothing back', async () => {
  const { sql } = database
  const topic = await client.topic(2)
  const values: string[] = []
  const sink: Sink = {
    assigned: (extents) => claimPositions(sql, extents),
    async deliver({ topic, partition, from, to, records }) {
      const moved = await sql`
        update forebay.positions set next_offset = ${String(to)}
        where topic = ${topic} and partition = ${partition} and next_offset = ${String(from)} returning 1`
      expect(moved).toHaveLength(1)
      values.push(...records.map(({ value }) => String(value)))
    },
    stuck: (partition, reason) => markStuck(sql, partition, reason),
  }
  const source = kafkaSource({ brokers: kafka.brokers, topics: [topic], groupId: randomUUID(), maxLagMs: 2_000 })
  const clock = databaseClock(sql)
  await source.start(sink)
  const observer = startObserver({ sql, clock, source, topics: [topic], maxLagMs: 400 })
  const producer = await client.transactional()
  for (const end of ['commit', 'abort'] as const) {
    const transaction = await producer.transaction()
    await transaction.send({ topic, messages: [{ value: end, partition: 0 }] })
    await transaction[end]()
  }
  const [now] = await sql<{ at: string }[]>`select clock_timestamp() as at`
  const frontiers = () =>
    sql<
      { fresh: boolean | null }[]
    >`select frontier > ${now!.at} as fresh from forebay.positions where topic = ${topic}`
  await until(async () => {
    const found = await frontiers()
    return found.length === 2 && found.every(({ fresh }) => fresh === true)
  }, 'both frontiers are later than the transactions')
  expect(values).toEqual(['commit'])
  await observer.stop()
  await source.stop()
})
