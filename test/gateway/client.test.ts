import { expect, expectTypeOf, test } from 'vitest'
import { asking, type Freshness, freshnessOf, type ErrorCode as Said } from '../../src/client.ts'
import type { ErrorCode } from '../../src/gateway/errors.ts'
import type { AnswerFreshness } from '../../src/gateway/freshness/answer-freshness.ts'

test('clients know the errors and the freshness that are said', () => {
  expectTypeOf<Said>().toEqualTypeOf<ErrorCode>()
  expectTypeOf<AnswerFreshness>().toExtend<Freshness>()
  expect(freshnessOf({})).toBe(undefined)
})

test('what is not asked has no header', () => {
  expect(asking({})).toEqual({})
  expect(
    asking({ maxStaleness: '5s', after: ['a', 'b'], onStale: 'fail', wait: '500ms', consistency: 'strong' }),
  ).toEqual({
    'Forebay-Max-Staleness': '5s',
    'Forebay-After': 'a,b',
    'Forebay-Consistency': 'strong',
    'Forebay-On-Stale': 'fail',
    'Forebay-Wait': '500ms',
  })
})
