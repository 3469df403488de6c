/** Rows of a view that go by their time while all of ingest is at work: nobody asks for it. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { until } from '../kafka/client.ts'
import { change, openShop, type Shop, shop } from './replaying.ts'

const text = shop('at: DateTime', 'at: DateTime').replace(
  '@allow(roles: [READER])',
  '@allow(roles: [READER]) @retention(ttl: "PT15S", on: "at")',
)

let s: Shop
beforeEach(async () => {
  s = await openShop()
})
afterEach(() => s.close())

const ids = async (): Promise<readonly string[]> => {
  const [row] = await s.sql<{ table: string }[]>`select definition->'table'->>'table' as table from forebay.generations`
  const rows = await s.sql.unsafe<{ id: string }[]>(`select id from ${row!.table} order by id`)
  return rows.map(({ id }) => id)
}
const secondsAgo = (seconds: number): string => new Date(Date.now() - seconds * 1_000).toISOString()

test('a row goes once its time is past, others stay, and a late change brings nothing back', {
  timeout: 120_000,
}, async () => {
  await s.start(await s.install(text))
  const at = secondsAgo(0)
  await s.put(
    change({ id: 'now', at }, 1, 'c'),
    change({ id: 'ahead', at: secondsAgo(-3_600) }, 2, 'c'),
    change({ id: 'never', at: null }, 3, 'c'),
    change({ id: 'late', at: secondsAgo(60) }, 4, 'c'),
  )
  await s.caughtUp()
  expect(await ids()).toEqual(['ahead', 'never', 'now'])
  await until(async () => !(await ids()).includes('now'), 'it goes', 60_000)
  await s.put(change({ id: 'now', at, name: 'Bea' }, 5), change({ id: 'never', at: null, name: 'Bea' }, 6))
  await s.caughtUp()
  expect(await ids()).toEqual(['ahead', 'never'])
  await s.put(change({ id: 'now', at: secondsAgo(-60) }, 7))
  await s.caughtUp()
  expect(await ids()).toEqual(['ahead', 'never', 'now'])
})
