/** Kept answers, by the change feed alone: what comes in, what goes, and how much there is at most. */
import { expect, test } from 'vitest'
import { createAnswers } from '../../src/gateway/answer-cache/answers.ts'
import { createChanges } from '../../src/gateway/feed/changes.ts'
import { createProgress } from '../../src/gateway/feed/progress.ts'

const about = new Map([['Card', { generation: 1, shown: new Set(['name']) }]])
const answer = (bytes = '{"data":{}') => ({ about, bytes })

/** A feed of one owner, of which everything up to 5 has been processed. */
const start = (maxBytes?: number) => {
  const changes = createChanges()
  const progress = createProgress({ tell: changes.tell, follow: () => {} })
  progress.joined(0)
  progress.seen({ feeds: { a: 5 }, catalog: 1 }, 1)
  let last = 5
  const tell = (keys: readonly string[] | undefined) => {
    last += 1
    const named = keys && { rows: { tenant: '', keys } }
    progress.message({
      feed: 'a',
      sequence: last,
      part: 1,
      parts: 1,
      groups: [{ view: 'Card', generation: 1, hash: 'h', ...named }],
    })
  }
  const answers = createAnswers({ listen: changes.listen, holds: progress.holds, drops: progress.drops }, maxBytes)
  const made = (at: number, ...keys: readonly string[]) => ({
    feeds: { a: at },
    drops: progress.drops(),
    rows: keys.map((hash) => ({ generation: 1, hash })),
  })
  return { progress, tell, answers, made }
}

test('C29 an answer of several rows goes when any of them changes, and no other does', () => {
  const { tell, answers, made } = start()
  const both = answers.keep('both', answer(), made(5, 'ada', 'bob'))!
  const other = answers.keep('other', answer(), made(5, 'cyd'))!
  tell(['bob'])
  expect(answers.find('both')).toBeUndefined()
  expect(answers.stands(both)).toBe(false)
  expect(answers.find('other')).toBe(other)
})

test('C30 what was read before a change that has been processed is not kept', () => {
  const { tell, answers, made } = start()
  const early = made(5, 'ada')
  tell(['ada'])
  expect(answers.keep('ada', answer(), early)).toBeUndefined()
  expect(answers.keep('ada', answer(), made(6, 'ada'))).toBeDefined()
})

test('a change that the answer was read after leaves it', () => {
  const { tell, answers, made } = start()
  answers.keep('ada', answer(), made(6, 'ada'))
  tell(['ada'])
  expect(answers.find('ada')).toBeDefined()
  tell(['ada'])
  expect(answers.find('ada')).toBeUndefined()
})

test('where too many rows changed to be named, all answers of their generation go', () => {
  const { tell, answers, made } = start()
  answers.keep('ada', answer(), made(5, 'ada'))
  tell(undefined)
  expect(answers.find('ada')).toBeUndefined()
})

test('C31 a lost connection takes everything, and what was read before it does not come in after it', () => {
  const { progress, answers, made } = start()
  answers.keep('ada', answer(), made(5, 'ada'))
  const early = made(5, 'bob')
  progress.lost()
  expect(answers.find('ada')).toBeUndefined()
  progress.joined(2)
  progress.seen({ feeds: { a: 5 }, catalog: 1 }, 3)
  expect(answers.keep('bob', answer(), early)).toBeUndefined()
  expect(answers.keep('bob', answer(), made(5, 'bob'))).toBeDefined()
})

test('an answer that no row stands for is not kept', () => {
  const { answers, made } = start()
  expect(answers.keep('none', answer(), made(5))).toBeUndefined()
})

test('what is kept stays below its bound, and an answer larger than all of it is not taken', () => {
  const { answers, made } = start(20_000)
  for (let i = 0; i < 1_000; i++) answers.keep(`n${i}`, answer('x'.repeat(1_000)), made(5, `k${i}`))
  const left = Array.from({ length: 1_000 }, (_, i) => answers.find(`n${i}`)).filter(Boolean)
  expect(left.length).toBeGreaterThan(5)
  expect(left.length).toBeLessThan(20)
  expect(answers.keep('large', answer('x'.repeat(30_000)), made(5, 'large'))).toBeUndefined()
})
