import { expect, test } from 'vitest'
import { createPace } from '../../src/ingest/replay/pace.ts'

/** A clock that only sleeping moves, and a pressure that the test sets. */
const paced = () => {
  const state = { now: 0, load: 0 }
  const said: (string | undefined)[] = []
  const pace = createPace({
    now: () => state.now,
    sleep: async (ms) => {
      state.now += ms
    },
    pressure: async () => ({ load: state.load, why: `load ${state.load}` }),
    say: (why) => {
      if (said.at(-1) !== why) said.push(why)
    },
  })
  /** Works batches of so long until a time; answers with how many, and the share of the time that they took. */
  const work = async (batchMs: number, until: number) => {
    const from = state.now
    let batches = 0
    while (state.now < until) {
      await pace.turn()
      state.now += batchMs
      batches += 1
    }
    return { batches, share: (batches * batchMs) / (state.now - from) }
  }
  return { state, said, pace, work }
}

test('beside live work at ease a replay takes more and more of the time, but never all of it', async () => {
  const { work, said } = paced()
  expect((await work(20, 300)).share).toBeLessThan(0.4)
  await work(20, 20_000)
  const { share } = await work(20, 40_000)
  expect(share).toBeGreaterThan(0.7)
  expect(share).toBeLessThan(0.85)
  expect(said).toEqual([])
})

test('its share is of the time, not of batches: on a slower machine it rests longer', async () => {
  const { state, work } = paced()
  state.load = 0.7
  const quick = await work(10, 20_000)
  const slow = await work(200, 60_000)
  expect(quick.share).toBeCloseTo(0.2, 1)
  expect(slow.share).toBeCloseTo(0.2, 1)
})

test('while live work is behind, one batch in five seconds and no more, and it says why it waits', async () => {
  const { state, said, work } = paced()
  state.load = 1.4
  const { batches } = await work(20, 60_000)
  expect(batches).toBeGreaterThanOrEqual(10)
  expect(batches).toBeLessThanOrEqual(14)
  expect(said).toEqual(['load 1.4'])
})

test('it goes on at once when live work has caught up, more gently than before', async () => {
  const { state, said, pace, work } = paced()
  await work(20, 30_000)
  const before = pace.duty()
  state.load = 2
  await work(20, state.now + 12_000)
  state.load = 0.2
  const from = state.now
  await pace.turn()
  expect(state.now - from).toBeLessThan(1_000)
  expect(said).toEqual(['load 2', undefined])
  expect(pace.duty()).toBeLessThan(before / 2)
})
