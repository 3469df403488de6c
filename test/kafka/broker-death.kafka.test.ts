import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { kafkaSource } from '../../src/ingest/source/kafka.ts'
import { type KafkaService, startKafka } from '../support/kafka.ts'
import { kafkaClient, until } from './client.ts'
import { memorySink } from './memory-sink.ts'

let kafka: KafkaService
beforeAll(async () => {
  kafka = await startKafka({ partitions: 1 })
})
afterAll(() => kafka?.stop())

// Somebody else's broker isn't killed.
test.skipIf(process.env.TEST_KAFKA_BROKERS)(
  'a broker that dies while it is read is said, nothing crashes, and stopping takes no longer',
  async () => {
    const client = await kafkaClient(kafka.brokers)
    const topic = await client.topic()
    const sink = memorySink()
    const source = kafkaSource({ brokers: kafka.brokers, topics: [topic], groupId: randomUUID(), maxLagMs: 2_000 })
    await source.start(sink)
    await client.send(topic, ['a'])
    await until(() => sink.values().includes('a'), 'delivered')
    expect(source.status()).toBeUndefined()
    await client.close()
    await kafka.stop()
    await until(() => source.status() !== undefined, 'said', 60_000)
    await expect(source.extents()).rejects.toThrow()
    expect(sink.stopped.size).toBe(0)
    const began = Date.now()
    await source.stop()
    expect(Date.now() - began).toBeLessThan(4_000)
  },
  120_000,
)
