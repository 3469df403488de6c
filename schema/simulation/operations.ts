/** Behind the counter: stock and catalogue, API clients and their use, feature flags, incidents. */
import { createHash } from 'node:crypto'
import { incidentChanged, used } from './events.ts'
import { cents, money } from './orders.ts'
import type { World } from './world.ts'

export const replenish = (world: World): boolean => {
  const low = world.all('stock_levels').filter((level) => level.on_hand - level.reserved <= level.reorder_at)
  if (low.length === 0) return false
  const level = world.random.pick(low)
  world.update('stock_levels', level, { on_hand: level.on_hand + 5 * level.reorder_at + 20 })
  world.commit()
  return true
}

export const count = (world: World): boolean => {
  const level = world.random.pick(world.all('stock_levels'))
  const on_hand = Math.max(level.reserved, level.on_hand + world.random.int(-2, 1))
  world.update('stock_levels', level, { on_hand, counted_at: world.now() })
  world.commit()
  return true
}

export const relabel = (world: World): boolean => {
  const product = world.random.pick(world.all('products'))
  const price = money(Math.max(99, Math.round(cents(product.price) * (0.9 + world.random.next() / 5))))
  const name = `${product.name.split(' Mk')[0]} Mk${world.random.int(2, 9)}`
  world.update('products', product, world.random.chance(0.7) ? { price } : { name })
  world.commit()
  return true
}

const clientStates: Readonly<Record<string, readonly string[]>> = {
  active: ['suspended', 'revoked'],
  suspended: ['active', 'active', 'revoked'],
}

export const connectClient = (world: World, tenant?: string): boolean => {
  const id = world.id('K')
  world.insert('api_clients', {
    id,
    tenant_id: tenant ?? world.random.pick(['acme', 'globex']),
    key_hash: createHash('sha256').update(`demo-key-${id}`).digest('hex'),
    name: `${world.random.pick(['mobile', 'partner', 'kiosk', 'reporting'])} ${id}`,
    status: 'active',
    scopes: world.random.pick([['orders:read'], ['orders:read', 'orders:write'], []]),
    plan_id: world.random.pick(world.all('plans')).id,
  })
  world.commit()
  return true
}

/** Suspended, brought back, revoked, or moved to another plan. The first client stays. */
export const changeClient = (world: World): boolean => {
  const clients = world.all('api_clients').filter((client) => client.id !== 'K-1001' && client.status !== 'revoked')
  if (clients.length === 0) return connectClient(world)
  const client = world.random.pick(clients)
  const status = world.random.pick(clientStates[client.status] ?? ['active'])
  const plan_id = world.random.pick(world.all('plans')).id
  world.update('api_clients', client, world.random.chance(0.6) ? { status } : { plan_id })
  world.commit()
  return true
}

export const use = (world: World): boolean => {
  const clients = world.all('api_clients').filter((client) => client.status === 'active')
  used(world, world.random.pick(clients).id)
  world.commit()
  return true
}

export const flip = (world: World): boolean => {
  const flag = world.random.pick(world.all('flags'))
  const rollout = world.random.pick([0, 5, 25, 50, 100])
  world.update('flags', flag, { enabled: rollout > 0, rollout, changed_at: world.moment() })
  world.commit()
  return true
}

/** An incident in one region; or one comes to its end. */
export const incident = (world: World): boolean => {
  const open = world.all('incidents')
  if (open.length >= 3 || (open.length > 0 && world.random.chance(0.5))) {
    const one = world.random.pick(open)
    const row = world.update('incidents', one, { resolved_at: world.now(), rev: one.rev + 1 })
    world.settle('incidents', row)
    incidentChanged(world, row)
  } else {
    const { tenant_id, region } = world.random.pick(world.all('warehouses'))
    const row = world.insert('incidents', {
      tenant_id,
      id: world.id('I'),
      title: world.random.pick(['label printer down', 'carrier strike', 'payment provider slow']),
      severity: world.random.int(1, 4),
      region,
      opened_at: world.now(),
      resolved_at: null,
      rev: 1,
    })
    incidentChanged(world, row)
  }
  world.commit()
  return true
}
