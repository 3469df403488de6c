import { expect, test } from 'vitest'
import { createFanoutPace } from '../../src/ingest/maintain/fanout-pace.ts'

/** Live rounds and stretches in turn, for so long: how much of the time stretches had, and the longest. A stretch costs 2 ms and 0.1 for each key. */
const run = (options: {
  readonly seconds: number
  readonly live?: { readonly everyMs: number; readonly ms: number; readonly full?: boolean }
}) => {
  let now = 0
  let nextLive = 0
  let [worked, longest, keys] = [0, 0, 0]
  const pace = createFanoutPace(() => now)
  const { live } = options
  while (now < options.seconds * 1_000) {
    const entries = live && now >= nextLive ? 1 : 0
    const ms = entries ? live!.ms : 1
    now += ms
    if (entries) nextLive = now + live!.everyMs
    pace.live({ entries, full: entries > 0 && live!.full === true }, ms)
    if (pace.wait() > 0) {
      now += 1
      continue
    }
    const some = pace.keys()
    const took = 2 + some / 10
    now += took
    pace.worked(some, took)
    longest = Math.max(longest, took)
    worked += took
    keys += some
  }
  return { share: worked / now, longest, keys }
}

test('with no live work a fan-out has nearly all of the time', () => {
  const { share, keys } = run({ seconds: 20 })
  expect(share).toBeGreaterThan(0.9)
  expect(keys).toBeGreaterThan(150_000)
})

test('beside live work it has about a third, in stretches that live work can wait for', () => {
  const { share, longest } = run({ seconds: 20, live: { everyMs: 5, ms: 10 } })
  expect(share).toBeGreaterThan(0.2)
  expect(share).toBeLessThan(0.4)
  // It may begin before the first live round is known.
  expect(longest).toBeLessThanOrEqual(25)
})

test('beside a backlog it has a tenth, and so it ends', () => {
  const { share } = run({ seconds: 20, live: { everyMs: 0, ms: 10, full: true } })
  expect(share).toBeGreaterThan(0.03)
  expect(share).toBeLessThan(0.12)
})

test('a stretch takes no longer than a quarter of a long live round', () => {
  expect(run({ seconds: 20, live: { everyMs: 0, ms: 800 } }).longest).toBeLessThanOrEqual(200)
})
