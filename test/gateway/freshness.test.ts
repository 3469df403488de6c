import { inflateRawSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { verify } from '../../src/gateway/access/secret.ts'
import { answerFreshness } from '../../src/gateway/freshness/answer-freshness.ts'
import { aged, type ViewBasis, viewFreshness, worst } from '../../src/gateway/freshness/freshness.ts'
import type { Snapshot } from '../../src/gateway/freshness/snapshot.ts'
import { followSources } from '../../src/gateway/freshness/source-bounds.ts'

const now = Date.parse('2026-11-21T09:30:00Z')
const basis = {
  view: { name: 'Card', maxLagMs: 4_000 },
  table: { hash: 'abc' },
  topics: ['a', 'b'],
  entities: ['A', 'B'],
  touched: ['ROW', new Set(['list']), new Set(['sum', 'list'])],
} as unknown as ViewBasis

const partition = (topic: string, behind: number | null, more: Partial<Snapshot['partitions'][number]> = {}) => ({
  topic,
  topicId: null,
  partition: 0,
  epoch: 1,
  epochStart: null,
  sourceLsn: null,
  nextOffset: '9007199254740993',
  frontier: behind === null ? null : now - behind,
  sourceFrontier: null,
  sourceTrouble: null,
  state: 'RUNNING' as const,
  reason: null,
  stoppedAt: null,
  unasked: null,
  observedAt: now - 500,
  observedEnd: '9007199254740993',
  ...more,
})
const pending = (origin: number | null = null, unknown = false, generation = 7, path = 0) => ({
  generation,
  path,
  origin,
  unknown,
})
const snapshot = (change: Partial<Snapshot> = {}): Snapshot => ({
  feeds: {},
  partitions: [partition('a', 100), partition('b', 300)],
  pending: [pending()],
  pendingOffsets: null,
  begun: now,
  server: '',
  at: now,
  sources: new Map(),
  parked: [],
  parkedKeys: [],
  degraded: [],
  generations: [{ generation: 7, view: 'Card', hash: 'abc', filled: true }],
  ...change,
})
const judged = (change: Partial<Snapshot> = {}) => viewFreshness(snapshot(change), basis, now)

test('asOf is the earliest frontier of all the partitions that a view depends on', () => {
  expect(judged()).toMatchObject({ asOf: now - 300, lagMs: 300, state: 'FRESH', basis: 'LOG' })
  expect(judged({ partitions: [partition('a', 100), partition('b', 300), partition('c', 90_000)] }).asOf).toBe(
    now - 300,
  )
})

test('C22 pending work holds asOf at its origin, for its own generation only', () => {
  const judgedWith = (...some: readonly ReturnType<typeof pending>[]) => judged({ pending: [...some] })
  expect(judgedWith(pending(now - 3_000))).toMatchObject({ asOf: now - 3_000, state: 'LAGGING' })
  expect(judgedWith(pending(now - 50)).asOf).toBe(now - 300)
  expect(judgedWith(pending(), pending(now - 3_000, false, 8)).asOf).toBe(now - 300)
  expect(judgedWith(pending(now - 50, true))).toMatchObject({ asOf: null, lagMs: null, state: 'UNKNOWN' })
})

test('C22 pending work of a path holds back answers that show what it touches, and whole rows, and no others', () => {
  const old = now - 3_000
  const of = (path: number, ...shown: readonly string[]) =>
    viewFreshness(snapshot({ pending: [pending(old, false, 7, path)] }), basis, now, new Set(shown))
  expect(of(1, 'name', 'sum')).toMatchObject({ asOf: now - 300, rowAsOf: old, state: 'FRESH' })
  expect(of(1, 'name', 'list').asOf).toBe(old)
  expect(of(2, 'sum').asOf).toBe(old)
  // Root keys that a path has led to.
  expect(of(-2, 'sum').asOf, 'path 1').toBe(now - 300)
  expect(of(-3, 'sum').asOf, 'path 2').toBe(old)
  // The row's own, keys of groups, and a path of which nothing is known.
  for (const path of [0, -1, 9]) expect(of(path, 'name').asOf).toBe(old)
  const filling = snapshot({ pending: [pending(null, true, 7, 1)] })
  expect(viewFreshness(filling, basis, now, new Set(['name'])).asOf).toBe(now - 300)
  expect(viewFreshness(filling, basis, now)).toMatchObject({ asOf: null, state: 'UNKNOWN' })
})

describe('what is not known makes asOf unknown, never early', () => {
  const cases: readonly (readonly [string, Partial<Snapshot>])[] = [
    ['a partition that was never applied past its end', { partitions: [partition('a', 100), partition('b', null)] }],
    ['a topic without a partition', { partitions: [partition('a', 100)] }],
    ['a view that nothing keeps', { generations: [] }],
    ['a view of another definition', { generations: [{ generation: 7, view: 'Card', hash: 'old', filled: true }] }],
    [
      'a view that is being filled, between two chunks',
      { generations: [{ generation: 7, view: 'Card', hash: 'abc', filled: false }] },
    ],
  ]
  test.each(cases)('%s', (_, change) => expect(judged(change)).toMatchObject({ asOf: null, state: 'UNKNOWN' }))
})

test('fact 19 a topic that does not exist is named, beside a bound that is not known', () => {
  expect(judged({ partitions: [partition('a', 100)] }).sources).toEqual([
    { source: 'b', state: 'STUCK', detail: 'there is no such topic: nothing has come of it yet' },
  ])
  expect(judged().sources).toEqual([])
})

test('the states follow the promise: half of it, all of it, past it', () => {
  const state = (behind: number) => judged({ partitions: [partition('a', 0), partition('b', behind)] }).state
  expect([state(2_000), state(2_001), state(4_000), state(4_001)]).toEqual(['FRESH', 'LAGGING', 'LAGGING', 'STALE'])
})

test('C23 where its sources can be asked asOf is about them, and the bound about the log stands beside it', () => {
  expect(judged({ sources: new Map([['Card', { at: now - 5_000, whole: true }]]) })).toMatchObject({
    asOf: now - 5_000,
    logAsOf: now - 300,
    basis: 'SOURCE',
    state: 'STALE',
  })
})

describe('C23 what source frontiers say is in the view once the log bound has passed the moment at which they said it', () => {
  const sourced = (at: number, sourceFrontier: number | null, frontier: number, origin: number | null = null) =>
    snapshot({
      at,
      partitions: [
        partition('a', 0, { frontier, sourceFrontier }),
        partition('b', 0, { frontier: frontier + 50, sourceFrontier: sourceFrontier && sourceFrontier + 10 }),
      ],
      pending: [pending(origin)],
    })
  const followed = (...snapshots: readonly Snapshot[]) => {
    const follow = (
      (follow) => (one: Snapshot) =>
        follow(one, [basis])
    )(followSources())
    return snapshots.map((one) => follow(one).get('Card')?.at)
  }

  test('C23 not before it, though the frontiers are there, and not while an entry from before it is pending', () => {
    expect(
      followed(
        sourced(1_000, 700, 900),
        sourced(1_100, 800, 1_050, 950),
        sourced(1_200, 800, 1_150, 1_020),
        sourced(1_300, 800, 1_250),
      ),
    ).toEqual([undefined, undefined, 700, 800])
  })

  test('C23 it holds where the source frontiers hold, while the log goes on, and ends where a source can’t be asked', () => {
    expect(
      followed(
        sourced(1_000, 700, 900),
        sourced(2_000, 700, 1_900),
        sourced(9_000, 700, 8_900),
        sourced(9_100, null, 9_000),
      ),
    ).toEqual([undefined, 700, 700, undefined])
  })
})

test('C23 where some of its sources can be asked asOf is about the log, and no later than what those had committed', () => {
  const follow = (
    (follow) => (one: Snapshot) =>
      follow(one, [basis])
  )(followSources())
  const some = (at: number, of: Partial<Snapshot['partitions'][number]>) =>
    snapshot({
      at,
      partitions: [
        partition('a', 0, { frontier: at - 10, sourceFrontier: 700 }),
        partition('b', 0, { frontier: at - 10, ...of }),
      ],
    })
  follow(some(1_000, {}))
  const dead = some(9_000, {})
  const sources = follow(dead)
  expect(sources.get('Card')).toMatchObject({ at: 700, whole: false })
  expect(viewFreshness({ ...dead, sources }, basis, 9_000)).toMatchObject({
    asOf: 700,
    basis: 'LOG',
    logAsOf: 8_990,
    state: 'STALE',
  })
  // Once the other can be asked as well, what was known before that says nothing of it.
  expect(follow(some(9_100, { sourceFrontier: 600 })).get('Card')).toMatchObject({ at: 700, whole: false })
  expect(follow(some(9_200, { sourceFrontier: 600 })).get('Card')).toMatchObject({ at: 600, whole: true })
})

test('C19 parked records of an entity degrade the views that depend on it, with count and oldest position', () => {
  const parked = (entity: string | null, topic: string) =>
    judged({ parked: [{ entity, topic, count: 2, oldest: `${topic}-0-17`, settledAt: null }] })
  expect(parked('A', 'a')).toMatchObject({
    state: 'DEGRADED',
    lagMs: 300,
    sources: [{ source: 'a', state: 'PARKED', detail: '2 records in quarantine, the oldest at a-0-17' }],
  })
  expect(parked('Z', 'a').state).toBe('FRESH')
  expect(parked(null, 'b').state).toBe('DEGRADED')
  expect(parked(null, 'z').state).toBe('FRESH')
})

test('C19 what left quarantine is said until asOf has passed the moment at which it did', () => {
  const settled = (ago: number) => ({ entity: 'A', topic: 'a', count: 1, oldest: 'a-0-17', settledAt: now - ago })
  expect(judged({ parked: [settled(100)] })).toMatchObject({
    state: 'DEGRADED',
    sources: [{ detail: '1 record left quarantine, and what it stood for is being worked in' }],
  })
  expect(judged({ parked: [settled(301)] }).state).toBe('FRESH')
})

test('a source that is stuck or paused is named with its reason and since when', () => {
  const troubles = (more: Partial<Snapshot['partitions'][number]>) =>
    judged({ partitions: [partition('a', 0), partition('b', 60_000, more)] }).sources
  expect(troubles({ state: 'STUCK', reason: 'the log was made anew', stoppedAt: now - 60_000 })).toEqual([
    { source: 'b-0', state: 'STUCK', detail: 'the log was made anew', since: '2026-11-21T09:29:00.000Z' },
  ])
  expect(troubles({ state: 'PAUSED', reason: 'by hand' })).toEqual([
    { source: 'b-0', state: 'PAUSED', detail: 'by hand' },
  ])
  expect(troubles({ unasked: 'refused', observedAt: now - 30_000 })).toEqual([
    { source: 'b-0', state: 'STUCK', detail: 'refused', since: '2026-11-21T09:29:30.000Z' },
  ])
})

test('an answer that holds an older row is as far as that row', () => {
  expect(aged(judged(), now, now - 3_000)).toMatchObject({ asOf: now - 3_000, lagMs: 3_000, state: 'LAGGING' })
  expect(aged(judged(), now, now - 10).asOf).toBe(now - 300)
})

test('an answer is as far as its least view, and its token holds all their positions', () => {
  const key = Buffer.alloc(32, 1)
  const other = viewFreshness(
    snapshot({
      partitions: [partition('a', 1_000), partition('b', 3_400)],
      sources: new Map([['Card', { at: now - 3_500, whole: true }]]),
    }),
    { ...basis, view: { ...basis.view, maxLagMs: 9_000 } },
    now,
  )
  const views = new Map([
    ['Card', judged()],
    ['Other', { ...other, state: 'FRESH' as const }],
  ])
  const answer = answerFreshness(views, now, key)
  expect(answer).toMatchObject({ asOf: '2026-11-21T09:29:56.500Z', lagMs: 3_500, maxLagMs: 4_000, basis: 'LOG' })
  expect(answer!.views.Other).toMatchObject({ basis: 'SOURCE', logAsOf: '2026-11-21T09:29:56.600Z' })
  expect(answerFreshness(new Map([['Other', other]]), now, key)).toMatchObject({ basis: 'SOURCE' })
  const position = verify(answer!.position, key)
  expect(JSON.parse(inflateRawSync(position!).toString())).toEqual({
    at: now,
    of: {
      a: { id: null, at: { 0: [1, '9007199254740993'] } },
      b: { id: null, at: { 0: [1, '9007199254740993'] } },
    },
  })
  expect(verify(`${answer!.position.slice(0, -1)}x`, key)).toBeUndefined()
  expect(answerFreshness(new Map(), now, key)).toBeUndefined()
})

test('C27 a token names the very topic, so that one made anew under its name is another', () => {
  const key = Buffer.alloc(32, 1)
  const tokenOf = (topicId: string) => {
    const view = judged({ partitions: [partition('a', 100, { topicId }), partition('b', 300)] })
    return answerFreshness(new Map([['Card', view]]), now, key)!.position
  }
  const read = (token: string) => JSON.parse(inflateRawSync(verify(token, key)!).toString())
  expect(read(tokenOf('one')).of).toMatchObject({
    a: { id: 'one', at: { 0: [1, '9007199254740993'] } },
    b: { id: null },
  })
  expect(tokenOf('one')).not.toBe(tokenOf('other'))
})

test('of several states the worst is told', () => {
  expect(worst(['FRESH', 'STALE', 'LAGGING'])).toBe('STALE')
  expect(worst(['STALE', 'DEGRADED'])).toBe('DEGRADED')
  expect(worst(['UNKNOWN', 'DEGRADED'])).toBe('UNKNOWN')
})
