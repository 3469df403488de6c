import { GraphQLError } from 'graphql'
import { describe, expect, test } from 'vitest'
import { type Ask, askedAt, askedByArguments, askedByHeaders, stricter } from '../../src/gateway/freshness/asked.ts'
import { positionToken } from '../../src/gateway/freshness/position-token.ts'
import { spanMs } from '../../src/gateway/freshness/span.ts'

const key = Buffer.alloc(32, 7)
const other = Buffer.alloc(32, 8)
const applied = [{ topic: 'shop.orders-eu', topicId: 'x', partition: 2, epoch: 3, nextOffset: '9007199254740993' }]
const own = positionToken(applied, 1_700_000_000_000, key)

describe('headers and @fresh say the same', () => {
  const cases: readonly (readonly [string, string, string, Ask])[] = [
    ['Forebay-Max-Staleness', 'maxStaleness', '5s', { maxStalenessMs: 5_000 }],
    ['Forebay-Max-Staleness', 'maxStaleness', '500ms', { maxStalenessMs: 500 }],
    ['Forebay-Max-Staleness', 'maxStaleness', '0s', { maxStalenessMs: 0 }],
    ['Forebay-Max-Staleness', 'maxStaleness', 'PT1M0.5S', { maxStalenessMs: 60_500 }],
    ['Forebay-Consistency', 'consistency', 'Strong', { strong: true }],
    ['Forebay-Consistency', 'consistency', 'EVENTUAL', { strong: false }],
    ['Forebay-On-Stale', 'onStale', 'serve', { onStale: 'SERVE' }],
    ['Forebay-On-Stale', 'onStale', 'wait', { onStale: 'WAIT' }],
    ['Forebay-On-Stale', 'onStale', 'FAIL', { onStale: 'FAIL' }],
    ['Forebay-Wait', 'wait', '1.5s', { waitMs: 1_500 }],
    [
      'Forebay-After',
      'after',
      'at:crm.public.customers-eu-1-17, lsn:crm:1/A',
      {
        after: [
          {
            kind: 'OFFSET',
            topic: 'crm.public.customers-eu',
            topicId: null,
            partition: 1,
            epoch: null,
            next: 18n,
          },
          { kind: 'LSN', source: 'crm', lsn: 2n ** 32n + 10n },
        ],
      },
    ],
    [
      'Forebay-After',
      'after',
      own,
      {
        after: [
          { kind: 'OFFSET', topic: 'shop.orders-eu', topicId: 'x', partition: 2, epoch: 3, next: 9007199254740993n },
        ],
        readAt: 1_700_000_000_000,
      },
    ],
  ]
  test.each(cases)('%s: and @fresh(%s:) %s', (header, word, text, ask) => {
    expect(askedByHeaders({ [header.toLowerCase()]: text }, key)).toEqual(ask)
    expect(askedByArguments({ [word]: text }, key)).toEqual(ask)
  })
})

describe('what is malformed is refused by its name, with what it is and what is allowed', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['Forebay-Max-Staleness', '5', 'a duration such as 5s'],
    ['Forebay-Max-Staleness', '-5s', 'a duration such as 5s'],
    ['Forebay-Max-Staleness', 'P1Y', 'a duration such as 5s'],
    ['Forebay-Max-Staleness', '5s, 6s', 'a duration such as 5s'],
    ['Forebay-Max-Staleness', '', 'a duration such as 5s'],
    ['Forebay-Consistency', 'linearizable', 'eventual or strong'],
    ['Forebay-On-Stale', 'retry', 'serve, wait or fail'],
    ['Forebay-Wait', '11s', 'a duration of at most 10s'],
    ['Forebay-After', 'at:orders', 'position tokens'],
    ['Forebay-After', 'at:orders-0--1', 'position tokens'],
    ['Forebay-After', 'lsn:crm:16B3748', 'position tokens'],
    ['Forebay-After', `${own.slice(0, -1)}${own.endsWith('A') ? 'B' : 'A'}`, 'position tokens'],
    ['Forebay-After', `X${own.slice(1)}`, 'position tokens'],
    ['Forebay-After', positionToken(applied, 1, other), 'position tokens'],
    ['Forebay-After', 'at:orders-0-1,,at:orders-0-2', 'position tokens'],
  ]
  test.each(cases)('%s: %s', (header, text, allowed) => {
    const refused = (): Ask => askedByHeaders({ [header.toLowerCase()]: text }, key)
    expect(refused).toThrow(GraphQLError)
    expect(refused).toThrow(`The header ${header} is "`)
    expect(refused).toThrow(allowed)
    try {
      refused()
    } catch (error) {
      expect((error as GraphQLError).extensions.code).toBe('BAD_USER_INPUT')
    }
  })
})

test('of header and directive the stricter counts, whichever of them it is', () => {
  const one: Ask = { maxStalenessMs: 5_000, strong: false, onStale: 'SERVE', waitMs: 100 }
  const [first, second] = ['at:a-0-1', 'at:b-0-2'].map((text) => askedByHeaders({ 'forebay-after': text }, key))
  const two: Ask = { maxStalenessMs: 1_000, strong: true, onStale: 'WAIT', waitMs: 900 }
  const both: Ask = {
    maxStalenessMs: 1_000,
    strong: true,
    onStale: 'WAIT',
    waitMs: 100,
    after: [...first!.after!, ...second!.after!],
  }
  expect(stricter({ ...one, ...first }, { ...two, ...second })).toEqual(both)
  expect(stricter({ ...two, ...first }, { ...one, ...second })).toEqual(both)
  expect(stricter({ onStale: 'FAIL' }, { onStale: 'WAIT' })).toEqual({ onStale: 'FAIL' })
  expect(stricter({}, one)).toEqual(one)
})

test('what is left out is filled in: WAIT for two seconds, and where only that is said, what views promise', () => {
  expect(askedAt({}, 9)).toBeUndefined()
  expect(askedAt({ strong: false }, 9)).toBeUndefined()
  expect(askedAt({ maxStalenessMs: 0 }, 9)).toEqual({
    arrived: 9,
    maxStalenessMs: 0,
    after: [],
    readAt: null,
    strong: false,
    onStale: 'WAIT',
    waitMs: 2_000,
  })
  expect(askedAt({ onStale: 'FAIL' }, 9)).toMatchObject({ maxStalenessMs: 'PROMISED', onStale: 'FAIL' })
  expect(askedAt({ strong: true, onStale: 'FAIL' }, 9)).toMatchObject({ maxStalenessMs: null, strong: true })
})

test('durations are milliseconds, and what has no fixed length is none', () => {
  const cases: Readonly<Record<string, number | undefined>> = {
    '1h': 3_600_000,
    '1.5m': 90_000,
    P1D: 86_400_000,
    PT0S: 0,
    P: undefined,
    PT: undefined,
    P1M: undefined,
    '1d': undefined,
    '1 s': undefined,
    '1e3s': undefined,
  }
  for (const [text, ms] of Object.entries(cases)) expect(spanMs(text), text).toBe(ms)
})
