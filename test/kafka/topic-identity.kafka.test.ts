import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { kafkaSource } from '../../src/ingest/source/kafka.ts'
import { type KafkaService, startKafka } from '../support/kafka.ts'
import { type Client, kafkaClient, until } from './client.ts'
import { memorySink } from './memory-sink.ts'
import { item, openShop, type Shop } from './shop.ts'

let kafka: KafkaService
let client: Client
const shops: Shop[] = []
beforeAll(async () => {
  kafka = await startKafka()
  client = await kafkaClient(kafka.brokers)
})
afterAll(async () => {
  await Promise.all(shops.map((shop) => shop.close()))
  await client?.close()
  await kafka?.stop()
})
const open = async (topic: string): Promise<Shop> => {
  const shop = await openShop(kafka.brokers, topic)
  shops.push(shop)
  return shop
}
const items = (label: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => item(String(i), label))

/** And fills it, by a producer that knows nothing of the old one. */
const makeAnew = async (topic: string, values: readonly string[]): Promise<void> => {
  await client.makeAnew(topic)
  const another = await kafkaClient(kafka.brokers)
  await another.send(topic, values)
  await another.close()
}
const stuck = (shop: Shop) => until(async () => (await shop.positions())[0]?.state === 'STUCK', 'stuck', 30_000)

test('C21 a topic made anew with more records than before is stuck at the next start, and never read on', async () => {
  const topic = await client.topic()
  const shop = await open(topic)
  const first = await shop.start()
  await client.send(topic, items('old', 10))
  await until(async () => Object.keys(await shop.items()).length === 10, 'applied')
  await first.stop()
  await makeAnew(topic, items('anew', 30))
  await shop.start()
  await stuck(shop)
  const [position] = await shop.positions()
  expect(position).toMatchObject({
    next: 10,
    reason: expect.stringMatching(/was deleted and made anew .*take a new snapshot/),
  })
  expect(new Set(Object.values(await shop.items()))).toEqual(new Set(['old']))
  // What the reason says to do.
  const { sql } = shop.database
  await sql`
    update forebay.positions set epoch = epoch + 1, next_offset = 0, state = 'RUNNING', reason = null, topic_id = null`
  await until(async () => (await shop.positions())[0]?.next === 30, 'read from its start')
  expect(new Set(Object.values(await shop.items()))).toEqual(new Set(['anew']))
})

test('C21 a topic made anew between two fetches is stuck before a record of the new one is handed on', async () => {
  const [topic, other] = [await client.topic(), await client.topic()]
  const gate = Promise.withResolvers<void>()
  const sink = memorySink(async (batch) => (batch.topic === other ? gate.promise : undefined))
  const source = kafkaSource({ brokers: kafka.brokers, topics: [topic, other], groupId: topic, maxLagMs: 2_000 })
  await source.start(sink)
  await client.send(topic, items('old', 10))
  await until(() => sink.values().length === 10, 'delivered')
  // While one batch of a broker is being handed on, kafkajs fetches nothing more from it, and misses all that happens there.
  await client.send(other, ['holds the fetches back'])
  await sleep(500)
  await makeAnew(topic, items('anew', 30))
  gate.resolve()
  await until(() => sink.stopped.has(`${topic}-0`), 'stuck', 30_000)
  expect(sink.stopped.get(`${topic}-0`)).toMatch(/was deleted and made anew/)
  expect(sink.values().filter((value) => value.includes('anew'))).toEqual([])
  await until(() => sink.values().includes('holds the fetches back'), 'the other topic flows')
  await source.stop()
})
