/** `forebay migrate` where the database or the history is not what it was left as. */
import { rm, writeFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { declare, edit, file, migrate, order, run, settle } from './migrating.ts'

describe('a database that drifted is not touched, and every difference is named', () => {
  const drifts = [
    { by: 'alter table shop."order" alter n type bigint', named: 'shop.order column n is bigint, not integer' },
    { by: 'alter table shop."order" drop column n', named: 'shop.order column n is missing (integer)' },
    {
      by: 'alter table shop."order" add mine text not null',
      named: 'shop.order column mine is not in the migrations (text not null)',
    },
    {
      by: 'alter table shop."order" drop constraint order_pkey',
      named: 'shop.order constraint order_pkey is missing (PRIMARY KEY (id))',
    },
    {
      by: 'alter table shop."order" alter id type text collate "und-x-icu"',
      named: 'shop.order column id is text collate "und-x-icu" not null',
    },
    {
      by: 'alter table shop."order" alter _live set expression as (true)',
      named: 'shop.order column _live is boolean generated as true',
    },
    {
      by: 'create unique index mine on shop."order" (n)',
      named: 'shop.order index mine is not in the migrations (unique btree (n))',
    },
    {
      by: 'drop index forebay.dirty_shard_id',
      named: 'forebay.dirty index dirty_shard_id is missing (btree (shard, id) WHERE (fanout IS NULL))',
    },
    {
      by: 'drop index shop.order_customer_id_n_nulls_first_id_desc_idx; create index order_customer_id_n_nulls_first_id_desc_idx on shop."order" (customer_id, n nulls first, id) where _live',
      named:
        'shop.order index order_customer_id_n_nulls_first_id_desc_idx is btree (customer_id, n NULLS FIRST, id) WHERE _live, not btree (customer_id, n NULLS FIRST, id DESC) WHERE _live',
    },
    {
      by: 'drop index shop.order_customer_id_n_nulls_first_id_desc_idx; create index order_customer_id_n_nulls_first_id_desc_idx on shop."order" (customer_id, n, id desc) where _live',
      named:
        'is btree (customer_id, n, id DESC) WHERE _live, not btree (customer_id, n NULLS FIRST, id DESC) WHERE _live',
    },
    { by: 'drop table shop."order"', named: 'table shop.order is missing' },
    { by: 'drop table forebay.dirty_3', named: 'partition forebay.dirty_3 is missing' },
  ]
  const listed = `customerId: ID n: Int
    }
    type Customer @entity(domain: "shop", key: "id", source: { topic: "shop.customers" }) { id: ID! orders: [Order!]! @join(to: "customerId") }
    extend enum Role { READER }
    type Customers @view(of: "Customer") @allow(roles: [READER]) { id: ID! most: [ID!]! @list(of: "orders.id", first: 3, orderBy: { n: DESC })`
  for (const { by, named } of drifts) {
    test(by, async () => {
      await settle(order(listed))
      await run(by)
      const refused = await settle(order(`extra: String ${listed}`))
      expect(refused.code).toBe(1)
      expect(refused.text).toContain('the database is not as its migrations left it')
      expect(refused.text).toContain(named)
      expect(await run('select name from forebay.migrations')).toEqual([{ name: '0001_initial' }])
    })
  }

  test('tables of others, their indexes and the view tables are left alone', async () => {
    await settle(order('n: Int'))
    await run(
      'create table shop.theirs (x int); create index their_index on shop."order" (n); create table forebay_view.v (x int)',
    )
    expect((await settle(order('n: Int extra: String'))).text).toBe('Applied 0002_change.')
    expect(await run(`select to_regclass('forebay_view.v') is not null as kept`)).toEqual([{ kept: true }])
  })
})

describe('a history that is not the committed one is refused', () => {
  test('an applied migration that was changed afterwards', async () => {
    await settle(order(''))
    await edit('0001_initial.sql', (text) => `${text}-- afterthought\n`)
    expect(await migrate()).toMatchObject({
      code: 1,
      text: expect.stringContaining('0001_initial, which this database has, was changed'),
    })
  })
  test('line ends that a checkout rewrote are no change', async () => {
    await settle(order(''))
    await edit('0001_initial.sql', (text) => text.replaceAll('\n', '\r\n'))
    expect(await migrate()).toMatchObject({ code: 0 })
  })
  test('an applied migration that vanished', async () => {
    await settle(order(''))
    await settle(order('note: String'))
    await rm(file('0002_change.sql'))
    await rm(file('0002_change.json'))
    await declare(order(''))
    expect(await migrate()).toMatchObject({
      code: 1,
      text: expect.stringContaining('0002_change, which this database has, is not in'),
    })
  })
  test('a file without its other half, and a gap in the numbers', async () => {
    await settle(order(''))
    await rm(file('0001_initial.json'))
    expect(await migrate()).toMatchObject({ code: 1, text: expect.stringContaining("0001_initial.json can't be read") })
    await rm(file('0001_initial.sql'))
    await writeFile(file('0003_late.sql'), '')
    expect(await migrate()).toMatchObject({
      code: 1,
      text: expect.stringContaining('migration 0001 was expected here'),
    })
  })
  test('a schema folder ahead of its migrations', async () => {
    await settle(order(''))
    await declare(order('note: String'))
    const refused = await migrate()
    expect(refused.code).toBe(1)
    expect(refused.text).toContain('shop.order column note: new (text collate "C")')
    expect(refused.text).toContain('forebay migrate --generate')
  })
})
