/** What a process keeps of rows: bounded, for what is asked for often, and dropped when it is told so. */
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { createChanges } from '../../src/gateway/feed/changes.ts'
import type { ChangeFeed } from '../../src/gateway/feed/feed.ts'
import { createProgress, type Progress } from '../../src/gateway/feed/progress.ts'
import { createNearCache, type NearCache, type NearScope } from '../../src/gateway/read/near-cache.ts'
import { createPopularity } from '../../src/gateway/read/popularity.ts'
import type { StoredRow } from '../../src/gateway/read/row-sql.ts'
import { createKeyHash } from '../../src/platform/key-hash.ts'
import { metricsText } from '../../src/platform/metrics.ts'

const names = createKeyHash('s'.repeat(64))
const table = (scalar: string) =>
  ({ hash: 'h', view: 'V', key: [{ name: 'id', column: 'id', type: { kind: 'scalar', scalar } }] }) as never
const scope = (tenant = 'acme', scalar = 'ID'): NearScope => ({ generation: 1, table: table(scalar), tenant })
const row = (id: string, length = 10) =>
  ({ fields: 'x'.repeat(length), key: JSON.stringify([id]), version: '1', incomplete: false, classes: 1 }) as StoredRow

let progress: Progress
let near: NearCache
const at = { a: 5 }
const open = (bytes = 2 ** 20): void => {
  const changes = createChanges()
  progress = createProgress({ tell: changes.tell, follow: () => {} })
  progress.joined(1)
  progress.seen({ feeds: at, catalog: 1 }, 2)
  const feed: ChangeFeed = { ...changes, ...progress, names, stop: async () => {} }
  near = createNearCache(feed, bytes)
}
beforeEach(() => open())
const change = (sequence: number, id: string, tenant = 'acme'): void =>
  progress.message({
    feed: 'a',
    sequence,
    part: 1,
    parts: 1,
    groups: [
      {
        view: 'V',
        generation: 1,
        hash: 'h',
        rows: { tenant: names.tenant(tenant), keys: [names.row('h', tenant, [id])] },
      },
    ],
  })
const fill = (id: string, of = scope(), length = 10) => near.fill(of, [id], row(id, length), at, progress.drops())
const get = (id: string, of = scope(), feeds: Record<string, number> = at) => near.get(of, [id], feeds)

describe('a row that is kept', () => {
  test('is there for its tenant and its generation alone', () => {
    fill('k')
    expect(get('k')).toMatchObject({ key: '["k"]' })
    expect([get('k', scope('globex')), get('k', { ...scope(), generation: 2 })]).toEqual([undefined, undefined])
  })
  test('goes when it changes, and others stay', () => {
    fill('k')
    fill('l')
    change(6, 'k')
    expect([get('k'), get('l')]).toEqual([undefined, expect.anything()])
  })
  test('stays where it was read after that change', () => {
    near.fill(scope(), ['k'], row('k'), { a: 6 }, progress.drops())
    change(6, 'k')
    expect(get('k')).toBeDefined()
  })
  test('goes with all others at a gap, and what was under way then is not kept', () => {
    fill('k')
    const before = progress.drops()
    change(9, 'other')
    near.fill(scope(), ['l'], row('l'), { a: 9 }, before)
    expect([get('k', scope(), { a: 9 }), get('l', scope(), { a: 9 })]).toEqual([undefined, undefined])
  })
  test('is kept under its own key, however it was asked for', () => {
    near.fill(
      scope('acme', 'DateTime'),
      ['2026-01-01T00:00:00.50Z'],
      row('2026-01-01T00:00:00.5Z'),
      at,
      progress.drops(),
    )
    const of = scope('acme', 'DateTime')
    expect([get('2026-01-01T00:00:00.50Z', of), get('2026-01-01T00:00:00.5Z', of)]).toEqual([
      undefined,
      expect.anything(),
    ])
  })
})

describe('C29 that there is no row', () => {
  test('is kept, and goes when one is made', () => {
    near.fill(scope(), ['k'], null, at, progress.drops())
    expect(get('k')).toBeNull()
    change(6, 'k')
    expect(get('k')).toBeUndefined()
  })
  test('is not kept where a key may be written in more than one way: its making would be told by another', () => {
    const of = scope('acme', 'DateTime')
    near.fill(of, ['2026-01-01T00:00:00.50Z'], null, at, progress.drops())
    expect(get('2026-01-01T00:00:00.50Z', of)).toBeUndefined()
  })
})

test('nothing is served for a snapshot that has more than was processed', () => {
  fill('k')
  expect([get('k', scope(), { a: 6 }), get('k', scope(), { b: 1 }), near.get(scope(), ['k'], undefined)]).toEqual([
    undefined,
    undefined,
    undefined,
  ])
})

test('what is kept is bounded in bytes, and what is asked for often outlasts what is asked for once', () => {
  open(100_000)
  for (let i = 0; i < 20; i++) get('hot')
  fill('hot', scope(), 1_000)
  for (let i = 0; i < 2_000; i++) {
    get(`cold${i}`)
    fill(`cold${i}`, scope(), 1_000)
  }
  const kept = Array.from({ length: 2_000 }, (_, i) => get(`cold${i}`)).filter(Boolean)
  expect(kept.length).toBeLessThan(100)
  expect(get('hot')).toBeDefined()
})

test('the keys that are asked for most are found among many, and counts are hardly too high', () => {
  const { count, estimate, top } = createPopularity()
  for (let i = 0; i < 30_000; i++) {
    count(`cold ${i}`)
    if (i % 10 === 0) count('first')
    if (i % 20 === 0) count('second')
  }
  expect(
    top()
      .slice(0, 2)
      .map(({ name }) => name),
  ).toEqual(['first', 'second'])
  expect(top().length).toBeLessThanOrEqual(10)
  expect(estimate('first')).toBeGreaterThanOrEqual(3_000)
  expect(estimate('first')).toBeLessThan(3_100)
})

test('C33 /metrics tells the keys that are asked for most by their hashes, ten at most', async () => {
  vi.useFakeTimers()
  try {
    open()
    for (let i = 0; i < 30; i++) for (let times = 0; times < (i === 7 ? 9 : 2); times++) get(`ada-${i}`)
    vi.advanceTimersByTime(5_000)
    const { text } = await metricsText()
    const lines = text.split('\n').filter((line) => line.startsWith('forebay_hot_key_reads{'))
    expect(lines).toContain(`forebay_hot_key_reads{view="V",key="${names.row('h', 'acme', ['ada-7'])}"} 9`)
    expect(lines).toHaveLength(10)
    expect(lines.join()).not.toContain('ada')
  } finally {
    near.stop()
    vi.useRealTimers()
  }
})
