/** Entities compared with the source database that a slot follows: planted drift is found and put right, what is on its way is not called drift. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { requestPass } from '../../src/ingest/reconcile/pass.ts'
import type { Sql } from '../../src/platform/postgres.ts'
import { until } from '../kafka/client.ts'
import { type SourcePostgres, startSourcePostgres } from '../support/source-postgres.ts'
import { declare, dropSlots, engine, later, sourceOn, startHere, untilEqual } from './world.ts'

let server: SourcePostgres
beforeAll(async () => {
  server = await startSourcePostgres()
}, 60_000)
afterAll(() => server?.stop())

const open = async () => {
  const source = later(await sourceOn(server.url), dropSlots)
  const connection = `r${randomBytes(4).toString('hex')}`
  // What the table computes, no source has.
  const text = declare('', connection).replace('amount: Int!', 'amount: Int!\n  twice: Int @expr(sql: "amount * 2")')
  const own = await engine(text, { [connection]: source.url })
  await source.sql`insert into items (id, n, price, label, tags, data) select i, i, i * 1.50, 'l' || i, array['a', 'b'], '{"a": 1.0}' from generate_series(1, 1200) i`
  await source.sql`insert into lines (item_id, no, amount) select i, j, i from generate_series(1, 200) i, generate_series(1, 2) j`
  await startHere(own, { reconcileShare: 0 })
  await untilEqual(source, own, 60_000)
  return { source, own }
}
type Pass = { readonly state: string; readonly drifted: number; readonly repaired: number; readonly compared: number }
const compare = async (sql: Sql, name: string): Promise<Pass & { readonly found: readonly unknown[] }> => {
  const id = await requestPass(sql, { kind: 'ENTITY', name, generation: null }, 'test')
  const pass = async () => {
    const [row] = await sql<Pass[]>`
      select state, drifted::int, repaired::int, compared::int from forebay.reconciliations where id = ${id}`
    return row!
  }
  await until(async () => (await pass()).state === 'DONE', `${name} is compared`, 60_000)
  const found = await sql`select key, kind from forebay.drift where pass = ${id} order by key`
  return { ...(await pass()), found: [...found] }
}

test('a changed row, a missing one and one too many are found, put right, and stay right when they change', async () => {
  const { source, own } = await open()
  expect(await compare(own.sql, 'Item')).toMatchObject({ compared: 1_200, drifted: 0 })
  expect(await compare(own.sql, 'Line')).toMatchObject({ compared: 400, drifted: 0 })
  await own.sql`update shop.item set label = 'other' where id = '7'`
  await own.sql`update shop.item set price = null where id = '8'`
  await own.sql`delete from shop.item where id = '9'`
  await own.sql`update shop.item set _deleted = true, _deleted_at = now() where id = '10'`
  await own.sql`
    insert into shop.item (id, n, seen_at, _deleted, _epoch, _version, _tie, _partition, _offset)
    select '99999', n, seen_at, false, _epoch, _version, _tie, _partition, _offset from shop.item where id = '11'`
  await own.sql`delete from shop.line where item_id = '3' and no = 2`
  expect(await compare(own.sql, 'Item')).toMatchObject({
    drifted: 5,
    repaired: 5,
    found: [
      { key: '["10"]', kind: 'MISSING' },
      { key: '["7"]', kind: 'CHANGED' },
      { key: '["8"]', kind: 'CHANGED' },
      { key: '["9"]', kind: 'MISSING' },
      { key: '["99999"]', kind: 'EXTRA' },
    ],
  })
  expect(await compare(own.sql, 'Line')).toMatchObject({ drifted: 1, repaired: 1, found: [{ key: '["3", 2]' }] })
  await untilEqual(source, own)
  await source.sql`update items set label = 'new', n = n + 1 where id in (7, 8, 9, 10)`
  await source.sql`insert into items (id, n) values (99999, 1)`
  await source.sql`delete from lines where item_id = 3`
  await untilEqual(source, own)
  expect(await compare(own.sql, 'Item')).toMatchObject({ drifted: 0 })
  const views = async () => [
    ...(await own.sql`
    select definition->'table'->>'table' as table from forebay.generations where state = 'ACTIVE'`),
  ]
  const [{ table }] = (await views()) as unknown as [{ table: string }]
  await expect
    .poll(async () => (await own.sql.unsafe(`select label from ${table} where id = '9'`))[0])
    .toEqual({ label: 'new' })
}, 180_000)

test('while rows come, change and go all along, nothing is called drift', async () => {
  const { source, own } = await open()
  let over = false
  let n = 0
  const load = (async () => {
    while (!over) {
      n += 1
      const id = 1 + ((n * 37) % 1_200)
      await source.sql`update items set n = n + 1, label = ${`l${n % 3}`} where id between ${id} and ${id + 5}`
      if (n % 3 === 0) await source.sql`delete from items where id = ${id}`
      if (n % 3 === 1) await source.sql`insert into items (id, n) values (${id}, 0) on conflict do nothing`
    }
  })()
  try {
    for (let passes = 0; passes < 3; passes++)
      expect(await compare(own.sql, 'Item')).toMatchObject({ drifted: 0, state: 'DONE' })
    const [seen] = await own.sql`select last_value::int as n from forebay.drift_id_seq`
    expect(seen!.n).toBeGreaterThan(1)
  } finally {
    over = true
    await load
  }
  await untilEqual(source, own)
}, 240_000)
