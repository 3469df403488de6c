/** C30 and C31 as a gateway keeps them, message by message. The wrong variants show that each schedule finds what it is for. */
import { describe, expect, test } from 'vitest'
import { createChanges } from '../../src/gateway/feed/changes.ts'
import { createProgress, type Progress } from '../../src/gateway/feed/progress.ts'
import type { ChangeMessage } from '../../src/platform/change-message.ts'

const open = (remembered?: number) => {
  const heard: string[] = []
  const changes = createChanges()
  changes.listen({
    changed: (rows) => heard.push(rows.map(({ key, sequence }) => `${key}@${sequence}`).join(' ')),
    changedWhole: (view) => heard.push(`all of ${view}`),
    dropped: (reason) => heard.push(reason),
  })
  const asked: string[][] = []
  const progress = createProgress({
    tell: changes.tell,
    follow: (feeds) => asked.push([...feeds]),
    ...(remembered === undefined ? {} : { remembered }),
  })
  return { progress, heard, asked }
}
const said = (feed: string, sequence: number, keys: readonly string[], part = 1, parts = 1): ChangeMessage => ({
  feed,
  sequence,
  part,
  parts,
  groups: [{ view: 'V', generation: 1, hash: 'h', rows: { tenant: 't', keys } }],
})
const whole = (feed: string, sequence: number): ChangeMessage => ({
  feed,
  sequence,
  part: 1,
  parts: 1,
  groups: [{ view: 'V', generation: 1, hash: 'h' }],
})
const seen = (progress: Progress, feeds: Record<string, number>, begun: number, catalog = 1) =>
  progress.seen({ feeds, catalog }, begun)
/** One that follows feed `a`, up to 5. */
const following = (remembered?: number) => {
  const opened = open(remembered)
  opened.progress.joined(10)
  seen(opened.progress, { a: 5 }, 20)
  return opened
}

describe('a snapshot is covered', () => {
  test('once all that it holds has been processed, and not before', () => {
    const { progress } = following()
    expect(progress.covers({ a: 5 })).toBe(true)
    expect(progress.covers({ a: 6 })).toBe(false)
    progress.message(said('a', 6, ['k']))
    expect(progress.covers({ a: 6 })).toBe(true)
    expect(progress.covers({ a: 4 }), 'an earlier one is as well').toBe(true)
  })
  test('only if every feed of it is, and it has no other', () => {
    const { progress } = open()
    progress.joined(10)
    seen(progress, { a: 5, b: 1 }, 20)
    expect(progress.covers({ a: 5, b: 1 })).toBe(true)
    expect(progress.covers({ a: 5 })).toBe(false)
    expect(progress.covers({ a: 5, b: 1, c: 0 })).toBe(false)
    progress.message(said('a', 6, ['k']))
    expect(progress.covers({ a: 6, b: 2 })).toBe(false)
  })
  test('never where nobody writes a feed', () => {
    const { progress } = open()
    progress.joined(10)
    seen(progress, {}, 20)
    expect([progress.covers({}), progress.follows()]).toEqual([false, false])
  })
  test('by a message of several parts only with the last of them', () => {
    const { progress, heard } = following()
    progress.message(said('a', 6, ['k'], 1, 2))
    expect(progress.covers({ a: 6 })).toBe(false)
    progress.message(said('a', 6, ['l'], 2, 2))
    expect(progress.covers({ a: 6 })).toBe(true)
    expect(heard).toEqual(['k@6', 'l@6'])
  })
})

describe('C30 what was read may be kept', () => {
  test('if none of its keys changed between its own snapshot and what has been processed', () => {
    const { progress } = following()
    progress.message(said('a', 6, ['k']))
    progress.message(said('a', 7, ['l']))
    expect(progress.holds({ a: 5 }, 1, 'k'), 'read before it changed').toBe(false)
    expect(progress.holds({ a: 6 }, 1, 'k'), 'read after').toBe(true)
    expect(progress.holds({ a: 5 }, 1, 'm'), 'did not change').toBe(true)
    expect(progress.holds({ a: 9 }, 1, 'k'), 'read after what is processed').toBe(true)
  })
  test('and not if all of its view may have', () => {
    const { progress, heard } = following()
    progress.message(whole('a', 6))
    expect(heard).toEqual(['all of V'])
    expect([
      progress.holds({ a: 5 }, 1, 'k'),
      progress.holds({ a: 6 }, 1, 'k'),
      progress.holds({ a: 5 }, 2, 'k'),
    ]).toEqual([false, true, true])
  })
  test('and not from before what is remembered', () => {
    const { progress } = following(2)
    for (const [at, key] of [
      [6, 'k'],
      [7, 'l'],
      [8, 'm'],
    ] as const)
      progress.message(said('a', at, [key]))
    expect(progress.holds({ a: 5 }, 1, 'k'), 'its change is forgotten').toBe(false)
    expect(progress.holds({ a: 6 }, 1, 'n')).toBe(true)
  })
  test('in whichever feed the change came', () => {
    const { progress } = open()
    progress.joined(10)
    seen(progress, { a: 5, b: 1 }, 20)
    progress.message(said('b', 2, ['k']))
    expect([progress.holds({ a: 9, b: 1 }, 1, 'k'), progress.holds({ a: 5, b: 2 }, 1, 'k')]).toEqual([false, true])
  })
})

