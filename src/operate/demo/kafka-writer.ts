/** The simulation's records to a real Kafka, its topics made where they don't exist. */
import { Kafka, logLevel } from 'kafkajs'
import type { Sql } from '../../platform/postgres.ts'
import type { LogWriter } from './feeder.ts'

const partitions = 4

/** Throws where no broker answers within a few seconds. */
export const kafkaWriter = async (
  sql: Sql,
  brokers: readonly string[],
  topics: readonly string[],
): Promise<LogWriter> => {
  const kafka = new Kafka({ clientId: 'forebay-demo', brokers: [...brokers], logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  const existing = new Set(await admin.listTopics())
  const missing = topics.filter((topic) => !existing.has(topic))
  if (missing.length > 0)
    await admin.createTopics({ topics: missing.map((topic) => ({ topic, numPartitions: partitions })) })
  await admin.disconnect()
  const producer = kafka.producer({ allowAutoTopicCreation: false })
  await producer.connect()
  return {
    write: async (records, save) => {
      const topicMessages = [...Map.groupBy(records, ({ topic }) => topic)].map(([topic, messages]) => ({
        topic,
        messages: messages.map(({ key, value, headers }) => ({ key, value, headers: { ...headers } })),
      }))
      // Saved before they are sent, committed after: a failure in between sends again what may have been sent.
      await sql.begin(async (tx) => {
        await save(tx)
        if (topicMessages.length > 0) await producer.sendBatch({ topicMessages, acks: -1 })
      })
    },
    close: () => producer.disconnect(),
  }
}
