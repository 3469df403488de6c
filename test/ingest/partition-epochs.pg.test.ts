/** C16 at the positions themselves, whatever the log: who may read how far, and who may write. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { takeFence } from '../../src/ingest/apply/fence.ts'
import { claimPositions } from '../../src/ingest/source/positions.ts'
import type { Extent } from '../../src/ingest/source.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'
import { model } from './entities.ts'

let database: Database
beforeAll(async () => {
  database = await freshDatabase()
  await installModel(database.sql, model([]))
})
afterAll(() => database?.drop())

let topics = 0
const log = (topic: string, ...ends: number[]): Extent[] =>
  ends.map((end, partition) => ({ topic, partition, start: 0n, end: BigInt(end) }))
const newTopic = () => `t${topics++}`
const apply = (topic: string, partition: number, from: number, to: number, epoch: number) =>
  database.sql.begin(async (tx) => {
    const [{ version } = { version: 0 }] = await tx<{ version: number }[]>`select version from forebay.catalog`
    return takeFence(tx, [{ topic, partition, from: BigInt(from), to: BigInt(to), epoch, items: [] }], version)
  })
const claims = async (extents: readonly Extent[]) =>
  (await claimPositions(database.sql, extents))
    .toSorted((a, b) => a.partition - b.partition)
    .map(({ offset, until, epoch }) => ({
      offset: Number(offset),
      until: until === undefined ? undefined : Number(until),
      epoch,
    }))

test('C16 partitions of a new topic begin at once, whoever claims which of them first', async () => {
  const topic = newTopic()
  const [first, second] = log(topic, 5, 5)
  const all = log(topic, 5, 5)
  await Promise.all([claimPositions(database.sql, [first!], all), claimPositions(database.sql, [second!], all)])
  expect(await claims(all)).toEqual([
    { offset: 0, until: undefined, epoch: 0 },
    { offset: 0, until: undefined, epoch: 0 },
  ])
})

test('C16 all wait at the ends seen at discovery, and go on in the next epoch once all are there', async () => {
  const topic = newTopic()
  await claims(log(topic, 5, 5))
  expect((await apply(topic, 0, 0, 2, 0)).kind).toBe('held')
  // Two processes discover it at the same time, and see ends that differ.
  await Promise.all([claims(log(topic, 5, 5, 1)), claims(log(topic, 6, 5, 1))])
  const [p0, p1, p2] = await claims(log(topic, 9, 5, 3))
  expect([5, 6]).toContain(p0!.until)
  expect([p1, p2]).toEqual([
    { offset: 0, until: 5, epoch: 0 },
    { offset: 0, until: 0, epoch: 0 },
  ])
  const end = p0!.until!
  expect((await apply(topic, 2, 0, 1, 0)).kind).toBe('lost')
  expect((await apply(topic, 0, 2, end + 1, 0)).kind).toBe('lost')
  expect((await apply(topic, 0, 2, end, 0)).kind).toBe('held')
  expect((await claims(log(topic, 9, 5, 3))).map(({ epoch }) => epoch)).toEqual([0, 0, 0])
  expect((await apply(topic, 1, 0, 5, 0)).kind).toBe('held')
  expect(await claims(log(topic, 9, 5, 3))).toEqual([
    { offset: end, until: undefined, epoch: 1 },
    { offset: 5, until: undefined, epoch: 1 },
    { offset: 0, until: undefined, epoch: 1 },
  ])
  // Decoded before it: its versions would be of the old epoch.
  expect((await apply(topic, 0, end, 9, 0)).kind).toBe('lost')
  expect((await apply(topic, 0, end, 9, 1)).kind).toBe('held')
})

test('C16 partitions added while others still wait begin an epoch of their own after that', async () => {
  const topic = newTopic()
  await claims(log(topic, 2))
  await claims(log(topic, 2, 0))
  expect((await claims(log(topic, 4, 3, 0))).map(({ until }) => until)).toEqual([2, 0, 0])
  await apply(topic, 0, 0, 2, 0)
  // The first wait is over, the second begins, at ends seen now.
  expect(await claims(log(topic, 4, 3, 0))).toEqual([
    { offset: 2, until: 4, epoch: 1 },
    { offset: 0, until: 3, epoch: 1 },
    { offset: 0, until: 0, epoch: 0 },
  ])
  await apply(topic, 0, 2, 4, 1)
  await apply(topic, 1, 0, 3, 1)
  expect((await claims(log(topic, 4, 3, 0))).map(({ epoch, until }) => [epoch, until])).toEqual(
    [2, 2, 2].map((epoch) => [epoch, undefined]),
  )
})

test('C21 positions of a topic that was deleted and made anew are stuck, whatever its offsets', async () => {
  const topic = newTopic()
  const [extent] = log(topic, 5)
  await claims([{ ...extent!, topicId: 'one' }])
  await apply(topic, 0, 0, 5, 0)
  expect(await claims([{ ...extent!, end: 9n, topicId: 'two' }])).toEqual([])
  const [row] = await database.sql`select state, reason, topic_id from forebay.positions where topic = ${topic}`
  expect(row).toMatchObject({
    state: 'STUCK',
    topic_id: 'one',
    reason: expect.stringMatching(/its id is two, positions are of one.*--new-epoch t\d+ --from 0/),
  })
})
