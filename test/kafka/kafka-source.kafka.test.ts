import { randomUUID } from 'node:crypto'
import { CompressionTypes } from 'kafkajs'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { kafkaSource } from '../../src/ingest/source/kafka.ts'
import type { LogSource } from '../../src/ingest/source.ts'
import { type KafkaService, startKafka } from '../support/kafka.ts'
import { type Client, kafkaClient, until } from './client.ts'
import { type MemorySink, memorySink, memorySinkOver } from './memory-sink.ts'

let kafka: KafkaService
let client: Client
const sources: LogSource[] = []

beforeAll(async () => {
  kafka = await startKafka()
  client = await kafkaClient(kafka.brokers)
})
afterEach(async () => {
  await Promise.all(sources.splice(0).map((source) => source.stop()))
})
afterAll(async () => {
  await client?.close()
  await kafka?.stop()
})

const start = async (topics: string[], sink: MemorySink, groupId: string = randomUUID()): Promise<LogSource> => {
  const source = kafkaSource({ brokers: kafka.brokers, topics, groupId, maxLagMs: 2_000 })
  sources.push(source)
  await source.start(sink)
  return source
}
const numbers = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => String(from + i))

test('every record of every partition is delivered once and in order, keys, headers and gzip included', async () => {
  const topic = await client.topic(3)
  const sink = memorySink()
  await start([topic], sink)
  for (const partition of [0, 1, 2]) await client.send(topic, numbers(0, 500), partition, CompressionTypes.GZIP)
  await client.producer.send({
    topic,
    messages: [{ key: 'k', value: null, partition: 0, headers: { h: 'v' }, timestamp: '1795000000000' }],
  })
  await until(() => sink.records().length === 1501, 'all delivered')
  for (const partition of [0, 1, 2]) {
    const own = sink.records().filter((record) => record.partition === partition)
    expect(own.slice(0, 500).map(({ value }) => String(value))).toEqual(numbers(0, 500))
    expect(own.map(({ offset }) => offset)).toEqual(own.map((_, index) => BigInt(index)))
  }
  const tombstone = sink.records().find(({ value }) => value === null)!
  expect(tombstone).toMatchObject({ topic, partition: 0, offset: 500n, timestamp: 1_795_000_000_000 })
  expect(String(tombstone.key)).toBe('k')
  expect(String(tombstone.headers.h)).toBe('v')
})

test('reading starts at the stored position, whatever offset the group has committed', async () => {
  const topic = await client.topic()
  const groupId = randomUUID()
  await client.send(topic, numbers(0, 100))
  await client.admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '90' }] })
  const sink = memorySink()
  sink.positions.set(`${topic}-0`, { topic, partition: 0, offset: 40n })
  await start([topic], sink, groupId)
  await until(() => sink.positions.get(`${topic}-0`)?.offset === 100n, 'applied to the end')
  expect(sink.values()).toEqual(numbers(40, 100))
})

test('C20 the position gets past the marker that ends a transaction, and past aborted records', async () => {
  const topic = await client.topic()
  const sink = memorySink()
  const source = await start([topic], sink)
  const producer = await client.transactional()
  const transact = async (value: string, end: 'commit' | 'abort') => {
    const transaction = await producer.transaction()
    await transaction.send({ topic, messages: [{ value, partition: 0 }] })
    await transaction[end]()
  }
  const atEnd = async () => {
    const [extent] = await source.extents()
    return extent !== undefined && extent.end > 0n && sink.positions.get(`${topic}-0`)?.offset === extent.end
  }
  await transact('kept', 'commit')
  await until(atEnd, 'past the commit marker')
  expect(sink.positions.get(`${topic}-0`)?.offset).toBe(2n)
  await transact('dropped', 'abort')
  await until(
    async () => (await atEnd()) && sink.positions.get(`${topic}-0`)?.offset === 4n,
    'past the aborted transaction',
  )
  expect(sink.values()).toEqual(['kept'])
})

