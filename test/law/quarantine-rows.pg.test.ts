/** C19: which rows of views depend on what is held. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { redriveQuarantined } from '../../src/operate/quarantine/act.ts'
import { customer, openParking, order, type Parking } from './parking.ts'

let p: Parking
beforeEach(async () => {
  p = await openParking()
})
afterEach(() => p.database.drop())

const SILVER = { tier: 'SILVER' }

describe('C19 rows that depend on what is held', () => {
  /** The keys of a view's rows that are degraded, for a record that is held yet. */
  const degraded = async (view: string): Promise<readonly string[]> => {
    const { generation } = p.catalog.generations.find(({ table }) => table.view === view)!
    const rows = await p.database.sql<{ key: string }[]>`
      select distinct coalesce(key, 'every') as key from forebay.degraded
      where generation = ${generation} and settled_at is null order by 1`
    return rows.map(({ key }) => key)
  }

  test('C19 are that key’s own, and those that it joins by its key', async () => {
    await p.apply([order('o1', 'a'), order('o2', 'b')])
    await p.apply([customer('a'), customer('b'), customer('a', SILVER)])
    expect(await degraded('CustomerFile')).toEqual(['["a"]'])
    expect(await degraded('OrderFile')).toEqual(['["o1"]'])
    await redriveQuarantined(p.means(), {})
    expect([await degraded('CustomerFile'), await degraded('OrderFile')]).toEqual([[], []])
  })

  test('C19 are those that the row led to and those that it leads to, where the record says so', async () => {
    await p.apply([customer('a'), customer('b'), customer('c')])
    await p.apply([order('o', 'a'), order('o', 'b', SILVER)])
    expect(await degraded('CustomerFile')).toEqual(['["a"]', '["b"]'])
    expect(await degraded('OrderFile')).toEqual(['["o"]'])
    await p.apply([order('o', 'c')])
    expect(await degraded('CustomerFile')).toEqual([])
  })

  test('C19 follow the joins that move meanwhile, as soon as the rows do', async () => {
    await p.apply([customer('a'), customer('b'), customer('a', SILVER)])
    await p.apply([order('o', 'b')])
    await p.drain()
    expect(await degraded('OrderFile')).toEqual([])
    await p.apply([order('o', 'a')])
    await p.drain()
    expect(await degraded('OrderFile')).toEqual(['["o"]'])
  })

  test('C19 are all where the record can not say which it leads to', async () => {
    await p.apply([customer('a'), customer('b')])
    await p.apply([order('o', 'a'), order('o', 'b', {}, { value: Buffer.from('{') })])
    expect(await degraded('CustomerFile')).toEqual(['every'])
    expect(await degraded('OrderFile')).toEqual(['["o"]'])
  })
})
