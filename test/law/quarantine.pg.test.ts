/** C19: what is parked waits for its key alone, in the order of the log, and comes to the same rows in the end. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { dropQuarantined, redriveQuarantined } from '../../src/operate/quarantine/act.ts'
import { connect } from '../../src/platform/postgres.ts'
import { customer, gone, openParking, order, type Parking, reading, tagged, UNSENT } from './parking.ts'
import { hold, untilBlocked } from './stage.ts'

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

describe('C19 successors of a parked record', () => {
  test('C19 a partial change waits behind it, in its batch and in the next, and other keys flow', async () => {
    await p.apply([
      customer('a', SILVER),
      customer('a', { name: 'Bea', tier: UNSENT }),
      customer('b', { tier: UNSENT }),
    ])
    await p.apply([customer('a', { name: UNSENT, tier: 'BASIC' }), customer('b', { name: 'Bo', tier: UNSENT })])
    expect(await p.states()).toEqual(['0 PARKED', '1 WAITING', '3 WAITING'])
    expect(await row('a')).toBeUndefined()
    expect(await row('b')).toMatchObject({ name: 'Bo' })
    expect(await redrive()).toMatchObject({ redriven: 3, parked: 0, waiting: 0 })
    expect(await row('a')).toMatchObject({ name: 'Bea', tier: 'BASIC' })
    expect(await p.states()).toEqual(['0 REDRIVEN', '1 REDRIVEN', '3 REDRIVEN'])
  })

  test('C19 a full image is applied and supersedes what was parked and what waited, then partial ones flow again', async () => {
    await p.apply([customer('a', SILVER), customer('a', { tier: UNSENT }), customer('a', { name: 'Cid' })])
    expect(await p.states()).toEqual(['0 SUPERSEDED', '1 SUPERSEDED'])
    expect(await row('a')).toMatchObject({ name: 'Cid', tier: 'GOLD' })
    await p.apply([customer('a', { name: 'Dan', tier: UNSENT })])
    expect(await row('a')).toMatchObject({ name: 'Dan', tier: 'GOLD' })
    expect(await redrive()).toMatchObject({ redriven: 0 })
    expect(await row('a')).toMatchObject({ name: 'Dan', tier: 'GOLD' })
  })

  test('C19 a delete supersedes likewise', async () => {
    await p.apply([customer('a'), customer('a', SILVER)])
    await p.apply([gone('customers', 'a')])
    expect(await p.states()).toEqual(['1 SUPERSEDED'])
    expect(await row('a')).toMatchObject({ gone: true })
  })

  test('C19 a full image that the guard refuses supersedes nothing: it comes again, from before', async () => {
    await p.apply([customer('a', { name: 'Old' }, { lsn: 10 }), customer('a', SILVER, { lsn: 20 })])
    await p.apply([customer('a', { name: 'Old' }, { lsn: 10 })])
    await p.apply([customer('a', { name: 'New', tier: UNSENT }, { lsn: 30 })])
    expect(await p.states()).toEqual(['1 PARKED', '3 WAITING'])
    await redrive()
    expect(await row('a')).toMatchObject({ name: 'New', tier: 'SILVER' })
  })

  test('C19 a full image that the guard refuses supersedes not even what can not say when it was', async () => {
    await p.apply([customer('a', {}, { lsn: 10 }), customer('a', {}, { value: Buffer.from('{') })])
    await p.apply([customer('a', {}, { lsn: 10 })])
    expect(await p.states()).toEqual(['1 PARKED', '1 PARKED'])
    await p.apply([customer('a', { name: 'New' }, { lsn: 30 })])
    expect(await p.states()).toEqual(['1 SUPERSEDED', '1 SUPERSEDED'])
  })

  test('C19 an older full image that comes late is stored, but supersedes nothing newer', async () => {
    await p.apply([customer('a', SILVER, { lsn: 20 })])
    await p.apply([customer('a', { name: 'Older' }, { lsn: 10 })])
    expect(await row('a')).toMatchObject({ name: 'Older' })
    expect(await p.states()).toEqual(['0 PARKED'])
    await redrive()
    expect(await row('a')).toMatchObject({ name: 'Ann', tier: 'SILVER' })
  })

  test('C19 what another process reads of the key on another partition waits too, and orders by version', async () => {
    await p.apply([customer('a', SILVER, { lsn: 10 })])
    await p.apply([customer('a', { name: 'Far', tier: UNSENT }, { lsn: 20 })], { partition: 1 })
    expect(await p.states()).toEqual(['0 PARKED', '0 WAITING'])
    await redrive()
    expect(await row('a')).toMatchObject({ name: 'Far', tier: 'SILVER' })
  })

  test('C19 where the log’s order is not the key’s, full images are applied and supersede nothing', async () => {
    await p.apply([reading('r', 20, SILVER, { lsn: 50 }), reading('r', 10, {}, { lsn: 40 })])
    const celsius = async () => (await p.database.sql`select celsius, tier from shop.reading`)[0]
    expect(await celsius()).toMatchObject({ celsius: 10 })
    expect(await p.states('readings')).toEqual(['0 PARKED'])
    await redrive()
    expect(await celsius()).toMatchObject({ celsius: 20, tier: 'SILVER' })
  })

  test('C19 of rows that are elements of an array, the key is their record’s', async () => {
    await p.apply([
      tagged('t', [{ tag: 'x' }]),
      tagged('t', [{ tag: 'y', tier: 'SILVER' }]),
      tagged('u', [{ tag: 'z' }]),
    ])
    expect(await p.states('tagged')).toEqual(['1 PARKED'])
    const tags = async () =>
      (await p.database.sql`select id || tag as t from shop.tagged where _live order by 1`).map(({ t }) => t)
    expect(await tags()).toEqual(['tx', 'uz'])
    await redrive()
    expect(await tags()).toEqual(['ty', 'uz'])
    await p.apply([tagged('u', [{ tag: 'y', tier: 'SILVER' }]), tagged('u', [])])
    expect(await p.states('tagged')).toEqual(['1 REDRIVEN', '3 SUPERSEDED'])
    expect(await tags()).toEqual(['ty'])
  })
})

test('C19 a record is parked for the entity that can not read it, and applied for the others of its topic', async () => {
  expect(await p.apply([customer('a', SILVER)])).toMatchObject({ kind: 'applied', parked: 1, rows: 1 })
  const [contact] = await p.database.sql`select name from shop.contact`
  expect(contact).toMatchObject({ name: 'Ann' })
  const [parked] = await p.database.sql`select entity from forebay.quarantine`
  expect(parked).toMatchObject({ entity: 'Customer' })
})

describe('C19 redrive', () => {
  test('C19 what still fails stays parked with its reason, and its successors stay', async () => {
    await p.apply([
      customer('a', { tier: 'BRASS' }),
      customer('a', { name: 'Bea', tier: UNSENT }),
      customer('b', SILVER),
    ])
    expect(await redrive()).toMatchObject({ redriven: 1, parked: 1, waiting: 1 })
    expect(await p.states()).toEqual(['0 PARKED', '1 WAITING', '2 REDRIVEN'])
    expect(await redrive()).toMatchObject({ redriven: 0, parked: 1, waiting: 1 })
  })

  test('C19 one id takes its successors along, and waits itself behind an earlier one that stays', async () => {
    await p.apply([customer('a', { tier: 'BRASS' }), customer('a', { name: UNSENT, ...SILVER }), customer('b', SILVER)])
    const [, second] = await p.database.sql<{ id: string }[]>`select id from forebay.quarantine order by id`
    expect(await redriveQuarantined(p.means(), { ids: [second!.id] })).toMatchObject({ redriven: 0, waiting: 1 })
    expect(await p.states()).toEqual(['0 PARKED', '1 WAITING', '2 PARKED'])
  })

  test('C19 what a table refuses is found among many and stays alone', async () => {
    const wide = 'x'.repeat(3_000).replace(/x/g, () => Math.random().toString(36).slice(2, 5))
    await p.apply([order('bad', wide, SILVER), ...[1, 2, 3, 4, 5].map((n) => order(`o${n}`, null, SILVER))])
    expect(await redrive()).toMatchObject({ redriven: 5, parked: 1 })
    const [left] = await p.database.sql`select reason from forebay.quarantine where state = 'PARKED'`
    expect(left!.reason).toMatch(/SQLSTATE 54000/)
  })

  test('C19 what was redriven or superseded and comes again changes nothing', async () => {
    await p.apply([customer('a', SILVER), customer('a', { name: 'Bea', tier: UNSENT })])
    await redrive()
    await p.back('customers', 0n)
    await p.apply([customer('a', { name: 'Cid', tier: UNSENT })])
    expect(await p.states()).toEqual(['0 REDRIVEN', '1 REDRIVEN'])
    expect(await row('a')).toMatchObject({ name: 'Cid', tier: 'SILVER' })
  })

  test('C19 a successor that arrives while a redrive runs is neither lost nor out of order', async () => {
    await p.apply([customer('a', SILVER), customer('b')])
    // The redrive has the key's records and stands at the row, which somebody holds.
    await p.apply([customer('a', { name: 'Low' }, { lsn: 0 })])
    const held = await hold(p.database.url, `select from shop.customer where id = 'a' for update`)
    const other = connect(p.database.url, { max: 1, name: 'redrive' })
    const redriving = redrive(p.means(p.mended, other))
    await untilBlocked(p.database.sql, 1)
    const applying = p.apply([customer('a', { name: 'Bea', tier: UNSENT })])
    await untilBlocked(p.database.sql, 2)
    await held.release()
    expect(await redriving).toMatchObject({ redriven: 1 })
    expect(await applying).toMatchObject({ kind: 'applied', waiting: 0 })
    await other.end()
    expect(await row('a')).toMatchObject({ name: 'Bea', tier: 'SILVER' })
    expect(await p.states()).toEqual(['0 REDRIVEN'])
  })

  test('C19 a redrive that begins while a successor is put behind takes it along', async () => {
    await p.apply([customer('a', SILVER), customer('b')])
    const held = await hold(p.database.url, `select from shop.customer where id = 'b' for update`)
    const applying = p.apply([customer('a', { name: 'Bea', tier: UNSENT }), customer('b', { name: 'Bo' })])
    await untilBlocked(p.database.sql, 1)
    const other = connect(p.database.url, { max: 1, name: 'redrive' })
    const redriving = redrive(p.means(p.mended, other))
    await untilBlocked(p.database.sql, 2)
    await held.release()
    expect(await applying).toMatchObject({ kind: 'applied', waiting: 1 })
    expect(await redriving).toMatchObject({ redriven: 2 })
    await other.end()
    expect(await row('a')).toMatchObject({ name: 'Bea', tier: 'SILVER' })
    expect(await p.states()).toEqual(['0 REDRIVEN', '2 REDRIVEN'])
  })

  test('C19 C22 what is redriven is not in the views yet: its entries have the bound from before its batch', async () => {
    await p.apply([customer('z')])
    await p.database.sql`update forebay.positions set frontier = '2026-01-01T00:00:00Z'`
    await p.apply([customer('a', SILVER)])
    await p.database.sql`update forebay.positions set frontier = '2026-01-01T00:00:09Z'`
    await p.database.sql`delete from forebay.dirty`
    await redrive()
    expect(await p.database.sql`select distinct forebay.iso(origin) as origin, offsets from forebay.dirty`).toEqual([
      { origin: '2026-01-01T00:00:00Z', offsets: { customers: { 0: '1' } } },
    ])
  })
})

describe('C19 drop', () => {
  const drop = (ids: readonly string[]) => dropQuarantined(p.means(), { ids, reason: 'a test', actor: 'tester' })
  const idAt = async (offset: number): Promise<string> => {
    const [found] = await p.database.sql<{ id: string }[]>`select id from forebay.quarantine where "offset" = ${offset}`
    return found!.id
  }

  test('C19 redrives what waited behind, in order, and says who and why, for good', async () => {
    await p.apply([customer('a'), customer('a', { tier: 'BRASS' }), customer('a', { name: 'Bea', tier: UNSENT })])
    expect(await drop([await idAt(1)])).toMatchObject({ dropped: 1, redriven: 1, waiting: 0 })
    expect(await p.states()).toEqual(['1 DROPPED', '2 REDRIVEN'])
    expect(await row('a')).toMatchObject({ name: 'Bea', tier: 'GOLD' })
    const { sql } = p.database
    const audit = await sql`select actor, action, subject, reason from forebay.audit`
    expect(audit).toEqual([
      {
        actor: 'tester',
        action: 'quarantine drop',
        subject: `record ${await idAt(1)} at customers-0-1, Customer`,
        reason: 'a test',
      },
    ])
    for (const change of [sql`delete from forebay.audit`, sql`update forebay.audit set reason = 'none'`])
      await expect(change).rejects.toThrow(/append-only/)
  })

  test('C19 of two that hold a key, dropping one leaves the rest waiting', async () => {
    await p.apply([
      customer('a', { tier: 'BRASS' }),
      customer('a', { tier: 'BRASS' }),
      customer('a', { name: 'Bea', tier: UNSENT }),
    ])
    expect(await drop([await idAt(1)])).toMatchObject({ dropped: 1, redriven: 0, waiting: 1 })
    expect(await p.states()).toEqual(['0 PARKED', '1 DROPPED', '2 WAITING'])
  })
})

describe('C19 a record whose key can not be told', () => {
  const untold = customer('?', {}, { key: null, value: Buffer.from('not json') })
  const position = async () =>
    (await p.database.sql`select next_offset::int as next, state, reason from forebay.positions`)[0]

  test('C19 pauses its partition at that record, with everything before it applied', async () => {
    const result = await p.apply([customer('a'), untold, customer('b')])
    expect(result).toMatchObject({ kind: 'applied', stopped: [{ topic: 'customers', partition: 0 }] })
    expect(await position()).toMatchObject({ next: 1, state: 'PAUSED' })
    expect((await position())!.reason).toMatch(
      /record at customers-0-1 .*forebay quarantine redrive \d+ \d+.*forebay quarantine drop \d+ \d+ --reason/,
    )
    expect([await row('a'), await row('b')]).toMatchObject([{ name: 'Ann' }, undefined])
  })

  test('C19 is read again after a redrive that can tell it, and stepped over once it is dropped', async () => {
    await p.apply([customer('a'), untold, customer('b')])
    expect(await redrive()).toMatchObject({ parked: 2, reread: 0 })
    expect(await position()).toMatchObject({ state: 'PAUSED' })
    const ids = (await p.database.sql<{ id: string }[]>`select id from forebay.quarantine order by id`).map(
      ({ id }) => id,
    )
    const dropping = { reason: 'a test', actor: 'tester' }
    expect(await dropQuarantined(p.means(), { ids: ids.slice(0, 1), ...dropping })).toMatchObject({ reread: 0 })
    expect(await dropQuarantined(p.means(), { ids, ...dropping })).toMatchObject({ dropped: 1, reread: 1 })
    expect(await position()).toMatchObject({ next: 1, state: 'RUNNING', reason: null })
    await p.back('customers', 1n)
    expect(await p.apply([customer('c')])).toMatchObject({ kind: 'applied', stopped: [] })
    expect([await row('b'), await row('c')]).toMatchObject([{ name: 'Ann' }, { name: 'Ann' }])
  })
})
