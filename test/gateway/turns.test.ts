/** Connections by turns, and equal statements under way as one. */
import { expect, test } from 'vitest'
import { createFlights } from '../../src/gateway/read/flights.ts'
import type { Run } from '../../src/gateway/read/statements.ts'
import { createTurns } from '../../src/gateway/read/turns.ts'

const held = <T>() => {
  let release: (value: T) => void = () => {}
  let fail: (error: Error) => void = () => {}
  const promise = new Promise<T>((done, refuse) => {
    release = done
    fail = refuse
  })
  return { promise, release, fail }
}
const code = (error: { extensions?: { code?: unknown } }) => error.extensions?.code

test('as many run as there are connections, the others follow in order, one of them failing or not', async () => {
  const turns = createTurns({ running: 2, waiting: 10, waitMs: 60_000 })
  const began: number[] = []
  const works = Array.from({ length: 5 }, () => held<number>())
  const all = works.map(({ promise }, i) =>
    turns(() => {
      began.push(i)
      return promise
    }).catch(() => -1),
  )
  expect(began).toEqual([0, 1])
  works[1]!.fail(new Error('no'))
  expect(await all[1]).toBe(-1)
  expect(began).toEqual([0, 1, 2])
  for (const [i, { release }] of works.entries()) release(i)
  expect(await Promise.all(all)).toEqual([0, -1, 2, 3, 4])
  expect(began).toEqual([0, 1, 2, 3, 4])
})

test('past so many that wait, and so long a wait, the answer is UNAVAILABLE; who left before its turn takes none', async () => {
  const turns = createTurns({ running: 1, waiting: 1, waitMs: 50 })
  const first = held<void>()
  const running = turns(() => first.promise)
  const late = turns(async () => {}).catch(code)
  expect(await turns(async () => {}).catch(code)).toBe('UNAVAILABLE')
  expect(await late).toBe('UNAVAILABLE')
  const away = new AbortController()
  let ran = false
  const gone = turns(async () => {
    ran = true
  }, away.signal).catch(code)
  away.abort()
  expect(await gone).toBe('UNAVAILABLE')
  first.release()
  await running
  expect(await turns(async () => 'next')).toBe('next')
  expect(ran).toBe(false)
})

const statement = { text: 'select $1::text', values: ['a'] }
const watched = () => {
  const sent: {
    readonly signal: AbortSignal | undefined
    readonly rows: ReturnType<typeof held<readonly object[]>>
  }[] = []
  const run: Run = (_, __, signal) => {
    const rows = held<readonly object[]>()
    sent.push({ signal, rows })
    return rows.promise as never
  }
  return { sent, flights: createFlights(run) }
}

test('equal statements by one snapshot are one; other values, or another snapshot, are their own, and so is one that comes after', async () => {
  const { sent, flights } = watched()
  const [one, other] = [{}, {}]
  const both = [flights(one)(statement, true), flights(one)({ ...statement, values: ['a'] }, true)]
  void flights(one)({ ...statement, values: ['b'] }, true)
  void flights(other)(statement, true)
  void flights(undefined)(statement, true)
  expect(sent).toHaveLength(4)
  const rows = [{ a: 1 }]
  sent[0]!.rows.release(rows)
  expect(await Promise.all(both)).toEqual([rows, rows])
  void flights(one)(statement, true)
  expect(sent).toHaveLength(5)
})

test('what is under way is cancelled when the last of those who wait for it is gone, and not before', async () => {
  const { sent, flights } = watched()
  const snapshot = {}
  const callers = [new AbortController(), new AbortController()]
  const answers = callers.map(({ signal }) => flights(snapshot)(statement, true, signal).catch(code))
  callers[0]!.abort()
  expect(await answers[0]).toBe('UNAVAILABLE')
  expect(sent[0]!.signal!.aborted).toBe(false)
  callers[1]!.abort()
  expect(await answers[1]).toBe('UNAVAILABLE')
  expect(sent[0]!.signal!.aborted).toBe(true)
  // Nobody joins what is given up.
  const next = flights(snapshot)(statement, true)
  expect(sent).toHaveLength(2)
  sent[1]!.rows.release([])
  expect(await next).toEqual([])
})
