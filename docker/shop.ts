/**
 * The reference shop as a real source: its simulation writes SQL to SOURCE_DATABASE_URL, which Debezium follows, and what its
 * services publish by themselves to KAFKA_BROKERS. It goes on from where it was stopped.
 *
 * SHOP_RATE: steps a second (20). SHOP_STEPS: ends after so many (never). SHOP_SIZE: what there is at first (small). SHOP_SEED (1).
 * SHOP_SEEDED: a file to write once its tables are there and a connector may come.
 */
import { writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { Kafka, logLevel } from 'kafkajs'
import { applySql, sourceDdl } from '../schema/simulation/source-sql.ts'
import { simulation } from '../schema/simulation.ts'
import type { Size, Transaction } from '../src/operate/demo/simulation.ts'
import { loadState, saveState } from '../src/operate/demo/state.ts'
import { connect, untilReachable } from '../src/platform/postgres.ts'

const { SOURCE_DATABASE_URL, KAFKA_BROKERS, SHOP_STEPS, SHOP_SEEDED } = process.env
const { SHOP_SIZE = 'small', SHOP_RATE = '20', SHOP_SEED = '1' } = process.env
if (!SOURCE_DATABASE_URL || !KAFKA_BROKERS) throw new Error('Set SOURCE_DATABASE_URL and KAFKA_BROKERS.')

const sql = connect(SOURCE_DATABASE_URL, { max: 2, name: 'shop' })
await untilReachable(sql, SOURCE_DATABASE_URL)
const producer = new Kafka({
  clientId: 'shop',
  brokers: KAFKA_BROKERS.split(','),
  logLevel: logLevel.NOTHING,
}).producer()
await producer.connect()

const state = await loadState(sql)
const saved = state && { saved: state.saved }
const run = simulation.create({ seed: Number(SHOP_SEED), now: Date.now, ...saved })

const write = async (transactions: readonly Transaction[]): Promise<void> => {
  for (const transaction of transactions) {
    await applySql(sql, transaction)
    const byTopic = [...Map.groupBy(transaction.messages, ({ topic }) => topic)]
    const topicMessages = byTopic.map(([topic, messages]) => ({ topic, messages: [...messages] }))
    if (topicMessages.length > 0) await producer.sendBatch({ topicMessages, acks: -1 })
  }
  const memory = { memory: run.memory(), wal: { lsn: 0, txId: 0 }, held: [], outbox: [] }
  await saveState(sql, simulation.tables, transactions, memory)
}

if (!state) {
  await sql.unsafe(sourceDdl)
  await write(run.seedData(SHOP_SIZE as Size))
}
if (SHOP_SEEDED) await writeFile(SHOP_SEEDED, '')
process.stdout.write('seeded\n')

let stopped = false
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => (stopped = true))
const last = SHOP_STEPS ? Number(SHOP_STEPS) : Number.POSITIVE_INFINITY
for (let step = 0; step < last && !stopped; step += 1) {
  await write(run.step())
  await sleep(1_000 / Number(SHOP_RATE))
}
await producer.disconnect()
await sql.end()
