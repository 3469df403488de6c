import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { interruption } from '../../src/ingest/source/interruption.ts'

const never = (): Promise<never> => new Promise(() => {})

test('whoever waits goes on when interrupted, and who comes later waits anew', async () => {
  const { first, interrupt, pause } = interruption()
  const waiting = [first(never(), 60_000), first(never(), 60_000), pause(60_000)]
  interrupt()
  expect(await Promise.all(waiting)).toEqual(['interrupted', 'interrupted', 'interrupted'])
  expect(await first(Promise.resolve('done'), 60_000)).toBe('done')
  expect(await first(never(), 5)).toBe('late')
  await expect(first(Promise.reject(new Error('no')), 60_000)).rejects.toThrow('no')
})

/** A race against one lasting promise leaves 312 bytes each time. */
test('waiting leaves nothing behind, however often', async () => {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const used = (): number => {
    collect()
    return process.memoryUsage().heapUsed
  }
  const { first, interrupt } = interruption()
  const times = 100_000
  const before = used()
  for (let i = 0; i < times; i++) await first(Promise.resolve('done'), 60_000)
  const each = (used() - before) / times
  // Until here it is in use, or all it holds would be collected with it.
  interrupt()
  expect(each).toBeLessThan(30)
})
