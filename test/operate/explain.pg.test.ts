/** `forebay explain view`: what keeps a view, as Postgres works it; and that a key costs the same however many rows it is made of. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { byKey, plans } from '../../src/ingest/session-settings.ts'
import { readsBeyond } from '../../src/operate/explain/beyond.ts'
import { costOf } from '../../src/operate/explain/plan.ts'
import { explainView } from '../../src/operate/explain/view.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { loadModel } from '../law/model.ts'
import { customer, line, openStage, order, SHOP, type Stage } from '../law/stage.ts'
import { run } from '../support/find.ts'

const TEXT = SHOP.replace('total: Int!', 'total: Int!\n  double: Int! @expr(sql: "total * 2")').replace(
  'ids: [ID!]!',
  'most: Int @max(of: "orders.total")\n  least: Int @min(of: "orders.double")\n  ids: [ID!]!',
)

let stage: Stage
let sql: Sql
beforeEach(async () => {
  stage = await openStage(TEXT)
  sql = connect(stage.database.url, { max: 1, name: 'explain', settings: { ...plans, ...byKey } })
})
afterEach(async () => {
  await sql.end({ timeout: 1 })
  await stage.close()
})

describe('explain view', () => {
  test('says which statements keep it, by which indexes, and reads no table whole', async () => {
    await stage.apply(0, customer('c', 1), order('o', 'c', 2), line('l', 'o', 3))
    await stage.drain()
    const report = await explainView(sql, stage.model, 'CustomerOrders', 2)
    expect(report.generation).toMatchObject({ state: 'ACTIVE', pendingKeys: 0, parkedKeys: 0 })
    const [view, ...rollups] = report.nodes
    expect(view).toMatchObject({ node: 0, keeps: 'rows of CustomerOrders' })
    expect(rollups.length).toBeGreaterThan(0)
    const statements = report.nodes.flatMap((node) => node.statements)
    expect(statements.map(({ does }) => does)).toEqual(expect.arrayContaining(['recompute', 'contribute', 'purge']))
    for (const { does, plan } of statements) expect([does, plan?.whole]).toEqual([does, []])
    expect(view!.statements[0]!.plan!.indexes).toEqual(
      expect.arrayContaining(['customer_pkey', 'order_customer_id_total_id_desc_idx', 'order_customer_id_double_idx']),
    )
    expect(view!.statements[0]!.costs).toEqual([{ ms: expect.any(Number), pages: expect.any(Number) }])
    expect(report.paths[0]).toMatchObject({ from: 'a change of Customer, by id', touches: 'ROW' })
    expect(report.searches).toEqual([
      {
        index: expect.stringMatching(/^customer_orders_[0-9a-f]{12}_key_[0-9a-f]{6}_idx$/),
        serves: 'list by id',
        columns: '_tenant, id',
        state: 'ready',
      },
    ])
    const { table } = report
    await stage.database.sql.unsafe(`create index of_old_idx on ${table} (orders)`)
    await stage.database.sql.unsafe(`drop index forebay_view."${report.searches[0]!.index}"`)
    const after = await explainView(sql, stage.model, 'CustomerOrders', 0)
    expect(after.searches.map(({ index, state }) => [index, state])).toEqual([
      [report.searches[0]!.index, 'missing'],
      ['of_old_idx', 'unneeded'],
    ])
    const orders = report.paths.find(({ from }) => from.startsWith('a change of Order'))
    expect(report.paths.flatMap(({ watched }) => watched)).toContain('double = total * 2')
    expect(orders?.pending).toBe(0)
  })

  test('says what reads more than it shows, of parts too', async () => {
    const list = (orderBy: string, where = '') => `[ID!]! @list(of: "orders.id", first: 5, orderBy: ${orderBy}${where})`
    const model = await loadModel(
      `${SHOP} type More @view(of: "Customer") @allow(roles: [READER]) { id: ID!
        byName: ${list('[{ customer: { name: ASC } }, { total: ASC }]')}
        thenName: ${list('[{ total: ASC }, { customer: { name: ASC } }]')}
        ofAnn: ${list('{ total: ASC }', ', where: { not: { customer: { name: { eq: "Ann" } } } }')}
        well: ${list('{ total: ASC }', ', where: { not: { total: { eq: 1 } } }')}
        orders: [Listed!]! @list(of: "orders", first: 5, orderBy: { total: ASC }) }
        type Listed @part(of: "Order") { lines: [ID!]! @list(of: "customer.orders.lines.id", first: 2, orderBy: { units: ASC }) }`,
    )
    expect(readsBeyond(model, model.views.get('More')!)).toEqual([
      'More.byName reads and sorts all that orders reaches: no index has an order that begins with a field of another row (customer.name)',
      'More.thenName reads all that are equal to the last one shown in total: no index has a field of another row (customer.name)',
      'More.ofAnn reads rows until enough of them meet its condition: no index has the fields of another row',
      'Listed.lines reads and sorts all that customer.orders.lines reaches: no index has rows of several to-many joins in one order',
    ])
  })

  test('says of a part that is kept what keeps it', async () => {
    const kept = await openStage(
      SHOP.replace(
        'ids: [ID!]! @list(of: "orders.id", first: 5, orderBy: { total: DESC })',
        'recent: [Recent!]! @list(of: "orders", first: 5, orderBy: { total: DESC })',
      ).concat('type Recent @part(of: "Order") { id: ID!, units: Long! @sum(of: "lines.units") }'),
    )
    try {
      await kept.apply(0, customer('c', 1), order('o', 'c', 2), line('l', 'o', 3))
      await kept.drain()
      const { nodes } = await explainView(kept.database.sql, kept.model, 'CustomerOrders', 1)
      const part = nodes.find(({ keeps }) => keeps === 'each Order in the shape in which it is listed')!
      expect(part.tables).toEqual([expect.stringMatching(/_part"$/)])
      const [recompute] = part.statements
      expect(recompute).toMatchObject({ does: 'recompute', costs: [{ pages: expect.any(Number) }] })
      expect(recompute!.sql).toContain(part.tables[0])
    } finally {
      await kept.close()
    }
  })

  test('takes back what measuring did, and says what waits', async () => {
    await stage.apply(0, customer('c', 1), order('o', 'c', 2))
    await stage.drain()
    await stage.apply(0, customer('c', 3, 'Bea'))
    const report = await explainView(sql, stage.model, 'CustomerOrders', 2)
    expect(report.generation?.pendingKeys).toBeGreaterThan(0)
    expect(await stage.read('CustomerOrders', 'c')).toMatchObject({ name: 'Ann' })
    await stage.drain()
    expect(await stage.read('CustomerOrders', 'c')).toMatchObject({ name: 'Bea' })
  })

  test('by command: text, JSON, and what is wrong with the question', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'forebay-explain-'))
    try {
      await writeFile(join(folder, 'shop.graphql'), TEXT)
      const env = { ...process.env, DATABASE_URL: stage.database.url, FOREBAY_SCHEMA: folder }
      const explain = (...args: string[]) => run(process.execPath, ['src/cli.ts', 'explain', ...args], { env })
      const text = (await explain('view', 'CustomerOrders', '--plans')).stdout
      expect(text).toContain('CustomerOrders, of Customer')
      expect(text).toContain('recompute')
      expect(text).toContain('Index Scan')
      expect(JSON.parse((await explain('view', 'CustomerOrders', '--json')).stdout)).toMatchObject({ of: 'Customer' })
      await expect(explain('view', 'Nothing')).rejects.toThrow('declares no view Nothing')
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})

test('the least and the greatest are found by index: a key of twenty thousand rows costs what one of ten does', async () => {
  await stage.apply(0, customer('few', 1), customer('many', 1))
  for (const [id, count] of [
    ['few', 10],
    ['many', 20_000],
  ] as const)
    await stage.database
      .sql`insert into shop."order" (id, tenant_id, customer_id, total, _epoch, _version, _tie, _partition, _offset)
      select ${id} || n, 'acme', ${id}, n, 0, 1, 1, 0, n from generate_series(1, ${count}) n`
  await stage.database.sql`analyze`
  const [{ recompute }] = stage.catalog.generations as [Stage['catalog']['generations'][number]]
  const pages = async (id: string) => (await costOf(sql, recompute, JSON.stringify([id]))).pages
  const [few, many] = [await pages('few'), await pages('many')]
  expect(many).toBeLessThan(1.5 * few + 10)
})
