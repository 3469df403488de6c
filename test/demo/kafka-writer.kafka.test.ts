import { randomBytes } from 'node:crypto'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { simulation } from '../../schema/simulation.ts'
import { createDebezium } from '../../src/operate/demo/debezium.ts'
import { kafkaWriter } from '../../src/operate/demo/kafka-writer.ts'
import { type KafkaService, startKafka } from '../support/kafka.ts'

let service: KafkaService
beforeAll(async () => {
  service = await startKafka()
})
afterAll(() => service?.stop())

test("the simulation's records reach a real Kafka, in topics made for them, in order within a key", async () => {
  const prefix = `demo-${randomBytes(4).toString('hex')}.`
  const run = simulation.create({ seed: 6 })
  const { render } = createDebezium(simulation.tables)
  const transactions = [...run.seedData('tiny'), ...Array.from({ length: 2000 }, () => run.step()).flat()]
  const sent = transactions.flatMap(render).map((record) => ({ ...record, topic: prefix + record.topic }))
  const topics = [...new Set(sent.map(({ topic }) => topic))]
  // Twice: the second finds its topics made.
  await (await kafkaWriter({ brokers: service.brokers }, topics)).close()
  const writer = await kafkaWriter({ brokers: service.brokers }, topics)
  await writer.write(sent)
  await writer.close()

  const kafka = new Kafka({ brokers: service.brokers, logLevel: logLevel.NOTHING })
  const consumer = kafka.consumer({ groupId: `${prefix}test` })
  const read: string[] = []
  const all = Promise.withResolvers<void>()
  await consumer.connect()
  await consumer.subscribe({ topics, fromBeginning: true })
  await consumer.run({
    eachMessage: async ({ topic, message }) => {
      read.push(`${topic} ${message.key} ${message.value?.toString() ?? null}`)
      if (read.length === sent.length) all.resolve()
    },
  })
  await all.promise
  await consumer.disconnect()
  const byKey = (lines: readonly string[]) => Map.groupBy(lines, (line) => line.split(' ', 2).join(' '))
  const [got, wanted] = [byKey(read), byKey(sent.map(({ topic, key, value }) => `${topic} ${key} ${value}`))]
  expect(got.size).toBe(wanted.size)
  for (const [key, lines] of wanted) expect(got.get(key)).toEqual(lines)
  expect(sent.some(({ value }) => value === null)).toBe(true)
})

test('a Kafka that is not there is said so, with what to do', async () => {
  await expect(kafkaWriter({ brokers: ['127.0.0.1:9'] }, [])).rejects.toThrow(
    "Kafka at 127.0.0.1:9 can't be reached; check KAFKA_BROKERS or leave it empty for the journal",
  )
})
