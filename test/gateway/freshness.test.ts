import { inflateRawSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { verify } from '../../src/gateway/access/secret.ts'
import { answerFreshness } from '../../src/gateway/freshness/answer-freshness.ts'
import { aged, type Snapshot, type ViewBasis, viewFreshness, worst } from '../../src/gateway/freshness/freshness.ts'

const now = Date.parse('2026-11-21T09:30:00Z')
const basis = {
  view: { name: 'Card', maxLagMs: 4_000 },
  table: { hash: 'abc' },
  topics: ['a', 'b'],
  entities: ['A', 'B'],
} as unknown as ViewBasis

const partition = (topic: string, behind: number | null, more: Partial<Snapshot['partitions'][number]> = {}) => ({
  topic,
  partition: 0,
  epoch: 1,
  nextOffset: '9007199254740993',
  frontier: behind === null ? null : now - behind,
  state: 'RUNNING' as const,
  reason: null,
  ...more,
})
const snapshot = (change: Partial<Snapshot> = {}): Snapshot => ({
  partitions: [partition('a', 100), partition('b', 300)],
  pending: [],
  parked: [],
  generations: [{ generation: 7, view: 'Card', hash: 'abc' }],
  ...change,
})
const judged = (change: Partial<Snapshot> = {}) => viewFreshness(snapshot(change), basis, now)

test('asOf is the earliest frontier of all the partitions that a view depends on', () => {
  expect(judged()).toMatchObject({ asOf: now - 300, lagMs: 300, state: 'FRESH' })
  expect(judged({ partitions: [partition('a', 100), partition('b', 300), partition('c', 90_000)] }).asOf).toBe(
    now - 300,
  )
})

test('C22 pending work holds asOf at its origin, for its own generation only', () => {
  const pending = (generation: number, origin: number | null, unknown = 0) => [
    { generation, origin, unknown, entries: 3 },
  ]
  expect(judged({ pending: pending(7, now - 3_000) })).toMatchObject({ asOf: now - 3_000, state: 'LAGGING' })
  expect(judged({ pending: pending(7, now - 50) }).asOf).toBe(now - 300)
  expect(judged({ pending: pending(8, now - 3_000) }).asOf).toBe(now - 300)
  expect(judged({ pending: pending(7, now - 50, 1) })).toMatchObject({ asOf: null, lagMs: null, state: 'UNKNOWN' })
})

describe('what is not known makes asOf unknown, never early', () => {
  const cases: readonly (readonly [string, Partial<Snapshot>])[] = [
    ['a partition that was never applied past its end', { partitions: [partition('a', 100), partition('b', null)] }],
    ['a topic without a partition', { partitions: [partition('a', 100)] }],
    ['a view that nothing keeps', { generations: [] }],
    ['a view of another definition', { generations: [{ generation: 7, view: 'Card', hash: 'old' }] }],
  ]
  test.each(cases)('%s', (_, change) => expect(judged(change)).toMatchObject({ asOf: null, state: 'UNKNOWN' }))
})

test('the states follow the promise: half of it, all of it, past it', () => {
  const state = (behind: number) => judged({ partitions: [partition('a', 0), partition('b', behind)] }).state
  expect([state(2_000), state(2_001), state(4_000), state(4_001)]).toEqual(['FRESH', 'LAGGING', 'LAGGING', 'STALE'])
})

test('C19 parked records of an entity degrade the views that depend on it, with count and oldest position', () => {
  const parked = (entity: string | null, topic: string) =>
    judged({ parked: [{ entity, topic, count: 2, oldest: `${topic}-0-17` }] })
  expect(parked('A', 'a')).toMatchObject({
    state: 'DEGRADED',
    lagMs: 300,
    sources: [{ source: 'a', state: 'PARKED', detail: '2 records in quarantine, the oldest at a-0-17' }],
  })
  expect(parked('Z', 'a').state).toBe('FRESH')
  expect(parked(null, 'b').state).toBe('DEGRADED')
  expect(parked(null, 'z').state).toBe('FRESH')
})

test('a source that is stuck or paused is named with its reason', () => {
  const stuck = partition('b', 60_000, { state: 'STUCK', reason: 'the log was made anew' })
  expect(judged({ partitions: [partition('a', 0), stuck] }).sources).toEqual([
    { source: 'b-0', state: 'STUCK', detail: 'the log was made anew' },
  ])
})

test('an answer that holds an older row is as far as that row', () => {
  expect(aged(judged(), now, now - 3_000)).toMatchObject({ asOf: now - 3_000, lagMs: 3_000, state: 'LAGGING' })
  expect(aged(judged(), now, now - 10).asOf).toBe(now - 300)
})

test('an answer is as far as its least view, and its token holds all their positions', () => {
  const key = Buffer.alloc(32, 1)
  const other = viewFreshness(
    snapshot({ partitions: [partition('a', 1_000), partition('b', 3_500)] }),
    { ...basis, view: { ...basis.view, maxLagMs: 9_000 } },
    now,
  )
  const views = new Map([
    ['Card', judged()],
    ['Other', { ...other, state: 'FRESH' as const }],
  ])
  const answer = answerFreshness(views, now, key)
  expect(answer).toMatchObject({ asOf: '2026-11-21T09:29:56.500Z', lagMs: 3_500, maxLagMs: 4_000, basis: 'LOG' })
  const position = verify(answer!.position, key)
  expect(JSON.parse(inflateRawSync(position!).toString())).toEqual({
    a: { 0: [1, '9007199254740993'] },
    b: { 0: [1, '9007199254740993'] },
  })
  expect(verify(`${answer!.position.slice(0, -1)}x`, key)).toBeUndefined()
  expect(answerFreshness(new Map(), now, key)).toBeUndefined()
})

test('of several states the worst is told', () => {
  expect(worst(['FRESH', 'STALE', 'LAGGING'])).toBe('STALE')
  expect(worst(['STALE', 'DEGRADED'])).toBe('DEGRADED')
  expect(worst(['UNKNOWN', 'DEGRADED'])).toBe('UNKNOWN')
})
