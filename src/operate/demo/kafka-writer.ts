/** The simulation's records to a real Kafka, its topics made where they don't exist. */
import { Kafka, logLevel, type Producer } from 'kafkajs'
import type { KafkaConnection } from '../../platform/kafka.ts'
import type { LogWriter } from './feeder.ts'

const partitions = 4

/** Throws where no broker answers within a few seconds. */
export const kafkaWriter = async (connection: KafkaConnection, topics: readonly string[]): Promise<LogWriter> => {
  const retry = { retries: 3 }
  const kafka = new Kafka({ clientId: 'forebay-demo', ...connection, logLevel: logLevel.NOTHING, retry })
  const admin = kafka.admin()
  await admin.connect().catch((cause: unknown) => {
    const place = `Kafka at ${connection.brokers.join(', ')}`
    throw new Error(`${place} can't be reached; check KAFKA_BROKERS or leave it empty for the journal`, { cause })
  })
  const existing = new Set(await admin.listTopics())
  const missing = topics.filter((topic) => !existing.has(topic))
  if (missing.length > 0)
    await admin.createTopics({ topics: missing.map((topic) => ({ topic, numPartitions: partitions })) })
  await admin.disconnect()

  // Idempotent, since a batch that one of its many partitions refuses is sent again whole.
  const connect = async (): Promise<Producer> => {
    const producer = kafka.producer({ allowAutoTopicCreation: false, idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    return producer
  }
  let producer: Producer | undefined = await connect()
  return {
    write: async (records) => {
      const topicMessages = [...Map.groupBy(records, ({ topic }) => topic)].map(([topic, own]) => ({
        topic,
        messages: own.map(({ key, value, headers }) => ({ key, value, headers: { ...headers } })),
      }))
      if (topicMessages.length === 0) return
      const current = producer ?? (await connect())
      producer = undefined
      try {
        await current.sendBatch({ topicMessages, acks: -1 })
        producer = current
      } finally {
        // One that failed has lost count of its sequence: the next write begins with another.
        if (!producer) await current.disconnect().catch(() => {})
      }
    },
    close: async () => producer?.disconnect(),
  }
}
