/** The simulation's records to a real Kafka, its topics made where they don't exist. */
import { Kafka, logLevel } from 'kafkajs'
import type { LogWriter } from './feeder.ts'

const partitions = 4

/** Throws where no broker answers within a few seconds. */
export const kafkaWriter = async (brokers: readonly string[], topics: readonly string[]): Promise<LogWriter> => {
  const kafka = new Kafka({ clientId: 'forebay-demo', brokers: [...brokers], logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect().catch((cause: unknown) => {
    throw new Error(
      `Kafka at ${brokers.join(', ')} can't be reached; check KAFKA_BROKERS or leave it empty for the journal`,
      { cause },
    )
  })
  const existing = new Set(await admin.listTopics())
  const missing = topics.filter((topic) => !existing.has(topic))
  if (missing.length > 0)
    await admin.createTopics({ topics: missing.map((topic) => ({ topic, numPartitions: partitions })) })
  await admin.disconnect()
  const producer = kafka.producer({ allowAutoTopicCreation: false })
  await producer.connect()
  return {
    write: async (records) => {
      const topicMessages = [...Map.groupBy(records, ({ topic }) => topic)].map(([topic, own]) => ({
        topic,
        messages: own.map(({ key, value, headers }) => ({ key, value, headers: { ...headers } })),
      }))
      if (topicMessages.length > 0) await producer.sendBatch({ topicMessages, acks: -1 })
    },
    close: () => producer.disconnect(),
  }
}
