/** Quarantine beside what else has to be in order: truncates, and rows that go to another key. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startSweeper } from '../../src/ingest/sweep.ts'
import { redriveQuarantined } from '../../src/operate/quarantine/act.ts'
import { connect } from '../../src/platform/postgres.ts'
import { customer, type Draft, gone, openParking, order, type Parking, reading, UNSENT } from './parking.ts'
import { hold, untilBlocked, untilBlockedOrDone } from './stage.ts'

let p: Parking
beforeEach(async () => {
  p = await openParking()
})
afterEach(() => p.database.drop())

const SILVER = { tier: 'SILVER' }
const row = async (id: string) => {
  const [found] = await p.database.sql`select name, tier, _deleted as gone from shop.customer where id = ${id}`
  return found
}
const redrive = (means = p.means()) => redriveQuarantined(means, {})

describe('C17 a truncate and what is in quarantine from before it', () => {
  const truncate = (lsn: number): Draft => ({ topic: 'customers', row: {}, more: { op: 't', lsn, key: null } })
  const sweep = () =>
    startSweeper({
      sql: p.database.sql,
      model: p.model,
      catalog: p.catalog,
      source: { extents: async () => [] },
      ttl: 'P30D',
      auto: false,
    }).sweep()

  test('C17 a redrive brings nothing back that a truncate took away, and what came after it counts', async () => {
    await p.apply([customer('a', SILVER, { lsn: 5 }), customer('b', SILVER, { lsn: 20 })])
    await p.apply([truncate(10)], { partition: 1 })
    await sweep()
    expect(await redrive()).toMatchObject({ redriven: 2, parked: 0, waiting: 0 })
    expect(await row('a')).toBeUndefined()
    expect(await row('b')).toMatchObject({ tier: 'SILVER' })
  })

  test('C17 a redrive under way when the truncate comes is waited for, so no sweep is over before its row is there', async () => {
    await p.apply([customer('a', {}, { lsn: 4 }), customer('a', SILVER, { lsn: 5 })])
    await p.apply([order('o', 'a')])
    const held = await hold(p.database.url, `select from shop.customer where id = 'a' for update`)
    const own = connect(p.database.url, { max: 1, name: 'redrive' })
    const redriving = redrive(p.means(p.mended, own))
    await untilBlocked(p.database.sql, 1)
    const truncating = p.apply([truncate(10)], { partition: 1 })
    await untilBlockedOrDone(p.database.sql, 2, truncating)
    await sweep()
    await held.release()
    expect(await redriving).toMatchObject({ redriven: 1 })
    expect(await truncating).toMatchObject({ kind: 'applied' })
    await own.end()
    await sweep()
    expect(await row('a')).toMatchObject({ gone: true })
  })
})

test('C15 C19 a row goes to another key with what a record parked before it brings', async () => {
  const key = (id: string) => Buffer.from(JSON.stringify({ id }))
  const left = { ...gone('customers', 'a'), more: { op: 'd', lsn: 9, headers: { '__debezium.newkey': key('b') } } }
  const moved = customer('b', { name: UNSENT, tier: 'BASIC' }, { lsn: 9, headers: { '__debezium.oldkey': key('a') } })
  await p.apply([customer('a'), customer('a', { name: 'New', ...SILVER }), left])
  await p.apply([moved], { partition: 1 })
  expect(await p.states()).toEqual(['1 PARKED', '2 WAITING'])
  expect(await redrive()).toMatchObject({ redriven: 2, waiting: 0 })
  expect(await row('a')).toMatchObject({ gone: true })
  expect(await row('b')).toMatchObject({ name: 'New', tier: 'BASIC' })
})

test('C19 by event time too, what waits behind a parked record comes after it, in whatever epoch its partition is', async () => {
  await p.apply([reading('r', 1, SILVER), reading('r', 2, { tier: UNSENT })], { epoch: 3 })
  expect(await p.states('readings')).toEqual(['0 PARKED', '1 WAITING'])
  expect(await redrive()).toMatchObject({ redriven: 2, waiting: 0 })
  expect([...(await p.database.sql`select tier, celsius from shop.reading`)]).toEqual([{ tier: 'SILVER', celsius: 2 }])
})
