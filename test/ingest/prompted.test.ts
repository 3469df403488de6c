/** C28: logs are asked at once for who waits, after the moment that is wanted, and once for all who wait together. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createPrompted } from '../../src/ingest/source/prompted.ts'
import { until } from '../kafka/client.ts'

/** A clock that runs with this process's own, behind the wanted moments as bounds of another's are. */
const start = (fails: (n: number) => boolean = () => false) => {
  const now = () => Math.floor(performance.now()) - 3
  const asked: number[] = []
  const settled: number[] = []
  let done = true
  const prompt = createPrompted({
    now,
    ask: async () => {
      const at = now()
      asked.push(at)
      await sleep(2)
      if (fails(asked.length)) throw new Error('the log is away')
      return at
    },
    settle: async (after) => {
      settled.push(after)
      return done
    },
  })
  const hold = (held: boolean): void => {
    done = !held
  }
  return { asked, settled, prompt, hold }
}

test('C28 an asking begins after the moment that is wanted, though its clock is a little behind', async () => {
  const { asked, prompt } = start()
  const moment = Math.floor(performance.now())
  prompt(moment)
  await until(async () => asked.length > 0, 'asked')
  expect(asked[0]).toBeGreaterThanOrEqual(moment)
})

test('C28 many who wait are served by few askings, of which one is after the last of them', async () => {
  const { asked, prompt } = start()
  let last = 0
  for (let i = 0; i < 200; i++) {
    last = Math.floor(performance.now())
    prompt(last)
    if (i % 20 === 0) await sleep(1)
  }
  await until(async () => (asked.at(-1) ?? 0) >= last, 'asked after the last')
  expect(asked.length).toBeLessThan(20)
})

test('what was there is looked for until it is applied, and a later wish is not held up by that', async () => {
  const { asked, settled, prompt, hold } = start()
  hold(true)
  prompt(Math.floor(performance.now()))
  await until(async () => settled.length > 2, 'looked for')
  const later = Math.floor(performance.now())
  prompt(later)
  await until(async () => asked.at(-1)! >= later, 'asked again')
  hold(false)
})

test('a log that is away is asked again by the next who waits, and a moment far ahead is nobody’s', async () => {
  const { asked, prompt } = start((n) => n === 1)
  prompt(Math.floor(performance.now()) + 60_000)
  prompt(Number.NaN)
  await sleep(30)
  expect(asked).toEqual([])
  prompt(Math.floor(performance.now()))
  await until(async () => asked.length === 1, 'failed')
  await sleep(10)
  prompt(Math.floor(performance.now()))
  await until(async () => asked.length === 2, 'asked again')
})
