import { afterAll, beforeAll, expect, test } from 'vitest'
import { append, createTopics, type JournalRecord, journalSource } from '../../src/ingest/source/journal.ts'
import type { LogSource } from '../../src/ingest/source.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { until } from '../kafka/client.ts'
import { type MemorySink, memorySink } from '../kafka/memory-sink.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'
import { model } from './entities.ts'

let database: Database
beforeAll(async () => {
  database = await freshDatabase(20)
  await installModel(database.sql, model([]))
})
afterAll(() => database?.drop())

let topics = 0
const newTopic = () => `topic-${topics++}`
const write = (topic: string, records: readonly JournalRecord[]) =>
  database.sql.begin((tx) => append(tx, topic, records))
const textRecord = (value: string, key: string | null = value): JournalRecord => ({
  key: key === null ? null : Buffer.from(key),
  value: Buffer.from(value),
})
const read = async (names: string[], sink: MemorySink, options: object = {}): Promise<LogSource> => {
  const source = journalSource({ sql: database.sql, topics: names, ...options })
  await source.start(sink)
  return source
}

test('records come back byte for byte, with headers, at the positions that append answered', async () => {
  const topic = newTopic()
  const bytes = Buffer.from([0, 255, 254, 10])
  const positions = await write(topic, [
    { key: bytes, value: bytes, headers: { ce_type: 'a "b"' } },
    { key: bytes, value: null },
    { key: null, value: Buffer.alloc(0) },
  ])
  const sink = memorySink()
  const source = await read([topic], sink)
  await until(() => sink.records().length === 3, 'delivered')
  await source.stop()
  const at = (index: number) =>
    sink
      .records()
      .find(
        ({ partition, offset }) => partition === positions[index]!.partition && offset === positions[index]!.offset,
      )!
  expect(at(0)).toMatchObject({ topic, key: bytes, value: bytes, headers: { ce_type: 'a "b"' } })
  expect(Math.abs(at(0).timestamp - Date.now())).toBeLessThan(60_000)
  expect(at(1).value).toBeNull()
  expect(at(2)).toMatchObject({ key: null, value: Buffer.alloc(0) })
})

test('under concurrent appends nothing is skipped, each key stays in order and offsets have no gaps', async () => {
  const topic = newTopic()
  const writers = 8
  const rounds = 40
  const sink = memorySink()
  const source = await read([topic], sink, { batchRecords: 7 })
  await Promise.all(
    Array.from({ length: writers }, async (_, writer) => {
      for (let round = 0; round < rounds; round++) {
        // Some appends span partitions, some roll back: their offsets must be given again.
        if (round % 5 === 4) {
          const failing = database.sql.begin(async (tx) => {
            await append(tx, topic, [textRecord('never', `w${writer}`), textRecord('never', `x${round}`)])
            throw new Error('rolled back')
          })
          await expect(failing).rejects.toThrow('rolled back')
        }
        await write(topic, [
          textRecord(`${writer}:${round}`, `w${writer}`),
          textRecord(`${round}`, `x${writer}${round}`),
        ])
      }
    }),
  )
  await until(() => sink.records().length >= writers * rounds * 2, 'all delivered')
  await source.stop()
  expect(sink.values()).not.toContain('never')
  expect(sink.records()).toHaveLength(writers * rounds * 2)
  for (let writer = 0; writer < writers; writer++) {
    const own = sink.records().filter(({ key }) => String(key) === `w${writer}`)
    expect(own.map(({ value }) => String(value))).toEqual(Array.from({ length: rounds }, (_, i) => `${writer}:${i}`))
  }
  for (const { partition, start, end } of await source.extents()) {
    const offsets = sink
      .records()
      .filter((record) => record.partition === partition)
      .map(({ offset }) => offset)
    expect(offsets).toEqual(Array.from({ length: Number(end - start) }, (_, i) => start + BigInt(i)))
  }
})

test('C20 an append that has not committed is not in the end that is asked for', async () => {
  const topic = newTopic()
  await createTopics(database.sql, [topic], 1)
  const source = journalSource({ sql: database.sql, topics: [topic] })
  await database.sql.begin(async (tx) => {
    await append(tx, topic, [textRecord('a')])
    expect(await source.extents()).toEqual([{ topic, partition: 0, start: 0n, end: 0n }])
  })
  expect(await source.extents()).toEqual([{ topic, partition: 0, start: 0n, end: 1n }])
})

test('a refused batch comes again, a rewound partition goes on where it is told, and a new reader where it was', async () => {
  const topic = newTopic()
  await createTopics(database.sql, [topic], 1)
  let refusals = 1
  const sink = memorySink(async () => {
    if (refusals-- > 0) throw new Error('not now')
  })
  await write(
    topic,
    ['a', 'b', 'c'].map((value) => textRecord(value)),
  )
  const source = await read([topic], sink)
  await until(() => sink.values().length === 3, 'delivered after the refusal')
  sink.positions.set(`${topic}-0`, { topic, partition: 0, offset: 1n })
  source.rewind([{ topic, partition: 0, offset: 1n }])
  await until(() => sink.values().length === 5, 'delivered again')
  expect(sink.values().slice(3)).toEqual(['b', 'c'])
  await source.stop()
  await write(topic, [textRecord('d')])
  const again = await read([topic], sink)
  await until(() => sink.values().length === 6, 'a new reader goes on')
  await again.stop()
  expect(sink.values().at(-1)).toBe('d')
})

test('a batch is bounded in records and in bytes, and holds at least one', async () => {
  const topic = newTopic()
  await createTopics(database.sql, [topic], 1)
  await write(
    topic,
    Array.from({ length: 10 }, (_, i) => textRecord('x'.repeat(1_000), `k${i}`)),
  )
  const sink = memorySink()
  const source = await read([topic], sink, { batchBytes: 2_500, batchRecords: 100 })
  await until(() => sink.records().length === 10, 'delivered')
  await source.stop()
  expect(sink.batches.map(({ records }) => records.length)).toEqual([3, 3, 3, 1])
})

test('C21 a position beyond the end of the journal is stuck', async () => {
  const topic = newTopic()
  await createTopics(database.sql, [topic], 1)
  const sink = memorySink()
  sink.positions.set(`${topic}-0`, { topic, partition: 0, offset: 5n })
  const source = await read([topic], sink)
  await until(() => sink.stopped.size > 0, 'stuck')
  await source.stop()
  expect(sink.stopped.get(`${topic}-0`)).toMatch(/ends at 0, before the next offset 5/)
})

test('a notification wakes the reader long before it would look again', async () => {
  const topic = newTopic()
  const sink = memorySink()
  const source = await read([topic], sink, { pollMs: 30_000 })
  await until(() => sink.positions.size > 0, 'assigned')
  await write(topic, [textRecord('a')])
  await until(() => sink.values().length === 1, 'delivered', 5_000)
  const began = Date.now()
  await source.stop()
  expect(Date.now() - began).toBeLessThan(1_000)
})
