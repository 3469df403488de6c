/** Kafka read once more, beside live reading. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { kafkaSource } from '../../src/ingest/source/kafka.ts'
import { type Batch, Gone, type LogSource, type Range } from '../../src/ingest/source.ts'
import { type KafkaService, startKafka } from '../support/kafka.ts'
import { type Client, kafkaClient, until } from './client.ts'

let kafka: KafkaService
let client: Client
const sources: LogSource[] = []
beforeAll(async () => {
  kafka = await startKafka()
  client = await kafkaClient(kafka.brokers)
})
afterAll(async () => {
  for (const source of sources) await source.stop()
  await client?.close()
  await kafka?.stop()
})

const open = (topic: string): LogSource => {
  const source = kafkaSource({ brokers: kafka.brokers, topics: [topic], groupId: `live-${topic}`, maxLagMs: 5_000 })
  sources.push(source)
  return source
}
const never = new AbortController().signal
const read = async (source: LogSource, ranges: readonly Range[], signal = never): Promise<readonly Batch[]> => {
  const batches: Batch[] = []
  for await (const batch of source.reread(ranges, signal)) batches.push(batch)
  return batches
}
const values = (batches: readonly Batch[], partition: number) =>
  batches
    .filter((batch) => batch.partition === partition)
    .flatMap(({ records }) => records.map(({ value }) => `${value}`))
const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `${from + i}`)

test('of each partition exactly the range, in order, in batches that follow one another', async () => {
  const topic = await client.topic(3)
  for (const partition of [0, 1, 2])
    for (let at = 0; at < 3_000; at += 1_000) await client.send(topic, numbers(at, at + 1_000), partition)
  const ranges = [
    { topic, partition: 0, from: 5n, until: 2_995n },
    { topic, partition: 2, from: 1_500n, until: 1_501n },
    { topic, partition: 1, from: 7n, until: 7n },
  ]
  const batches = await read(open(topic), ranges)
  expect(values(batches, 0)).toEqual(numbers(5, 2_995))
  expect(values(batches, 1)).toEqual([])
  expect(values(batches, 2)).toEqual(['1500'])
  for (const { partition, from, until } of ranges.slice(0, 2)) {
    let next = from
    for (const batch of batches.filter((one) => one.partition === partition)) {
      expect(batch.from).toBe(next)
      next = batch.to
    }
    expect(next).toBe(until)
  }
})

test('a range that ends in markers and aborted records ends', async () => {
  const topic = await client.topic()
  const producer = await client.transactional()
  const send = async (value: string, keep: boolean) => {
    const transaction = await producer.transaction()
    await transaction.send({ topic, messages: [{ value, partition: 0 }] })
    await (keep ? transaction.commit() : transaction.abort())
  }
  await send('a', true)
  await send('b', false)
  await send('c', true)
  await send('d', false)
  const source = open(topic)
  const [extent] = await source.extents()
  expect(extent).toMatchObject({ start: 0n, end: 8n })
  const batches = await read(source, [{ topic, partition: 0, from: 0n, until: 8n }])
  expect(values(batches, 0)).toEqual(['a', 'c'])
  expect(batches.at(-1)?.to).toBe(8n)
})

test('records that are gone are not replaced by later ones, and an end that the log does not have is not waited for', async () => {
  const topic = await client.topic()
  await client.send(topic, numbers(0, 10))
  const cut = { topic, partitions: [{ partition: 0, offset: '4' }] }
  // Until the admin client knows the new topic's leader.
  await until(
    () =>
      client.admin.deleteTopicRecords(cut).then(
        () => true,
        () => false,
      ),
    'records deleted',
  )
  const source = open(topic)
  await expect(read(source, [{ topic, partition: 0, from: 3n, until: 10n }])).rejects.toThrow(Gone)
  await expect(read(source, [{ topic, partition: 0, from: 3n, until: 10n }])).rejects.toThrow(/starts at 4/)
  await expect(read(source, [{ topic, partition: 0, from: 5n, until: 11n }])).rejects.toThrow(/ends at 10/)
  expect(values(await read(source, [{ topic, partition: 0, from: 4n, until: 10n }]), 0)).toEqual(numbers(4, 10))
})

test('the first offset at a time, and the end where nothing is as late', async () => {
  const topic = await client.topic(2)
  const at = 1_790_000_000_000
  const messages = [0, 1_000, 2_000].map((ms) => ({ value: `${ms}`, timestamp: String(at + ms), partition: 0 }))
  await client.producer.send({ topic, messages })
  const source = open(topic)
  const offsets = async (ms: number) =>
    new Map((await source.offsetsAt(topic, ms)).map(({ partition, offset }) => [partition, offset]))
  expect(await offsets(at + 1)).toEqual(
    new Map([
      [0, 1n],
      [1, 0n],
    ]),
  )
  expect((await offsets(at + 2_001)).get(0)).toBe(3n)
})

test('the next batch is read when it is asked for; at the signal reading ends, and its group with it', async () => {
  const topic = await client.topic()
  for (let at = 0; at < 20; at++) await client.send(topic, [`${at}`.repeat(200_000)])
  const stop = new AbortController()
  let seen = 0
  for await (const batch of open(topic).reread([{ topic, partition: 0, from: 0n, until: 20n }], stop.signal)) {
    seen += batch.records.length
    await sleep(300)
    stop.abort()
  }
  expect(seen).toBeLessThan(5)
  const groups = async () =>
    (await client.admin.listGroups()).groups.filter(({ groupId }) => groupId.includes(`live-${topic}`))
  await until(async () => (await groups()).length === 0, 'no group is left')
})