describe('everything is dropped', () => {
  test('at a gap, and nothing read before it is kept', () => {
    const { progress, heard } = following()
    progress.message(said('a', 7, ['k']))
    expect(heard).toEqual(['GAP'])
    expect([progress.holds({ a: 6 }, 1, 'm'), progress.holds({ a: 7 }, 1, 'm')]).toEqual([false, true])
    expect(progress.covers({ a: 7 })).toBe(true)
  })
  test('where a part is missing', () => {
    const { progress, heard } = following()
    progress.message(said('a', 6, ['l'], 2, 2))
    expect(heard).toEqual(['GAP'])
  })
  test('where what a snapshot has is not told for a second: its owner died between commit and publish', () => {
    const { progress, heard } = following()
    seen(progress, { a: 6 }, 1_000)
    seen(progress, { a: 6 }, 1_900)
    expect([heard, progress.covers({ a: 6 })]).toEqual([[], false])
    seen(progress, { a: 6 }, 2_100)
    expect([heard, progress.covers({ a: 6 })]).toEqual([['GAP'], true])
    expect(progress.holds({ a: 5 }, 1, 'm')).toBe(false)
  })
  test('and not where it is only late', () => {
    const { progress, heard } = following()
    seen(progress, { a: 6 }, 1_000)
    progress.message(said('a', 6, ['k']))
    seen(progress, { a: 7 }, 2_100)
    expect(heard).toEqual(['k@6'])
  })
  test('what was told already is told once', () => {
    const { progress, heard } = following()
    for (const at of [4, 5, 6, 6]) progress.message(said('a', at, ['k']))
    expect(heard).toEqual(['k@6'])
  })
  test('when the connection is lost, at once, and nothing is covered until a snapshot that was asked for since', () => {
    const { progress, heard } = following()
    progress.lost()
    expect([heard, progress.covers({ a: 5 }), progress.holds({ a: 5 }, 1, 'k')]).toEqual([['LOST'], false, false])
    seen(progress, { a: 5 }, 30)
    progress.joined(40)
    seen(progress, { a: 5 }, 39)
    expect(progress.covers({ a: 5 }), 'asked for before it listened').toBe(false)
    progress.message(said('a', 7, ['k']))
    seen(progress, { a: 6 }, 41)
    expect(progress.covers({ a: 7 }), 'what came meanwhile counts').toBe(true)
    expect(progress.holds({ a: 6 }, 1, 'k')).toBe(false)
  })
  test('when the views that are registered are others', () => {
    const { progress, heard } = following()
    seen(progress, { a: 5 }, 30, 2)
    expect(heard).toEqual(['CATALOG'])
  })
  test('C31 when another owner has opened another feed, of which what came before it was seen counts', () => {
    const { progress, heard } = following()
    progress.message(said('b', 1, ['k']))
    progress.message(said('b', 2, ['l']))
    seen(progress, { b: 1 }, 30)
    expect(heard).toEqual(['EPOCH', 'l@2'])
    expect([progress.covers({ b: 2 }), progress.covers({ a: 5 })]).toEqual([true, false])
    expect(progress.holds({ a: 5 }, 1, 'm'), 'read in the old epoch').toBe(false)
  })
})

test('feeds that must be asked for are, and followed from a snapshot after that', () => {
  const { progress, asked, heard } = open()
  progress.joined(10, [])
  seen(progress, { a: 5 }, 20)
  expect([asked, progress.covers({ a: 5 })]).toEqual([[['a']], false])
  progress.joined(30, ['a'])
  seen(progress, { a: 5 }, 29)
  expect(progress.covers({ a: 5 })).toBe(false)
  seen(progress, { a: 6 }, 31)
  expect(progress.covers({ a: 6 })).toBe(true)
  seen(progress, { b: 0 }, 40)
  expect([asked.at(-1), heard]).toEqual([['b'], ['EPOCH']])
})

describe('C31 two epochs that are told apart by number alone', () => {
  /** Wrong: whoever owns the shards, it is the one feed. */
  const nameless = (progress: Progress): Progress => ({
    ...progress,
    message: (message) => progress.message({ ...message, feed: 'one' }),
    seen: ({ feeds, catalog }, begun) =>
      progress.seen({ feeds: { one: Math.max(...Object.values(feeds)) }, catalog }, begun),
    covers: (feeds) => progress.covers(feeds && { one: Math.max(...Object.values(feeds)) }),
  })
  /** The first owner got to 5; the second one changes `k` as its first. */
  const run = (how: (progress: Progress) => Progress) => {
    const opened = open()
    const progress = how(opened.progress)
    progress.joined(10)
    seen(progress, { a: 5 }, 20)
    progress.message(said('b', 1, ['k']))
    seen(progress, { b: 1 }, 30)
    return { told: opened.heard.length > 0, covered: progress.covers({ b: 1 }) }
  }
  test('lose the second owner’s change, and don’t know', () => {
    expect(run(nameless)).toEqual({ told: false, covered: true })
  })
  test('by name they don’t', () => {
    expect(run((progress) => progress)).toEqual({ told: true, covered: true })
  })
})
