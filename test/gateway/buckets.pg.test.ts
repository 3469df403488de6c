/** Views grouped by time: which rows are final, through changes of the zone's clock, late data and quarantine. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from '../kafka/client.ts'
import { loadModel } from '../law/model.ts'
import { startWorld, type World } from './support/world.ts'

const text = `
extend enum Role { FINANCE CLERK }
extend schema @domain(name: "shop", owner: "test")
type Payment @entity(domain: "shop", key: "id", source: { topic: "payments" }) {
  id: ID!
  tenantId: ID! @tenant
  amount: Int!
  at: DateTime
}
type ByHour @view(of: "Payment", groupBy: ["hour"]) @allow(roles: [FINANCE, CLERK]) {
  hour: DateTime @from(path: "at", bucket: { by: HOUR, lateness: "PT15M" }) @order @allow(roles: [FINANCE])
  amount: Long! @sum(of: "amount")
}
type ByDay @view(of: "Payment", groupBy: ["day"], where: { at: { isNull: false } }) @allow(roles: [FINANCE]) {
  day: DateTime! @from(path: "at", bucket: { by: DAY, zone: "Europe/Berlin" })
  payments: Int! @count
}
type ByWeek @view(of: "Payment", groupBy: ["week", "minute"], where: { at: { isNull: false } }) @allow(roles: [FINANCE]) {
  week: DateTime! @from(path: "at", bucket: { by: WEEK, zone: "Africa/Cairo", lateness: "P1D" })
  minute: DateTime! @from(path: "at", bucket: { by: MINUTE })
  payments: Int! @count
}
type Plain @view(of: "Payment") @allow(roles: [FINANCE]) { id: ID! hour: DateTime @from(path: "at", bucket: { by: HOUR }) }
`
const payment = (id: string, at: string | null) => ({ id, tenantId: 'acme', amount: 5, at })

let world: World
beforeAll(async () => {
  world = await startWorld({
    model: await loadModel(text),
    rows: {
      Payment: [
        payment('a', '2026-03-28T12:10:00Z'),
        payment('b', '2026-03-29T12:00:00Z'),
        payment('c', '2026-10-25T12:00:00Z'),
        payment('d', null),
        // In Cairo the clock goes from 24:00 on Thursday to 1:00 on Friday: that day begins late.
        payment('e', '2026-04-23T23:30:00Z'),
      ],
    },
  })
})
afterAll(() => world.stop())
const finance = { roles: ['FINANCE'] }

/** Every change before then is applied, and the gateway knows. */
const appliedTo = async (moment: string): Promise<void> => {
  await world.database.sql`update forebay.positions set frontier = ${moment}::timestamptz`
  const asOf = async () => (await world.ask('{ byHours { nodes { amount } } }', finance)).body.extensions.freshness.asOf
  await until(async () => (await asOf()) === moment, `asOf ${moment}`)
}
const state = async (view: string, key: string): Promise<string> => {
  const { body } = await world.ask(`{ ${view}(${key}) { _bucket } }`, finance)
  return body.data[view]._bucket
}

test('a bucket is final once its end and the lateness allowed for are before asOf, by key and in a page', async () => {
  const noon = ['byHour', 'hour: "2026-03-28T12:00:00Z"'] as const
  await appliedTo('2026-03-28T13:00:00.001Z')
  expect(await state(...noon), 'its end is past, its lateness not').toBe('PRELIMINARY')
  await appliedTo('2026-03-28T13:15:00.000Z')
  expect(await state(...noon), 'a change of that very moment may still come').toBe('PRELIMINARY')
  await appliedTo('2026-03-28T13:15:00.001Z')
  expect(await state(...noon)).toBe('FINAL')
  const { data } = (await world.ask('{ byHours(orderBy: { hour: ASC }) { nodes { hour _bucket } } }', finance)).body
  expect(data.byHours.nodes).toEqual([
    { hour: '2026-03-28T12:00:00Z', _bucket: 'FINAL' },
    { hour: '2026-03-29T12:00:00Z', _bucket: 'PRELIMINARY' },
    { hour: '2026-04-23T23:00:00Z', _bucket: 'PRELIMINARY' },
    { hour: '2026-10-25T12:00:00Z', _bucket: 'PRELIMINARY' },
    { hour: null, _bucket: 'PRELIMINARY' },
  ])
})

test('late data corrects a bucket that was final, which stays so', async () => {
  await appliedTo('2026-03-28T14:00:00.000Z')
  const noon = async () =>
    (await world.ask('{ byHour(hour: "2026-03-28T12:00:00Z") { amount _bucket } }', finance)).body.data.byHour
  expect(await noon()).toEqual({ amount: '5', _bucket: 'FINAL' })
  await world.write({ Payment: [payment('late', '2026-03-28T12:59:59.999999Z')] })
  expect(await noon()).toEqual({ amount: '10', _bucket: 'FINAL' })
  await world.write({ Payment: [payment('late', '2026-03-29T12:00:00Z')] })
})

test.each([
  ['a day of 23 hours', 'byDay', 'day: "2026-03-28T23:00:00Z"', '2026-03-29T22:00:00.000Z'],
  ['a day of 25 hours', 'byDay', 'day: "2026-10-24T22:00:00Z"', '2026-10-25T23:00:00.000Z'],
  [
    'the longer of two buckets and of their lateness, a week in which the clock moves',
    'byWeek',
    'week: "2026-04-19T22:00:00Z", minute: "2026-04-23T23:30:00Z"',
    '2026-04-27T21:00:00.000Z',
  ],
])('%s ends where the zone says', async (_, view, key, end) => {
  await appliedTo(end)
  expect(await state(view, key)).toBe('PRELIMINARY')
  await appliedTo(end.replace('000Z', '001Z'))
  expect(await state(view, key)).toBe('FINAL')
})

test('what lies in quarantine may belong to any bucket, so none is final meanwhile', async () => {
  const { sql } = world.database
  await appliedTo('2026-03-28T14:00:00.001Z')
  await sql`insert into forebay.degraded (quarantine, generation, key)
    select 1, generation, null from forebay.generations where view = 'ByHour'`
  await until(async () => (await state('byHour', 'hour: "2026-03-28T12:00:00Z"')) === 'PRELIMINARY', 'it is seen')
  await sql`delete from forebay.degraded`
  await until(async () => (await state('byHour', 'hour: "2026-03-28T12:00:00Z"')) === 'FINAL', 'and that it is gone')
})

test('whoever may not see the time is not told whether it is over, and views without buckets have no such field', async () => {
  const refused = async (query: string, roles: string[]) =>
    (await world.ask(query, { roles })).body.errors[0].extensions.code
  expect(await refused('{ byHours { nodes { amount _bucket } } }', ['CLERK'])).toBe('FORBIDDEN')
  expect(await refused('{ plain(id: "a") { hour _bucket } }', ['FINANCE'])).toBe('BAD_USER_INPUT')
})
