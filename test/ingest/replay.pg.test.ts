/** Replay beside live work, on the journal. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { until } from '../kafka/client.ts'
import { change, customers, openShop, type Shop, shop, withRegion } from './replaying.ts'

let s: Shop
beforeEach(async () => {
  s = await openShop()
})
afterEach(() => s.close())

const viewTable = async (): Promise<string> => {
  const [row] = await s.sql<{ name: string }[]>`
    select format('forebay_view.customer_card_%s', hash) as name from forebay.generations where retired_at is null`
  return row!.name
}

test('a column added to the schema folder is filled from the log by a replay, and views follow', async () => {
  const before = await s.start(await s.install(shop()))
  await s.put(...customers(0, 1_200))
  await s.put(change({ id: 'c7', name: 'Bea', region: 'south' }, 5_000), change({ id: 'c8' }, 5_001, 'd'))
  await s.caughtUp()
  await before.stop()
  await s.start(await s.install(withRegion))
  await s.caughtUp()
  expect(await s.sql`select count(*)::int as n from shop.customer where region is not null`).toEqual([{ n: 0 }])

  const done = await s.ended(await s.ask('earliest'))
  expect(done).toMatchObject({ state: 'DONE', total: 1_202, done: 1_202, records: 1_202, added: 0, refreshed: 1_199 })
  await s.caughtUp()
  const regions = await s.sql.unsafe(
    `select region, count(*)::int as n from ${await viewTable()} group by 1 order by 1`,
  )
  expect(regions).toEqual([
    { region: 'north', n: 1_198 },
    { region: 'south', n: 1 },
  ])
  expect(await s.ended(await s.ask('earliest'))).toMatchObject({ state: 'DONE', added: 0, refreshed: 0 })
})

test('rows that are missing are brought back', async () => {
  await s.start(await s.install(shop()))
  await s.put(...customers(0, 50))
  await s.caughtUp()
  await s.sql`delete from shop.customer where id in ('c3', 'c4')`
  expect(await s.ended(await s.ask('earliest'))).toMatchObject({ state: 'DONE', added: 2, refreshed: 0 })
  await until(async () => (await s.sql`select from shop.customer`).length === 50, 'all are back')
})