test('C20 partitions that a topic gains are in the next answer, so that no frontier is later than the set it is true for', async () => {
  const topic = await client.topic(1)
  const sink = memorySink()
  const source = await start([topic], sink)
  expect(await source.extents()).toHaveLength(1)
  await client.admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] })
  await until(async () => {
    const { topics } = await client.admin.fetchTopicMetadata({ topics: [topic] })
    return topics[0]?.partitions.length === 3
  }, 'the broker has them')
  await client.send(topic, ['x'], 2)
  const answer = await source.extents()
  expect([...answer].sort((a, b) => a.partition - b.partition)).toMatchObject([
    { topic, partition: 0, start: 0n, end: 0n },
    { topic, partition: 1, start: 0n, end: 0n },
    { topic, partition: 2, start: 0n, end: 1n },
  ])
})

test('a topic that is gone is left out of the answer with its reason, and the others are asked', async () => {
  const [gone, kept] = [await client.topic(1), await client.topic(1)]
  const source = await start([gone, kept], memorySink())
  await until(async () => (await source.extents()).length === 2, 'both answer')
  await client.admin.deleteTopics({ topics: [gone] })
  const answered = () => source.extents().catch(() => [])
  await until(async () => (await answered()).map(({ topic }) => topic).join() === kept, 'the others are asked')
  expect(source.refusals?.().get(gone)).toBe('the topic does not exist')
})

test('C20 the end that is asked for leaves out a transaction that is still open', async () => {
  const topic = await client.topic()
  const sink = memorySink()
  const source = await start([topic], sink)
  await client.send(topic, ['before'])
  const transaction = await (await client.transactional()).transaction()
  await transaction.send({ topic, messages: [{ value: 'open', partition: 0 }] })
  expect(await source.extents()).toMatchObject([{ topic, partition: 0, start: 0n, end: 1n }])
  await until(() => sink.positions.get(`${topic}-0`)?.offset === 1n, 'the committed record is delivered')
  await transaction.commit()
  await until(() => sink.values().length === 2, 'the transaction is delivered')
  expect((await source.extents())[0]?.end).toBe(3n)
})

test('C21 a position before the start of the log is stuck and never reset', async () => {
  const topic = await client.topic()
  await client.send(topic, numbers(0, 10))
  // kafkajs finds the leader only of topics that it was asked about before.
  await client.admin.fetchTopicOffsets(topic)
  await client.admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '5' }] })
  const sink = memorySink()
  sink.positions.set(`${topic}-0`, { topic, partition: 0, offset: 2n })
  await start([topic], sink)
  await until(() => sink.stopped.size > 0, 'stuck')
  expect(sink.stopped.get(`${topic}-0`)).toMatch(/starts at 5, after the next offset 2: records are gone/)
  expect(sink.batches).toEqual([])
})

test('C21 a topic that was made anew while it was read is stuck and not read from its start', async () => {
  const topic = await client.topic()
  const other = await client.topic()
  const sink = memorySink()
  await start([topic, other], sink)
  await client.send(topic, numbers(0, 10))
  await until(() => sink.values().length === 10, 'delivered')
  await client.makeAnew(topic)
  await client.send(topic, ['anew'])
  await client.send(other, ['flows'])
  await until(() => sink.stopped.has(`${topic}-0`), 'stuck', 40_000)
  expect(sink.stopped.get(`${topic}-0`)).toMatch(/made anew/)
  expect(sink.values()).not.toContain('anew')
  await until(() => sink.values().includes('flows'), 'the other topic flows', 40_000)
})

test('a refused batch comes again, and a rewound partition goes on exactly where it is told', async () => {
  const topic = await client.topic()
  let refuse = true
  const sink = memorySink(async () => {
    if (!refuse) return
    refuse = false
    throw new Error('not now')
  })
  const source = await start([topic], sink)
  await client.send(topic, numbers(0, 20))
  await until(() => sink.values().length === 20, 'delivered after the refusal')
  sink.positions.set(`${topic}-0`, { topic, partition: 0, offset: 15n })
  source.rewind([{ topic, partition: 0, offset: 15n }], [])
  await until(() => sink.values().length === 25, 'delivered again')
  expect(sink.values().slice(20)).toEqual(numbers(15, 20))
})

