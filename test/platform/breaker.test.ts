/** A breaker on its own, by a clock and a chance that the test sets. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type Breaker, createBreaker, fullJitter } from '../../src/platform/breaker.ts'
import { metricsText } from '../../src/platform/metrics.ts'

let chance = 0.5
beforeEach(() => {
  vi.useFakeTimers()
  chance = 0.5
  vi.spyOn(Math, 'random').mockImplementation(() => chance)
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

const away = new Error('away')
const never = new Promise<never>(() => {})
const now = Promise.resolve()
const fail = (breaker: Breaker, over: Promise<unknown> = never, blames?: (error: unknown) => boolean) =>
  breaker.attempt(() => Promise.reject(away), over, blames).catch((error: unknown) => error)
const succeed = (breaker: Breaker, over: Promise<unknown> = never) => breaker.attempt(async () => 'done', over)
const fails = async (breaker: Breaker, times: number) => {
  for (let i = 0; i < times; i++) expect(await fail(breaker, now)).toBe(away)
}
/** Half of 100 ms, 200 ms, … by `chance`. */
const make = (more: { readonly opened?: () => void } = {}) =>
  createBreaker({ dependency: 'test', tolerated: 3, leastMs: 50, longestMs: 1_000, ...more })

test('it opens after as many failures in a row as it tolerates, and a success in between starts the count anew', async () => {
  const opened = vi.fn()
  const breaker = make({ opened })
  await fails(breaker, 2)
  expect(await succeed(breaker)).toBe('done')
  await fails(breaker, 2)
  expect(breaker.state()).toBe('CLOSED')
  expect(opened).not.toHaveBeenCalled()
  await fails(breaker, 1)
  expect(breaker.state()).toBe('OPEN')
  expect(opened).toHaveBeenCalledOnce()
})

test('while it is open nobody tries: who can wait waits, who can’t is told at once', async () => {
  const breaker = make()
  await fails(breaker, 3)
  const work = vi.fn(async () => 'done')
  expect(await breaker.attempt(work, now)).toBeUndefined()
  const waiting = breaker.attempt(work, never)
  await vi.advanceTimersByTimeAsync(49)
  expect(work).not.toHaveBeenCalled()
  await vi.advanceTimersByTimeAsync(1)
  expect(await waiting).toBe('done')
  expect(breaker.state()).toBe('CLOSED')
})

test('half-open one caller tries for all, who go on when that one has succeeded', async () => {
  const breaker = make()
  await fails(breaker, 3)
  const answer = Promise.withResolvers<string>()
  const probe = vi.fn(() => answer.promise)
  const others = vi.fn(async () => 'other')
  const first = breaker.attempt(probe, never)
  const rest = [breaker.attempt(others, never), breaker.attempt(others, never)]
  await vi.advanceTimersByTimeAsync(50)
  expect(breaker.state()).toBe('HALF_OPEN')
  expect(probe).toHaveBeenCalledOnce()
  expect(others).not.toHaveBeenCalled()
  expect(await breaker.attempt(others, now)).toBeUndefined()
  answer.resolve('probe')
  expect(await Promise.all([first, ...rest])).toEqual(['probe', 'other', 'other'])
})

test('a try that fails opens it again for twice as long, up to the longest', async () => {
  const opened = vi.fn()
  const breaker = make({ opened })
  await fails(breaker, 3)
  for (const [index, ms] of [50, 100, 200, 400, 500, 500].entries()) {
    const again = fail(breaker)
    await vi.advanceTimersByTimeAsync(ms - 1)
    expect(opened).toHaveBeenCalledTimes(index + 1)
    await vi.advanceTimersByTimeAsync(1)
    expect(await again).toBe(away)
    expect(breaker.state()).toBe('OPEN')
    expect(opened).toHaveBeenCalledTimes(index + 2)
  }
})

test('the pause is anything up to the whole of it, so that who failed together does not come back together', () => {
  chance = 0
  expect(fullJitter(1, 50, 1_000)).toBe(0)
  chance = 0.25
  expect([1, 2, 3, 9, 1_000].map((tries) => fullJitter(tries, 50, 1_000))).toEqual([25, 50, 100, 250, 250])
  vi.mocked(Math.random).mockRestore()
  const pauses = Array.from({ length: 1_000 }, () => fullJitter(3, 50, 1_000))
  expect(Math.max(...pauses)).toBeLessThan(400)
  expect(new Set(pauses.map((ms) => Math.floor(ms / 100))).size).toBe(4)
})

test('an error that is not the dependency’s fault comes through and shows that it answers', async () => {
  const breaker = make()
  await fails(breaker, 2)
  expect(await fail(breaker, never, () => false)).toBe(away)
  await fails(breaker, 2)
  expect(breaker.state()).toBe('CLOSED')
  await fails(breaker, 1)
  const tried = fail(breaker, never, () => false)
  await vi.advanceTimersByTimeAsync(50)
  expect(await tried).toBe(away)
  expect(breaker.state()).toBe('CLOSED')
})

test('what was under way when it opened prolongs nothing, and waiting ends with what it waits for', async () => {
  const breaker = make()
  const late = Promise.withResolvers<never>()
  const slow = breaker.attempt(() => late.promise, never).catch((error: unknown) => error)
  await fails(breaker, 3)
  late.reject(away)
  expect(await slow).toBe(away)
  const stopped = Promise.withResolvers<void>()
  const work = vi.fn(async () => 'done')
  const waiting = breaker.attempt(work, stopped.promise)
  stopped.resolve()
  expect(await waiting).toBeUndefined()
  expect(work).not.toHaveBeenCalled()
  const next = succeed(breaker)
  await vi.advanceTimersByTimeAsync(50)
  expect(await next).toBe('done')
})

test('its state is at /metrics', async () => {
  const shown = async () => /^forebay_breaker_state{dependency="test"} (\d)$/m.exec((await metricsText()).text)?.[1]
  const breaker = make()
  expect(await shown()).toBe('0')
  await fails(breaker, 3)
  expect(await shown()).toBe('2')
  const answer = Promise.withResolvers<void>()
  const tried = breaker.attempt(() => answer.promise, never)
  await vi.advanceTimersByTimeAsync(50)
  expect(await shown()).toBe('1')
  answer.resolve()
  await tried
  expect(await shown()).toBe('0')
})
