import { expect, test } from 'vitest'
import { startHistory } from './law5-history.ts'

const history = () => {
  const made = startHistory()
  made.begin('a', 1)(100)
  made.begin('a', 2)(200)
  made.begin('a', null)(300)
  made.begin('a', 4)(400)
  return made
}

test('what was in the log before the bound must be shown, and more may be', () => {
  const { judge } = history()
  expect(judge('a', 2, 250, false)).toBeUndefined()
  expect(judge('a', 4, 250, false)).toBeUndefined()
  expect(judge('a', null, 250, false)).toBeUndefined()
  expect(judge('a', 1, 250, false)).toContain('2 was in the log 50.0 ms before asOf')
  expect(judge('a', 2, 350, false)).toContain('null was in the log')
  expect(judge('a', null, 450, false)).toContain('4 was in the log')
  expect(judge('a', null, 90, false)).toBeUndefined()
  expect(judge('b', null, 450, false)).toBeUndefined()
  expect(judge('a', 7, 450, false)).toContain('never written')
})

test('a record that is being written is due at no bound yet', () => {
  const made = history()
  made.begin('a', 5)
  expect(made.judge('a', 4, 1_000, false)).toBeUndefined()
})

test('a parked record is excepted, and has to be said until something later is shown', () => {
  const made = history()
  made.begin('a', 'BAD')(500)
  expect(made.judge('a', 4, 600, true)).toBeUndefined()
  expect(made.judge('a', 4, 600, false)).toContain('not said')
  expect(made.judge('a', 4, 450, false)).toBeUndefined()
  made.begin('a', 6)(700)
  expect(made.judge('a', 6, 600, false)).toBeUndefined()
  expect(made.judge('a', 6, 800, false)).toBeUndefined()
})