test('a partition moves to a second member while deliveries wait, and nothing is lost or taken twice', async () => {
  const topic = await client.topic(4)
  const groupId = randomUUID()
  let held = true
  const gate = Promise.withResolvers<void>()
  const first = memorySink(async () => (held ? gate.promise : undefined))
  await start([topic], first, groupId)
  for (const partition of [0, 1, 2, 3]) await client.send(topic, numbers(0, 50), partition)
  await until(() => first.positions.size === 4, 'assigned')
  const seconds = memorySinkOver(first)
  await start([topic], seconds, groupId)
  await until(() => seconds.values().length > 0, 'the second member reads', 40_000)
  held = false
  gate.resolve()
  await until(
    () => [0, 1, 2, 3].every((partition) => first.positions.get(`${topic}-${partition}`)?.offset === 50n),
    'all applied',
    40_000,
  )
  expect(first.values().length + seconds.values().length).toBe(200)
})

test('a topic that does not exist yet is waited for and not made, the others flow meanwhile', async () => {
  const present = await client.topic()
  const later = `later-${randomUUID()}`
  const sink = memorySink()
  const source = await start([present, later], sink)
  await client.send(present, ['a'])
  await until(() => sink.values().includes('a'), 'the present topic flows')
  expect(source.status()).toContain(later)
  expect(await client.admin.listTopics()).not.toContain(later)
  await client.admin.createTopics({ topics: [{ topic: later, numPartitions: 1 }] })
  await client.send(later, ['b'])
  await until(() => sink.values().includes('b'), 'the new topic flows')
  expect(source.status()).toBeUndefined()
})

test('partitions added to a topic are read', async () => {
  const topic = await client.topic(1)
  const sink = memorySink()
  await start([topic], sink)
  await client.send(topic, ['old'])
  await until(() => sink.values().includes('old'), 'delivered')
  await client.admin.createPartitions({ topicPartitions: [{ topic, count: 2 }] })
  // The first producer would drop records for a partition that it doesn't know yet, without a word.
  const another = await kafkaClient(kafka.brokers)
  await another.send(topic, ['new'], 1)
  await another.close()
  await until(() => sink.values().includes('new'), 'delivered from the new partition')
})

test('a broker that is away is waited for, said, and stopping does not wait for it', async () => {
  const source = kafkaSource({ brokers: ['127.0.0.1:1'], topics: ['x'], groupId: 'g', maxLagMs: 2_000 })
  await source.start(memorySink())
  await until(() => /ECONNREFUSED|connect/i.test(source.status() ?? ''), 'said')
  await expect(source.extents()).rejects.toThrow()
  const began = Date.now()
  await source.stop()
  expect(Date.now() - began).toBeLessThan(5_000)
})

test('a partition whose batch is not taken for long holds no other of its broker back, and goes on where it stopped', async () => {
  const topic = await client.topic(2)
  const letGo = Promise.withResolvers<void>()
  let waiting = false
  const sink = memorySink(async ({ partition }) => {
    if (partition !== 0) return
    waiting = true
    await letGo.promise
  })
  await start([topic], sink)
  await client.send(topic, ['a', 'b'], 0)
  await until(() => waiting, 'the sink holds partition 0')
  for (let sent = 0; sent < 3; sent++) {
    await client.send(topic, [`${sent}`], 1)
    await until(() => sink.values().length > sent, `${sent} is applied`)
  }
  await client.send(topic, ['c'], 0)
  letGo.resolve()
  await until(() => sink.positions.get(`${topic}-0`)?.offset === 3n, 'partition 0 goes on')
  expect(
    sink
      .records()
      .filter(({ partition }) => partition === 0)
      .map(({ value }) => String(value)),
  ).toEqual(['a', 'b', 'c'])
  expect(sink.values().filter((value) => /\d/.test(value))).toEqual(['0', '1', '2'])
})

test('a delivery that is given up after the group was left tells the client nothing more', async () => {
  const topic = await client.topic()
  const letGo = Promise.withResolvers<void>()
  let deliveries = 0
  const sink = memorySink(async () => {
    deliveries += 1
    await letGo.promise
  })
  const source = await start([topic], sink)
  await client.send(topic, ['a'])
  await until(() => deliveries > 0, 'the sink has it')
  // Longer than it may take, so that the partition is paused until it is answered.
  await new Promise((done) => setTimeout(done, 1_500))
  await source.stop()
  const faults: unknown[] = []
  const note = (fault: unknown) => faults.push(fault)
  process.on('unhandledRejection', note)
  letGo.reject(new Error('the pump has stopped'))
  await new Promise((done) => setTimeout(done, 100))
  process.off('unhandledRejection', note)
  expect(faults).toEqual([])
})
