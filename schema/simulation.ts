/** The reference shop at work: what its services would write, seeded and repeatable. Used by the demo and the tests. */
import type { Run, Simulation } from '../src/operate/demo/simulation.ts'
import * as customers from './simulation/customers.ts'
import * as operations from './simulation/operations.ts'
import * as orders from './simulation/orders.ts'
import { seedData } from './simulation/seed.ts'
import { tables } from './simulation/tables.ts'
import { createWorld, type World } from './simulation/world.ts'

/** Work in hand is bounded: with this many orders open, the next are finished before new ones come. */
const mostOpen = 150
const placeOrFinish = (world: World): boolean =>
  (orders.open(world).length > mostOpen && orders.advance(world)) || orders.place(world)

/** How often each thing happens, relatively. An action that finds nothing to act on returns false. */
const habits: readonly (readonly [weight: number, action: (world: World) => boolean])[] = [
  [450, (world) => orders.advance(world)],
  [80, placeOrFinish],
  [200, operations.use],
  [60, operations.replenish],
  [25, operations.count],
  [10, operations.relabel],
  [20, orders.note],
  [3, orders.withdrawNote],
  [12, orders.amend],
  [8, orders.cancel],
  [5, orders.sendBack],
  [20, (world) => customers.join(world)],
  [15, customers.moveHouse],
  [8, customers.changeContact],
  [6, customers.promote],
  [2, customers.close],
  [8, customers.consent],
  [10, (world) => customers.ask(world)],
  [14, customers.answer],
  [6, customers.suspect],
  [2, operations.changeClient],
  [1, (world) => operations.connectClient(world)],
  [3, operations.flip],
  [2, operations.incident],
]
const total = habits.reduce((sum, [weight]) => sum + weight, 0)

const act = (world: World): void => {
  let left = world.random.next() * total
  for (const [weight, action] of habits) {
    left -= weight
    if (left < 0) {
      if (!action(world)) placeOrFinish(world)
      return
    }
  }
}

export const simulation: Simulation = {
  tables,
  callers: [
    { role: 'AGENT', tenant: 'acme' },
    { role: 'FRAUD', tenant: 'acme' },
    { role: 'FINANCE', tenant: 'acme' },
    { role: 'WAREHOUSE', tenant: 'acme', claims: { warehouses: ['W-1001', 'W-1002'] } },
    { role: 'SERVICE', tenant: 'acme' },
    { role: 'GATEWAY', tenant: 'acme' },
    { role: 'OPERATOR', tenant: 'acme' },
  ],
  query: `{
  customerOverview(id: "C-1001") {
    id
    email
    tier
    orderCount
    openTickets
    recentOrders { id total status paymentStatus carrier lines { product quantity price } }
  }
}`,
  create: ({ seed, now, faults = false, saved }): Run => {
    const stopped = saved?.memory.time
    let time = typeof stopped === 'number' ? stopped : now ? now() : Date.UTC(2026, 0, 1)
    const world = createWorld({ seed, faults, now: () => time, ...(saved ? { saved } : {}) })
    return {
      seedData: (size) => seedData(world, size, (at) => (time = at)),
      step: () => {
        // No two things happen at the same moment: "the latest payment" is one.
        time = now ? Math.max(now(), time + 1) : time + 1000
        act(world)
        orders.settle(world, 300)
        return world.take()
      },
      memory: () => ({ ...world.memory(), time }),
    }
  },
}
