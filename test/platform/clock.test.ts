import fc from 'fast-check'
import { expect, test } from 'vitest'
import { databaseClock } from '../../src/platform/clock.ts'
import type { Sql } from '../../src/platform/postgres.ts'

const noSql = undefined as unknown as Sql

/** A world in which the true clocks are known: `time` is this process's, the primary's runs at `rate` from `start`. */
const world = (start: number, rate: number) => {
  const state = { time: 0, there: 0, back: 0 }
  const primary = () => start + state.time * rate
  const clock = databaseClock(
    noSql,
    () => state.time,
    async () => {
      state.time += state.there
      const shown = primary()
      state.time += state.back
      return shown
    },
  )
  return { state, primary, clock }
}

test('C24 whatever the way there and back takes, and whatever the rates, the bounds hold the true time', async () => {
  // In microseconds, as both clocks count, and from a start so near to 0 that the world's own doubles lose nothing of them.
  const upTo = (ms: number) => fc.integer({ min: 0, max: ms * 1_000 }).map((micros) => micros / 1_000)
  const delay = upTo(500)
  const steps = fc.array(fc.record({ there: delay, back: delay, pause: upTo(90_000) }), { minLength: 1, maxLength: 20 })
  const rate = fc.double({ min: 0.9993, max: 1.0007, noNaN: true })
  await fc.assert(
    fc.asyncProperty(steps, rate, async (steps, rate) => {
      const { state, primary, clock } = world(1_795_000, rate)
      for (const { there, back, pause } of steps) {
        Object.assign(state, { there, back })
        await clock.refresh()
        for (const wait of [0, pause]) {
          state.time += wait
          Object.assign(state, { there: 0, back: 0 })
          const [low, true_, high] = [clock.lower(), primary(), clock.upper()]
          expect(low).toBeLessThanOrEqual(true_)
          expect(high).toBeGreaterThanOrEqual(true_)
          expect(Number.isInteger(low) && Number.isInteger(high)).toBe(true)
        }
      }
    }),
  )
})

test('C24 taking the answer at face value would stamp too late: the lower bound allows for the way back', async () => {
  const { state, primary, clock } = world(1_000_000, 1)
  Object.assign(state, { there: 0, back: 400 })
  await clock.refresh()
  expect(primary()).toBe(1_000_400)
  expect(clock.lower()).toBe(1_000_000)
  expect(clock.upper()).toBeGreaterThanOrEqual(1_000_400)
})

test('a slow answer does not spoil what a quick one showed', async () => {
  const { state, clock } = world(1_000_000, 1)
  Object.assign(state, { there: 1, back: 1 })
  await clock.refresh()
  Object.assign(state, { there: 0, back: 800 })
  await clock.refresh()
  expect(clock.upper() - clock.lower()).toBeLessThan(10)
})

test('a clock that was set is believed at the next reading', async () => {
  const state = { time: 0, primary: 1_000_000 }
  const clock = databaseClock(
    noSql,
    () => state.time,
    async () => state.primary,
  )
  await clock.refresh()
  state.primary = 400_000
  await clock.refresh()
  expect([clock.lower(), clock.upper()]).toEqual([400_000, 400_000])
})

test('bounds that are asked for long after the last reading cause a new one, and a failing one leaves them true', async () => {
  const state = { time: 0, readings: 0 }
  const clock = databaseClock(
    noSql,
    () => state.time,
    async () => {
      state.readings++
      if (state.readings === 2) throw new Error('away')
      return 1_000_000 + state.time
    },
  )
  await clock.refresh()
  for (const [time, readings] of [
    [500, 1],
    [1_600, 2],
    [3_000, 3],
  ] as const) {
    state.time = time
    expect(clock.lower()).toBeLessThanOrEqual(1_000_000 + time)
    await new Promise(setImmediate)
    expect(state.readings).toBe(readings)
  }
})

test('bounds before the first reading are refused', () => {
  expect(() => world(0, 1).clock.lower()).toThrow('await refresh() first')
})
