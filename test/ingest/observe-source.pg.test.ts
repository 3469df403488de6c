import { expect, test } from 'vitest'
import { journalSource } from '../../src/ingest/source/journal.ts'
import type { Extent, LogSource } from '../../src/ingest/source.ts'
import { until } from '../kafka/client.ts'
import { apply, database, frontier, newTopic, observe, rows, write } from './observing.ts'

test('C23 the source frontier is a moment that was known before the end was asked for, once that end is passed', async () => {
  const topic = await newTopic()
  let moment: number | null = null
  const observer = observe(topic, { sources: () => new Map([[topic, { at: moment, trouble: null }]]) })
  await until(async () => (await frontier(topic)) !== null, 'observed')
  expect((await rows(topic))[0]!.source).toBeNull()
  await write(topic)
  moment = 1_790_000_000_000
  await observer.observe()
  await observer.observe()
  expect((await rows(topic))[0]!.source, 'the record that was in the log by then is not applied').toBeNull()
  await apply(topic, 1)
  await until(async () => (await rows(topic))[0]!.source === 1_790_000_000_000, 'applied past')
  const log = await frontier(topic)
  await until(async () => (await frontier(topic))! > log! + 300, 'the log goes on')
  expect((await rows(topic))[0]!.source, 'and the source’s own holds').toBe(1_790_000_000_000)
})

test('C13 C23 until what a new snapshot lacks is swept, nothing is a bound about the source', async () => {
  const topic = await newTopic()
  await database.sql`insert into forebay.snapshots (entity, epoch, version, state) values ('Thing', 0, 7, 'READ')`
  const at = 1_790_000_000_000
  const observer = observe(topic, {
    sources: () => new Map([[topic, { at, trouble: null }]]),
    entitiesOf: () => ['Thing'],
  })
  await until(async () => (await frontier(topic)) !== null, 'about the log it is')
  await observer.observe()
  expect((await rows(topic))[0]!.source).toBeNull()
  await database.sql`update forebay.snapshots set state = 'SWEPT' where entity = 'Thing'`
  await until(async () => (await rows(topic))[0]!.source === at, 'swept')
  await database.sql`delete from forebay.snapshots`
})

test('C23 an end that was asked of the source itself is a bound about the source, and one that no longer is, is none', async () => {
  const topic = await newTopic()
  const real = journalSource({ sql: database.sql, topics: [topic] })
  let fed: Extent['seen'] | undefined = null
  const source: Pick<LogSource, 'kind' | 'extents'> = {
    kind: 'journal',
    extents: async () =>
      (await real.extents()).map((extent) => (fed === undefined ? extent : { ...extent, seen: fed })),
  }
  const observer = observe(topic, { source })
  await observer.observe()
  await observer.observe()
  expect((await rows(topic))[0], 'its source was never asked').toMatchObject({ frontier: null, source: null })
  const at = 1_790_000_000_000
  fed = { at, end: 0n, basis: 'SOURCE' }
  await until(async () => (await rows(topic))[0]?.source != null, 'observed')
  expect((await rows(topic))[0]).toMatchObject({ frontier: at, source: at })
  await observer.observe()
  expect((await rows(topic))[0], 'it holds until the source is asked again').toMatchObject({ frontier: at })
  fed = undefined
  await until(async () => (await rows(topic))[0]!.source === null, 'withdrawn')
})
