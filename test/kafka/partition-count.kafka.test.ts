import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type KafkaService, startKafka } from '../support/kafka.ts'
import { type Client, kafkaClient, until } from './client.ts'
import { item, openShop, type Shop } from './shop.ts'

let kafka: KafkaService
let client: Client
let shop: Shop
beforeAll(async () => {
  kafka = await startKafka()
  client = await kafkaClient(kafka.brokers)
})
afterAll(async () => {
  await shop?.close()
  await client?.close()
  await kafka?.stop()
})

test('C16 a key that goes on in an added partition while its old one lags ends with its later change', async () => {
  const topic = await client.topic(4)
  shop = await openShop(kafka.brokers, topic)
  const { sql } = shop.database
  await shop.start()
  const at = async (partition: number) => (await shop.positions()).find((row) => row.partition === partition)
  await until(async () => (await shop.positions()).length === 4, 'known')
  await sql`update forebay.positions set state = 'PAUSED' where partition = 0`
  for (let i = 0; i < 3; i++) await client.send(topic, [item('k', 'older')], 0)
  await client.admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] })
  await until(async () => (await at(4)) !== undefined, 'the added one is known')
  const another = await kafkaClient(kafka.brokers)
  await another.send(topic, [item('k', 'later')], 4)
  await another.send(topic, [item('other', 'flows?')], 1)
  await another.close()
  // Long enough for the added partition to be read, if anybody read it.
  await sleep(2_000)
  const meanwhile = await shop.positions()
  await sql`update forebay.positions set state = 'RUNNING' where partition = 0`
  await until(
    async () => (await at(4))?.next === 1 && (await at(0))?.next === 3 && (await at(1))?.next === 1,
    'all applied',
  )
  expect(await shop.items()).toEqual({ k: 'later', other: 'flows?' })
  for (const row of await shop.positions()) expect(row).toMatchObject({ epoch: 1, waits: false, state: 'RUNNING' })
  for (const partition of [0, 1, 4]) expect(meanwhile[partition]).toMatchObject({ next: 0, waits: true })
})
