/** The bench's topics on a broker of its own, and what goes into them. */
import type { Admin, Producer } from 'kafkajs'
import { type Message, tables } from './changes.ts'

export const topics: readonly string[] = tables.map((table) => `bench.${table}`)

export const createTopics = async (admin: Admin, names: readonly string[]): Promise<void> => {
  await admin.createTopics({ topics: names.map((topic) => ({ topic, numPartitions: 4, replicationFactor: 1 })) })
}

export const send = (producer: Producer, batch: readonly Message[]) =>
  producer.sendBatch({
    topicMessages: [...Map.groupBy(batch, ({ topic }) => topic)].map(([topic, group]) => ({
      topic,
      messages: group.map(({ key, value }) => ({ key, value })),
    })),
  })

export const sendAll = async (producer: Producer, messages: readonly Message[]): Promise<void> => {
  for (let start = 0; start < messages.length; start += 2_000)
    await send(producer, messages.slice(start, start + 2_000))
}
