import { randomUUID } from 'node:crypto'
import { type Admin, CompressionTypes, Kafka, logLevel, Partitioners, type Producer } from 'kafkajs'

export type Client = {
  readonly producer: Producer
  readonly admin: Admin
  /** A producer whose sends are transactions. */
  transactional(): Promise<Producer>
  /** Makes a topic of a name that nobody else has. */
  topic(partitions?: number, configEntries?: { name: string; value: string }[]): Promise<string>
  /** Deletes the topic and makes another of its name, with one partition, as soon as the broker lets it. */
  makeAnew(topic: string): Promise<void>
  /** Records in these topics, markers of transactions included. */
  count(topics: readonly string[]): Promise<number>
  send(
    topic: string,
    values: readonly (string | null)[],
    partition?: number,
    compression?: CompressionTypes,
  ): Promise<void>
  close(): Promise<void>
}

export const kafkaClient = async (brokers: string[]): Promise<Client> => {
  const kafka = new Kafka({ brokers, logLevel: logLevel.NOTHING })
  const createPartitioner = Partitioners.DefaultPartitioner
  const producers = [kafka.producer({ createPartitioner })]
  const [producer] = producers as [Producer]
  const admin = kafka.admin()
  await Promise.all([producer.connect(), admin.connect()])
  return {
    producer,
    admin,
    async transactional() {
      const made = kafka.producer({
        createPartitioner,
        transactionalId: randomUUID(),
        idempotent: true,
        maxInFlightRequests: 1,
      })
      producers.push(made)
      await made.connect()
      return made
    },
    async topic(numPartitions = 1, configEntries = []) {
      const topic = `t-${randomUUID()}`
      // It has been made when it says that its leader isn't there yet.
      await admin.createTopics({ topics: [{ topic, numPartitions, configEntries }] }).catch((error: unknown) => {
        if ((error as { type?: string }).type !== 'UNKNOWN_TOPIC_OR_PARTITION') throw error
      })
      return topic
    },
    async makeAnew(topic) {
      await admin.deleteTopics({ topics: [topic] })
      const made = () =>
        admin.createTopics({ topics: [{ topic, numPartitions: 1 }] }).then(
          () => true,
          () => false,
        )
      await until(made, 'made anew')
    },
    async count(topics) {
      let total = 0
      // One after the other: of several new ones kafkajs mixes up what it knows.
      for (const topic of topics)
        for (const { high, low } of await admin.fetchTopicOffsets(topic)) total += Number(high) - Number(low)
      return total
    },
    async send(topic, values, partition = 0, compression = CompressionTypes.None) {
      const messages = values.map((value) => ({ key: 'k', value, partition }))
      await producer.send({ topic, messages, compression, acks: -1 })
    },
    async close() {
      await Promise.all([...producers, admin].map((one) => one.disconnect()))
    },
  }
}

/** Waits until it holds; fails with what was seen last. */
export const until = async (holds: () => boolean | Promise<boolean>, what: string, ms = 20_000): Promise<void> => {
  const deadline = Date.now() + ms
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`within ${ms} ms not: ${what}`)
    await new Promise((done) => setTimeout(done, 20))
  }
}
