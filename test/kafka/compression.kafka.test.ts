import { randomUUID } from 'node:crypto'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CompressionCodecs, CompressionTypes } from 'kafkajs'
import * as snappy from 'snappy'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { kafkaSource } from '../../src/ingest/source/kafka.ts'
import type { LogSource } from '../../src/ingest/source.ts'
import { javaTools, produceByJava } from '../support/java-producer.ts'
import { ownRestartableKafka, startKafka } from '../support/kafka.ts'
import { type Client, kafkaClient, until } from './client.ts'
import { type MemorySink, memorySink } from './memory-sink.ts'

let brokers: string[]
let client: Client
const ends: (() => Promise<unknown>)[] = []
const sources: LogSource[] = []

beforeAll(async () => {
  const kafka = await startKafka()
  ends.push(() => kafka.stop())
  brokers = kafka.brokers
  client = await kafkaClient(brokers)
  ends.push(() => client.close())
})
afterEach(async () => {
  await Promise.all(sources.splice(0).map((source) => source.stop()))
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

const start = async (topics: string[], sink: MemorySink, from: readonly string[] = brokers): Promise<void> => {
  const source = kafkaSource({ brokers: from, topics, groupId: randomUUID(), maxLagMs: 2_000 })
  sources.push(source)
  await source.start(sink)
}

/** Small ones, what doesn't compress, and more than any codec's block. */
const values = [
  ...Array.from({ length: 300 }, (_, i) => `{"id":${i}}`),
  randomUUID().repeat(8_000),
  Buffer.from(Array.from({ length: 90_000 }, (_, i) => (i * i * 7 + i) % 251)).toString('base64'),
]

const codecs = [
  ['gzip', CompressionTypes.GZIP],
  ['snappy', CompressionTypes.Snappy],
  ['lz4', CompressionTypes.LZ4],
  ['zstd', CompressionTypes.ZSTD],
] as const

/** Counts what goes through a codec while `work` runs, so that nothing passes for read that was never compressed. */
const counted = async (type: CompressionTypes.GZIP | (typeof codecs)[number][1], work: () => Promise<void>) => {
  const registered = CompressionCodecs[type]
  let batches = 0
  CompressionCodecs[type] = () => {
    const codec = registered()
    const decompress = (bytes: Buffer) => {
      batches += 1
      return codec.decompress(bytes)
    }
    return { compress: codec.compress, decompress }
  }
  await work().finally(() => {
    CompressionCodecs[type] = registered
  })
  return batches
}

test.each(codecs)(
  "records in %s as Kafka's own Java code writes them are read as they were sent",
  async (name, type) => {
    const topic = await client.topic(1, [{ name: 'compression.type', value: name }])
    await client.send(topic, values)
    const sink = memorySink()
    const batches = await counted(type, async () => {
      await start([topic], sink)
      await until(() => sink.records().length === values.length, 'all delivered')
    })
    expect(sink.values()).toEqual(values)
    expect(batches).toBeGreaterThan(0)
  },
)

const tools = await javaTools()
test.skipIf(tools === undefined).each(codecs)(
  "records in %s that Kafka's own producer compressed are read as they were sent",
  async (name, type) => {
    const topic = await client.topic(1, [{ name: 'compression.type', value: 'producer' }])
    const lines = values.slice(-12).map((value) => value.slice(0, 20_000))
    await produceByJava(tools!, { brokers, topic, compression: name, lines, count: 500 })
    const sink = memorySink()
    const batches = await counted(type, async () => {
      await start([topic], sink)
      await until(() => sink.records().length === 500, 'all delivered')
    })
    expect(sink.values().filter((value) => !lines.includes(value))).toEqual([])
    expect(new Set(sink.values()).size).toBe(lines.length)
    expect(batches).toBeGreaterThan(0)
  },
)

test.each(codecs)('records in %s that a Node producer compressed are read as they were sent', async (_, type) => {
  const topic = await client.topic(1, [{ name: 'compression.type', value: 'producer' }])
  await client.send(topic, values, 0, type)
  const sink = memorySink()
  const batches = await counted(type, async () => {
    await start([topic], sink)
    await until(() => sink.records().length === values.length, 'all delivered')
  })
  expect(sink.values()).toEqual(values)
  expect(batches).toBeGreaterThan(0)
})

test('records in one bare block of snappy, as clients without Java write them, are read as they were sent', async () => {
  const topic = await client.topic(1, [{ name: 'compression.type', value: 'producer' }])
  const registered = CompressionCodecs[CompressionTypes.Snappy]
  CompressionCodecs[CompressionTypes.Snappy] = () => ({
    compress: ({ buffer }: { buffer: Buffer }) => snappy.compress(buffer),
  })
  await client.send(topic, values, 0, CompressionTypes.Snappy).finally(() => {
    CompressionCodecs[CompressionTypes.Snappy] = registered
  })
  const sink = memorySink()
  await start([topic], sink)
  await until(() => sink.records().length === values.length, 'all delivered')
  expect(sink.values()).toEqual(values)
})

test('a corrupted batch, compressed or not, stops its own partition with the reason after what came before it, others flow', async () => {
  const kafka = await ownRestartableKafka(3)
  const { kill9 } = await kafka.start()
  ends.push(() => kill9().then(kafka.remove))
  const own = await kafkaClient(kafka.brokers)
  ends.push(() => own.close())
  const topic = await own.topic(3)
  for (const partition of [0, 1, 2]) {
    await own.send(topic, ['before'], partition)
    await own.send(topic, ['one of many', 'many'], partition, partition === 1 ? CompressionTypes.GZIP : undefined)
    await own.send(topic, ['after'], partition)
  }
  // As a disk does it: the broker has the bytes from the same pages and sends them on unseen.
  const damage = async (partition: number, at: (log: Buffer) => number) => {
    const path = join(kafka.folder, 'logs', `${topic}-${partition}`, '00000000000000000000.log')
    const bytes = await readFile(path)
    const file = await open(path, 'r+')
    await file.write(Buffer.from([bytes[at(bytes)]! ^ 0x20]), 0, 1, at(bytes))
    await file.close()
  }
  await damage(0, (log) => log.indexOf('one of many') + 2)
  await damage(1, (log) => log.indexOf(Buffer.from([0x1f, 0x8b])) + 20)
  const sink = memorySink()
  await start([topic], sink, kafka.brokers)
  await until(() => sink.stopped.size === 2, 'both are stopped')
  for (const partition of [0, 1]) {
    expect(sink.stopped.get(`${topic}-${partition}`)).toMatch(
      / holds a batch at offset 1 that can't be read \(its checksum/,
    )
    expect(sink.positions.get(`${topic}-${partition}`)?.offset).toBe(1n)
  }
  await own.send(topic, ['later'], 2)
  const flowing = () => sink.records().filter(({ partition }) => partition === 2)
  await until(() => flowing().length === 5, 'the others flow')
  expect(flowing().map(({ value }) => String(value))).toEqual(['before', 'one of many', 'many', 'after', 'later'])
})
