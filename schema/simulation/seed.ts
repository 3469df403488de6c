/** The shop as it is found: a few weeks of its own working, folded into the rows that are left of it. */
import type { Row, Size, Transaction } from '../../src/operate/demo/simulation.ts'
import { answer, ask, join } from './customers.ts'
import { connectClient } from './operations.ts'
import { advance, place, settle } from './orders.ts'
import { tables } from './tables.ts'
import type { World } from './world.ts'

const sizes: Readonly<Record<Size, { customers: number; products: number; orders: number }>> = {
  tiny: { customers: 12, products: 8, orders: 30 },
  small: { customers: 200, products: 40, orders: 700 },
  large: { customers: 5_000, products: 200, orders: 20_000 },
}
const goods = 'kettle lamp rucksack teapot blanket bicycle-bell notebook umbrella chopping-board headtorch'.split(' ')

const stage = (world: World, products: number): void => {
  const { random } = world
  for (const [name, per_minute, per_day] of [
    ['free', 60, 5_000],
    ['team', 600, 100_000],
    ['business', 6_000, 2_000_000],
  ] as const)
    world.insert('plans', { id: `plan-${name}`, name, per_minute, per_day })
  for (const [tenant_id, regions] of [
    ['acme', ['eu-west', 'eu-north']],
    ['globex', ['us-east']],
  ] as const) {
    for (const region of regions) {
      const id = world.id('W')
      world.insert('warehouses', { id, tenant_id, name: `${tenant_id} ${region}`, region, zone: 'UTC' })
    }
    for (const name of ['new-checkout', 'loyalty', 'dark-mode'])
      world.insert('flags', {
        tenant_id,
        name,
        enabled: true,
        rollout: 50,
        payload: name === 'loyalty' ? { points: 2, since: '2026-01' } : null,
        changed_at: world.moment(),
      })
    for (let made = 0; made < products; made += 1) {
      const id = world.id('D')
      const what = random.pick(goods)
      const colour = random.pick(['red', 'green', 'oak', 'black'])
      world.insert('products', {
        id,
        tenant_id,
        sku: `${what.slice(0, 3).toUpperCase()}-${id.slice(2)}`,
        name: `${colour} ${what}`,
        category: random.pick(['kitchen', 'outdoor', 'office', 'home']),
        price: (random.int(199, 24_999) / 100).toFixed(2),
        attributes: random.chance(0.8) ? { colour, weight_g: random.int(40, 9_000), tags: [what, 'new'] } : null,
      })
      for (const warehouse of world.where('warehouses', 'tenant_id', tenant_id))
        world.insert('stock_levels', {
          warehouse_id: warehouse.id,
          product_id: id,
          on_hand: random.int(20, 400),
          reserved: 0,
          reorder_at: random.int(5, 40),
          counted_at: random.chance(0.5) ? world.now() : null,
        })
    }
  }
  world.commit()
}

/** The rows that a run of transactions leaves, as a connector's snapshot finds them; messages stay on their log as they were. */
const fold = (transactions: readonly Transaction[], at: number): Transaction[] => {
  const keys = new Map(tables.map((table) => [table.name, table.key]))
  const rows = new Map<string, Map<string, Row>>(tables.map((table) => [table.name, new Map()]))
  for (const { table, op, before, after } of transactions.flatMap((transaction) => transaction.changes)) {
    const row = after ?? before ?? {}
    const key = keys
      .get(table)!
      .map((column) => row[column])
      .join('/')
    if (op === 'delete') rows.get(table)!.delete(key)
    else rows.get(table)!.set(key, row)
  }
  const found = [...rows].map(
    ([table, held]): Transaction => ({
      at,
      snapshot: true,
      changes: [...held.values()].map((after) => ({ table, op: 'insert', before: null, after })),
      messages: [],
      settled: transactions.flatMap(({ settled }) => settled).filter((one) => one.table === table),
    }),
  )
  const published = transactions.filter(({ messages }) => messages.length > 0)
  return [...found, ...published.map((one): Transaction => ({ ...one, changes: [], settled: [] }))]
}

/** `setClock` lets the weeks pass; at the end it is now again. */
export const seedData = (world: World, size: Size, setClock: (time: number) => void): Transaction[] => {
  const { customers, products, orders } = sizes[size]
  const now = world.now()
  const began = now - 60 * 86_400_000
  setClock(began)
  stage(world, products)
  join(world, 'acme')
  join(world, 'globex')
  for (let made = 2; made < customers; made += 1) join(world)
  for (const tenant of ['acme', 'globex', 'acme']) connectClient(world, tenant)
  const between = (now - began) / orders
  const stages = 9
  for (let placed = 0; placed < orders; placed += 1) {
    const at = began + placed * between
    setClock(Math.floor(at))
    // Every eighth of the time one of the regulars orders.
    place(world, placed % Math.ceil(orders / 8) === 0 ? (placed % 2 ? 'C-1002' : 'C-1001') : undefined)
    if (placed % 20 === 0) ask(world, placed % 300 === 0 ? 'C-1001' : undefined)
    for (let stage = 1; stage <= stages; stage += 1) {
      setClock(Math.floor(at + (stage * between) / (stages + 1)))
      advance(world)
    }
    if (placed % 25 === 0) answer(world)
    settle(world, 100)
  }
  setClock(now)
  return fold(world.take(), now)
}
