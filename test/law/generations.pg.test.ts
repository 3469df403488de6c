/** C8: a generation that is registered while changes are applied. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { registerViews } from '../../src/ingest/generations.ts'
import { retire } from '../../src/ingest/rebuild/states.ts'
import { entityTable } from '../../src/model/names.ts'
import { connect } from '../../src/platform/postgres.ts'
import { fillAll } from './fill.ts'
import { loadModel } from './model.ts'
import { brake, customer, holdBrake, openStage, order, SHOP, type Stage, untilBlocked } from './stage.ts'

let s: Stage
beforeEach(async () => {
  s = await openStage()
})
afterEach(() => s.close())

const overview = (id: string) => s.read('CustomerOrders', id)

describe('C8 generations', () => {
  const changed = SHOP.replace('spent: Long! @sum(of: "orders.total")', 'most: Int @max(of: "orders.total")')

  test('C8 an applier that does not know a generation stops, and what it was given is not applied', async () => {
    await s.apply(0, customer('c', 1))
    await registerViews(s.database.sql, await loadModel(changed))
    expect(await s.apply(0, order('o', 'c', 1))).toMatchObject({ kind: 'unknown-generation' })
    expect(await s.database.sql.unsafe(`select from ${entityTable(s.model.entities.get('Order')!)}`)).toEqual([])
    expect(await s.database.sql`select next_offset from forebay.positions where partition = 0`).toEqual([
      { next_offset: '1' },
    ])
  })

  test('C8 a generation registered while a batch is under way has that batch’s changes', async () => {
    await s.apply(0, brake('a', 1), customer('c', 1))
    const held = await holdBrake(s, 'a')
    const applying = s.apply(1, order('o', 'c', 1, 7), brake('a', 2))
    await untilBlocked(s.database.sql, 1)
    const registering = registerViews(s.database.sql, await loadModel(changed))
    await untilBlocked(s.database.sql, 2)
    await held.release()
    expect(await applying).toMatchObject({ kind: 'applied' })
    const catalog = await registering
    await s.release()
    const { maintainer } = s.maintainer(undefined, catalog)
    await fillAll(s.database.sql, catalog, maintainer)
    const { table } = catalog.generations.find(({ state }) => state === 'BUILDING')!
    expect(await s.database.sql.unsafe(`select orders, most from ${table.table}`)).toEqual([{ orders: 1, most: 7 }])
  })

  test('C8 a field that becomes searchable gets its index on the table that is there', async () => {
    const searchable = SHOP.replace('orders: Int! @count(of: "orders")', 'orders: Int! @count(of: "orders") @filter')
    const { generations } = await registerViews(s.database.sql, await loadModel(searchable))
    const { table } = generations.find(({ view }) => view.name === 'CustomerOrders')!
    const indexes = await s.database.sql`select indexdef from pg_indexes where schemaname = 'forebay_view'`
    const name = table.table.split('.')[1]!.replaceAll('"', '')
    expect(
      indexes.filter(({ indexdef }) => indexdef.includes(name) && indexdef.includes('(_tenant, orders, id)')),
    ).toHaveLength(1)
    expect(s.catalog.generations.map((one) => one.table.hash)).toContain(table.hash)
  })

  test('C8 a process that starts with what is registered waits for nobody who writes rows', async () => {
    const searchable = SHOP.replace('orders: Int! @count(of: "orders")', 'orders: Int! @count(of: "orders") @filter')
    const model = await loadModel(searchable)
    const [generation] = (await registerViews(s.database.sql, model)).generations
    const impatient = connect(s.database.url, { max: 1, name: 'law', settings: { lock_timeout: '2s' } })
    await s.database.sql.begin(async (tx) => {
      await tx.unsafe(`update ${generation!.table.table} set orders = orders`)
      await registerViews(impatient, model)
    })
    await impatient.end()
  })

  test('C8 a definition that was retired and comes back is filled anew', async () => {
    const { sql } = s.database
    await s.apply(0, customer('c', 1), order('o', 'c', 1, 7))
    await s.drain()
    await sql.begin((tx) => retire(tx, [s.catalog.generations[0]!.generation]))
    await sql.unsafe(`update ${s.catalog.generations[0]!.table.table} set spent = 8`)
    const catalog = await registerViews(sql, s.model)
    expect(catalog.generations.map(({ generation }) => generation)).not.toEqual([s.catalog.generations[0]!.generation])
    expect(await overview('c')).toBeUndefined()
    await s.release()
    const { maintainer } = s.maintainer(undefined, catalog)
    await fillAll(sql, catalog, maintainer)
    expect(await overview('c')).toMatchObject({ orders: 1, spent: '7' })
  })
})
