/** Sources whose versions are declared: what a snapshot and the order of event times mean for them. */
import { expect, test } from 'vitest'
import type { LogRecord } from '../../src/ingest/change.ts'
import { openWorld } from '../facts/world.ts'

const openDocs = () =>
  openWorld(
    'type Doc @entity(domain: "odd", key: "id", source: { topic: "docs", version: "rev" }) { id: ID!, rev: Int, name: String }',
  )

const SECOND = 1_000_000
/** `at`: seconds. `snapshot`: as Debezium marks reads. */
const record = (id: string, rev: number | null, at: number, { op = 'u', snapshot = 'false' } = {}): LogRecord => ({
  topic: 'docs',
  partition: 0,
  offset: 0n,
  timestamp: 0,
  headers: {},
  key: Buffer.from(JSON.stringify({ id })),
  value: Buffer.from(
    JSON.stringify({
      op,
      before: op === 'd' ? { id } : null,
      after: op === 'd' ? null : { id, rev, name: `${id}${rev}` },
      source: { lsn: at, ts_us: 1_790_000_000 * SECOND + at * SECOND, snapshot },
    }),
  ),
})
const read = (id: string, rev: number, at: number, snapshot = 'true') => record(id, rev, at, { op: 'r', snapshot })

test('C13 rows that a snapshot did not contain go, though their versions say nothing of when it was; a late read brings its row back', async () => {
  const world = await openDocs()
  const names = async () => (await world.rows('Doc')).map(({ name }) => name).join(' ')
  await world.deliver([record('kept', 7, 10), record('gone', 9, 20), record('late', 8, 30)])
  await world.deliver([read('kept', 7, 100), read('changed', 1, 100)])
  expect(await world.sweep()).toBe(0)
  await world.deliver([read('new', 3, 100, 'last'), record('after', 1, 110)])
  expect(await world.sweep()).toBe(2)
  expect(await names()).toBe('after1 changed1 kept7 new3')
  await world.deliver([read('late', 8, 100), record('gone', 10, 120)])
  expect(await names()).toBe('after1 changed1 gone10 kept7 late8 new3')
  expect(await world.sweep()).toBe(0)
})

test('C14 a declared version that goes back is an older change, and no sign of a restored source', async () => {
  const world = await openDocs()
  await world.deliver([record('a', 7, 10)])
  expect(await world.deliver([record('a', 1, 20)])).toMatchObject({ older: 1 })
  expect(await world.stopped()).toEqual([])
})
