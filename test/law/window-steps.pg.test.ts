/**
 * Totals by step go once no window reads them: whatever happens to rows whose step is gone, and wherever taking away is broken off, windows
 * hold what the rows say and what is kept is what proofs and reconciling expect (C8).
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Change } from '../../src/ingest/change.ts'
import { expireSteps } from '../../src/ingest/expire-steps.ts'
import { compileView } from '../../src/model/sql/compile-view.ts'
import { answersAt } from './moments.ts'
import { unproven } from './proofs.ts'
import { openReconciling } from './reconciling.ts'
import { change, hold, openStage, type Stage } from './stage.ts'

const text = `
extend enum Role { READER }
extend schema @domain(name: "shop", owner: "law")
type Customer @entity(domain: "shop", key: "id", source: { topic: "customers" }) {
  id: ID!
  tenantId: ID! @tenant
  orders: [Order!]! @join(to: "customerId")
}
type Order @entity(domain: "shop", key: "id", source: { topic: "orders" }) { id: ID! tenantId: ID! @tenant customerId: ID! total: Int! at: DateTime! }
type Busy @view(of: "Customer") @allow(roles: [READER]) {
  id: ID!
  short: Int! @count(of: "orders", window: { on: "at", last: "PT10M", step: "PT10M" })
  hour: Long! @sum(of: "orders.total", window: { on: "at", last: "PT1H", step: "PT10M" })
}
`
const NOW = '2026-06-01T12:00:00Z'
const minutes = (n: number): string => new Date(Date.parse(NOW) + n * 60_000).toISOString()

let s: Stage
let version: number
const order = (id: string, at: number, total = 1, customerId = 'c'): Change =>
  change('Order', { id, tenantId: 'acme', customerId, total, at: minutes(at) }, ++version)
const busy = () => compileView(s.model, s.model.views.get('Busy')!)
const rollup = () => busy().nodes[1]!.rollup!
const read = async (at = 0): Promise<unknown> => {
  const [row] = await answersAt(s.database.sql, s.model, s.model.views.get('Busy')!, {
    tenant: 'acme',
    now: minutes(at),
    keys: [['c']],
  })
  return row?.fields
}
const [members, sums] = [/_members"$/, /_sums"$/]
const rows = async (ending: RegExp): Promise<readonly Record<string, unknown>[]> =>
  s.database.sql.unsafe(`select * from ${rollup().tables.find((table) => ending.test(table))!} order by gb`)
const expire = (at = 0, chunk = 2_000, most = Number.POSITIVE_INFINITY) => {
  let asked = 0
  return expireSteps(s.database.sql, s.catalog, { chunk, stopped: () => ++asked > most, now: minutes(at) })
}
const proven = async () => expect(await unproven(s.database.sql, busy().proofs)).toEqual([])

beforeEach(async () => {
  version = 0
  s = await openStage(text)
  await s.apply(0, change('Customer', { id: 'c', tenantId: 'acme' }, ++version))
})
afterEach(() => s.close())

test('steps that no window reads go, with what was added to them, a chunk at a time', async () => {
  await s.apply(
    0,
    ...Array.from({ length: 50 }, (_, n) => order(`old${n}`, -600 - n)),
    order('edge', -131),
    order('kept', -129),
    order('new', -5, 7),
  )
  await s.drain()
  expect(await rows(members)).toHaveLength(53)
  // An hour is read, and an hour and a step are kept beyond it.
  expect(await expire(0, 10)).toBe(51 + 6)
  expect((await rows(members)).map(({ k0 }) => k0)).toEqual(['kept', 'new'])
  expect(await rows(sums)).toHaveLength(2)
  expect(await read()).toEqual({ id: 'c', short: 1, hour: '7' })
  await proven()
  expect(await expire()).toBe(0)
})

describe('a row whose step is gone', () => {
  beforeEach(async () => {
    await s.apply(0, order('a', -300, 5), order('b', -300, 6), order('n', -5, 7))
    await s.drain()
    await expire()
    expect(await rows(sums)).toHaveLength(1)
  })
  const told = async (...changes: readonly Change[]) => {
    await s.apply(0, ...changes)
    await s.drain()
    await proven()
    expect((await rows(sums)).filter(({ _n }) => Number(_n) < 1)).toEqual([])
    return read()
  }
  test('is changed: nothing comes back', async () => {
    expect(await told(order('a', -300, 50))).toEqual({ id: 'c', short: 1, hour: '7' })
    expect(await rows(sums)).toHaveLength(1)
  })
  test('moves into the window, once', async () => {
    expect(await told(order('a', -4, 5))).toEqual({ id: 'c', short: 2, hour: '12' })
    expect(await told(order('a', -4, 6))).toEqual({ id: 'c', short: 2, hour: '13' })
  })
  test('is deleted, and takes nothing from others', async () => {
    expect(await told(change('Order', { id: 'a' }, ++version))).toEqual({ id: 'c', short: 1, hour: '7' })
  })
  test('comes late, too late to be in any window', async () => {
    expect(await told(order('late', -300, 9))).toEqual({ id: 'c', short: 1, hour: '7' })
    expect(await rows(members)).toHaveLength(1)
  })
  test('is where a row of the window goes: it leaves the window', async () => {
    expect(await told(order('n', -300, 7))).toEqual({ id: 'c', short: 0, hour: '0' })
  })
})

test('broken off after any statement, it does no harm and is done the next time', async () => {
  const all = [...Array.from({ length: 20 }, (_, n) => order(`o${n}`, -400 + n, 1)), order('n', -5, 7)]
  await s.apply(0, ...all)
  await s.drain()
  for (let most = 1; most < 9; most++) {
    await expire(0, 4, most)
    // Of half the rows the contribution may still be there, and its total gone, or the other way round.
    await s.apply(0, order(`o${most}`, -3, 1), order(`o${most + 10}`, -390, 100))
    await s.drain()
    expect(await read()).toEqual({ id: 'c', short: most + 1, hour: String(7 + most) })
    // Nothing is subtracted from a total that is gone.
    expect((await rows(sums)).filter(({ _n }) => Number(_n) < 0)).toEqual([])
    await proven()
  }
  await expire()
  expect(await rows(members)).toHaveLength(9)
  expect((await rows(sums)).reduce((total, { _n }) => total + Number(_n), 0)).toBe(9)
})

test('a statement that began under a lower floor does no lasting harm', async () => {
  const { sql, url } = s.database
  await s.apply(0, order('a', -300, 5), order('n', -5, 7))
  await s.drain()
  await s.release()
  const { maintainer } = s.maintainer()
  await maintainer.round()
  // One moves out of a step that is gone by the time it is subtracted from, one is changed within it.
  await s.apply(0, order('a', -4, 6), order('n', -5, 8))
  const table = rollup().tables.find((one) => sums.test(one))!
  const held = await hold(url, `select from ${table} where gb > '${minutes(-20)}' for update`)
  const round = maintainer.round()
  for (let waiting = false; !waiting; ) {
    const [row] = await sql<
      { n: number }[]
    >`select count(*)::int as n from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`
    waiting = row!.n > 0
  }
  await expire()
  await held.release()
  await round
  expect(await read()).toEqual({ id: 'c', short: 2, hour: '14' })
  await proven()
  await expire()
  expect((await rows(sums)).map(({ _n }) => Number(_n))).toEqual([2])
  await proven()
})

test('reconciling calls none of it drift, and puts right what a wrong clock took away', async () => {
  await s.apply(0, order('a', -300, 5), order('n', -5, 7))
  await s.drain()
  await s.release()
  const { maintainer } = s.maintainer()
  await maintainer.round()
  const r = openReconciling(s)
  try {
    const reconciler = r.reconciler(maintainer)
    const pass = async () => r.finish(await r.ask('Busy'), [reconciler], () => maintainer.round())
    await expire()
    expect(await pass()).toMatchObject({ drifted: 0 })
    await expire(60 * 24 * 365)
    expect(await read()).toMatchObject({ hour: '0' })
    expect(await pass()).toMatchObject({ drifted: 0 })
    // The clock is right again, and so is the floor.
    await expire()
    expect(await pass()).toMatchObject({ drifted: 1, repaired: 1 })
    expect(await read()).toEqual({ id: 'c', short: 1, hour: '7' })
    expect(await pass()).toMatchObject({ drifted: 0 })
    await proven()
  } finally {
    await r.close()
  }
})

test('old steps are found by index however many are kept', async () => {
  const { sql } = s.database
  for (const statement of rollup().expiry!.collect) {
    const table = /from (\S+) x/.exec(statement)![1]!
    const own = members.test(table) ? 'k0, at, ' : '_n, '
    const made = members.test(table) ? 'n::text, now(), ' : '1, '
    await sql.unsafe(
      `insert into ${table} (g0, gt, gb, ${own}v0, v1) select 'c' || n, 'acme', timestamptz '${NOW}' + n * interval '1 minute', ${made}1, 1 from generate_series(1, 20000) n`,
    )
    await sql.unsafe(`analyze ${table}`)
    const plan = JSON.stringify(await sql.unsafe(`explain ${statement.replaceAll('$1', '2000')}`))
    expect(plan).toContain('_gb')
    expect(plan).not.toContain('Seq Scan on')
  }
})
