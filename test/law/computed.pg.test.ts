/** Computed fields of entities at work: summed like any other, and a value that can't be computed is its own record's fault (C19). */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { persist } from '../../src/ingest/apply/persist.ts'
import type { LogRecord } from '../../src/ingest/change.ts'
import { createDecoder, type Decoder } from '../../src/ingest/decode.ts'
import { startMaintainer } from '../../src/ingest/maintain/maintainer.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { type Engine, openEngine } from './engine.ts'
import { loadModel } from './model.ts'
import { stretchOf } from './stretch.ts'

const SHOP = `
extend enum Role { READER }
extend schema @domain(name: "shop", owner: "law")
type Order @entity(domain: "shop", key: "id", source: { topic: "orders" }) {
  id: ID!
  lines: [Line!]! @join(to: "orderId")
}
type Line @entity(domain: "shop", key: "id", source: { topic: "lines" }) {
  id: ID!
  orderId: ID!
  unitPrice: Int!
  quantity: Int!
  amount: Int! @expr(sql: "unitPrice * quantity")
}
type OrderTotal @view(of: "Order") @allow(roles: [READER]) {
  id: ID!
  total: Long! @sum(of: "lines.amount")
  dear: Int! @count(of: "lines", where: { amount: { gte: 100 } })
  most: Int @max(of: "lines.amount")
}
`
let engine: Engine
let decoder: Decoder
let own: Sql
let offsets: Record<string, number>
beforeEach(async () => {
  engine = await openEngine(await loadModel(SHOP))
  decoder = createDecoder(engine.model)
  own = connect(engine.database.url, { max: 1, name: 'maintainer' })
  offsets = { orders: 0, lines: 0 }
  for (const topic of Object.keys(offsets))
    await engine.database.sql`insert into forebay.positions (topic, partition, next_offset) values (${topic}, 0, 0)`
})
afterEach(async () => {
  await own.end({ timeout: 1 })
  await engine.database.drop()
})

const apply = async (topic: string, ...rows: readonly Record<string, unknown>[]): Promise<void> => {
  const from = offsets[topic]!
  const records = rows.map(
    (row, n): LogRecord => ({
      topic,
      partition: 0,
      offset: BigInt(from + n),
      timestamp: 1_790_000_000_000,
      headers: {},
      key: Buffer.from(JSON.stringify({ id: row.id })),
      value: Buffer.from(
        JSON.stringify(
          Object.keys(row).length === 1 && topic === 'lines'
            ? { op: 'd', before: row, after: null, source: { lsn: from + n + 1 } }
            : { op: 'u', before: null, after: row, source: { lsn: from + n + 1 } },
        ),
      ),
    }),
  )
  offsets[topic] = from + rows.length
  await persist(engine.applier, [stretchOf(decoder, records, BigInt(from), 0)], () => {})
}
const line = (id: string, unit_price: number, quantity: number, order_id = 'o') => ({
  id,
  order_id,
  unit_price,
  quantity,
})
const total = async (id = 'o') => {
  const maintainer = startMaintainer({ sql: own, catalog: engine.catalog, published: async () => {}, auto: false })
  while ((await maintainer.round()).entries > 0);
  const [{ table }] = engine.catalog.generations as [Engine['catalog']['generations'][number]]
  const [row] = await engine.database.sql.unsafe(`select total::text, dear, most from ${table.table} where id = $1`, [
    id,
  ])
  return row
}

describe('a computed field', () => {
  test('is summed, counted by and compared, and follows what it is made of', async () => {
    await apply('orders', { id: 'o' })
    await apply('lines', line('a', 10, 3), line('b', 50, 2))
    expect(await total()).toEqual({ total: '130', dear: 1, most: 100 })
    await apply('lines', line('a', 10, 30), { id: 'b' })
    expect(await total()).toEqual({ total: '300', dear: 1, most: 300 })
  })

  test('C19 that can not be computed parks its own record alone, until one comes that it can be computed of', async () => {
    const { sql } = engine.database
    const states = async () =>
      (await sql`select "offset"::int, reason, state from forebay.quarantine order by 1`).map((row) => ({ ...row }))
    await apply('orders', { id: 'o' })
    await apply('lines', line('a', 10, 3), line('b', 2_000_000_000, 2), line('c', 1, 1))
    expect(await total()).toEqual({ total: '31', dear: 0, most: 30 })
    expect(await states()).toEqual([{ offset: 1, reason: expect.stringContaining('22003'), state: 'PARKED' }])
    await apply('lines', line('b', 2, 2))
    expect(await total()).toEqual({ total: '35', dear: 0, most: 30 })
    expect((await states()).map(({ state }) => state)).not.toContain('PARKED')
  })
})
