/** The limit of reading: kafkajs's eachBatch over every topic, and JSON.parse of every value. Prints messages a second, once it has them all. */
import kafkajs from 'kafkajs'

const [brokers, count, ...topics] = process.argv.slice(2) as [string, string, ...string[]]
const consumer = new kafkajs.Kafka({ brokers: brokers.split(','), logLevel: kafkajs.logLevel.NOTHING }).consumer({
  groupId: `limit-${process.pid}`,
  allowAutoTopicCreation: false,
})
await consumer.connect()
await consumer.subscribe({ topics, fromBeginning: true })
let left = Number(count)
let began = 0
await consumer.run({
  autoCommit: false,
  eachBatch: async ({ batch }) => {
    began ||= performance.now()
    for (const { value } of batch.messages) JSON.parse((value as Buffer).toString())
    left -= batch.messages.length
    if (left > 0) return
    process.stdout.write(`${Number(count) / ((performance.now() - began) / 1000)} messages a second\n`)
    process.exit(0)
  },
})
