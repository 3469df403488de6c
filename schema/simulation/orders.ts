/** An order's life: placed, paid, picked, shipped, delivered; or amended, cancelled, returned. Each service commits its own part. */
import { noteAdded, noteWithdrawn, orderMoved, signalSeen } from './events.ts'
import type { Tables } from './rows.ts'
import { iso, type World } from './world.ts'

type Order = Tables['orders']
type Line = Tables['order_lines']

const day = 86_400_000
export const cents = (money: string): number => Math.round(Number(money) * 100)
export const money = (amount: number): string => (amount / 100).toFixed(2)

/** What the shop gives for one unit of a foreign currency, in the tenant's own. */
const foreignRate = 1.17
const homeCurrency: Readonly<Record<string, string>> = { acme: 'EUR', globex: 'USD' }
const rateOf = (order: Pick<Order, 'currency' | 'tenant_id'>): number =>
  order.currency === homeCurrency[order.tenant_id] ? 1 : foreignRate

const totals = (order: Pick<Order, 'currency' | 'tenant_id'>, lines: readonly Line[]) => {
  const total = lines.reduce((sum, line) => sum + line.quantity * cents(line.unit_price), 0)
  return { total: money(total), total_home: money(Math.round(total * rateOf(order))) }
}

/** One order of the customer, or of any open one. */
export const place = (world: World, customerId?: string): boolean => {
  const { random } = world
  const customer = customerId
    ? world.find('customers', customerId)
    : random.pick(world.all('customers').filter((one) => one.closed_at === null))
  const tenant_id = customer.tenant_id
  const products = world.where('products', 'tenant_id', tenant_id)
  const warehouse = random.pick(world.where('warehouses', 'tenant_id', tenant_id))
  const currency = random.chance(0.15) ? 'GBP' : (homeCurrency[tenant_id] ?? 'EUR')
  const id = world.id('O')
  const chosen = new Set(Array.from({ length: random.int(1, 4) }, () => random.pick(products)))
  const lines = [...chosen].map((product, index): Line => {
    const price = Math.round(cents(product.price) / rateOf({ tenant_id, currency }))
    const quantity = random.int(1, 3)
    return {
      order_id: id,
      position: index + 1,
      product_id: product.id,
      warehouse_id: warehouse.id,
      quantity,
      unit_price: money(price),
    }
  })
  const order = { id, tenant_id, customer_id: customer.id, status: 'pending', currency, region: warehouse.region }
  world.insert('orders', { ...order, ...totals(order, lines), placed_at: world.moment() })
  for (const line of lines) world.insert('order_lines', line)
  orderMoved(world, id, 'PENDING', 'web')
  world.commit()
  return true
}

const move = (world: World, order: Order, status: string, actor: string): void => {
  world.update('orders', order, { status })
  orderMoved(world, order.id, status.toUpperCase(), actor)
  world.commit()
}

const linesOf = (world: World, order: Order): Line[] => world.where('order_lines', 'order_id', order.id)

/** Shipping takes goods off the shelf and off the reservation. */
const stock = (world: World, lines: readonly Line[], what: 'reserve' | 'release' | 'ship'): void => {
  for (const line of lines) {
    const level = world.find('stock_levels', line.warehouse_id, line.product_id)
    const reserved = level.reserved + (what === 'reserve' ? line.quantity : -line.quantity)
    const on_hand = what === 'ship' ? level.on_hand - line.quantity : level.on_hand
    world.update('stock_levels', level, { reserved, on_hand })
  }
}

const shortOf = (world: World, order: Order): Line[] =>
  linesOf(world, order).filter((line) => {
    const level = world.find('stock_levels', line.warehouse_id, line.product_id)
    return level.on_hand - level.reserved < line.quantity
  })

/** What is missing for the order comes in. */
const restock = (world: World, lines: readonly Line[]): void => {
  for (const line of lines) {
    const level = world.find('stock_levels', line.warehouse_id, line.product_id)
    world.update('stock_levels', level, { on_hand: level.on_hand + line.quantity + 5 * level.reorder_at })
  }
  world.commit()
}

const pay = (world: World, order: Order): void => {
  const { random } = world
  const failed = random.chance(0.1)
  world.insert('payments', {
    id: world.id('P'),
    tenant_id: order.tenant_id,
    order_id: order.id,
    customer_id: order.customer_id,
    status: failed ? 'failed' : 'authorized',
    amount: order.total,
    currency: order.currency,
    card: random.chance(0.9) ? `4${String(random.int(0, 999_999_999_999_999)).padStart(15, '0')}` : null,
    created_at: world.moment(),
    captured_at: null,
  })
  world.commit()
  if (!failed) return
  signalSeen(world, { ...order, order_id: order.id }, 'payment-failed')
  world.commit()
}

const refund = (world: World, order: Order): void => {
  for (const payment of world.where('payments', 'order_id', order.id)) {
    if (payment.status !== 'captured' && payment.status !== 'authorized') continue
    world.update('payments', payment, { status: 'refunded' })
    if (payment.status !== 'captured') continue
    const row = { id: world.id('R'), payment_id: payment.id, amount: payment.amount, created_at: world.moment() }
    world.settle('refunds', world.insert('refunds', row))
  }
  world.commit()
}

const ship = (world: World, order: Order): void => {
  const customer = world.find('customers', order.customer_id)
  const home = world.where('addresses', 'customer_id', order.customer_id).find((address) => address.is_default)
  for (const warehouse_id of new Set(linesOf(world, order).map((line) => line.warehouse_id)))
    world.insert('shipments', {
      id: world.id('S'),
      order_id: order.id,
      warehouse_id,
      carrier: null,
      status: 'created',
      recipient: customer.full_name,
      city: home?.city ?? null,
      created_at: world.moment(),
      due_at: iso(world.now() + 2 * day),
      delivered_at: null,
    })
  world.commit()
}

const advancePicking = (world: World, order: Order): void => {
  const shipments = world.where('shipments', 'order_id', order.id)
  const created = shipments.find((shipment) => shipment.status === 'created')
  const picked = shipments.find((shipment) => shipment.status === 'picked')
  if (created) world.update('shipments', created, { status: 'picked' })
  else if (picked) {
    const carrier = world.random.pick(['Posthorn', 'Swift Parcels', 'Nordkurier', 'Velo'])
    world.update('shipments', picked, { status: 'handed-over', carrier })
    const lines = linesOf(world, order).filter((line) => line.warehouse_id === picked.warehouse_id)
    stock(world, lines, 'ship')
  } else move(world, order, 'shipped', 'wms')
  world.commit()
}

const advanceShipped = (world: World, order: Order): void => {
  const shipments = world.where('shipments', 'order_id', order.id)
  const under_way = shipments.find((shipment) => shipment.status === 'handed-over')
  if (under_way && world.random.chance(0.02)) {
    world.update('shipments', under_way, { status: 'lost' })
    world.commit()
  } else if (under_way) {
    world.update('shipments', under_way, { status: 'delivered', delivered_at: world.moment() })
    world.commit()
  } else if (shipments.some((shipment) => shipment.status === 'lost')) {
    refund(world, order)
    move(world, order, 'cancelled', 'carrier')
  } else move(world, order, 'delivered', 'carrier')
}

const over = (order: Order): boolean => order.status === 'delivered' || order.status === 'cancelled'

export const open = (world: World): Order[] => world.all('orders').filter((order) => !over(order))

/** Takes an open order one stage further. */
export const advance = (world: World): boolean => {
  const orders = open(world)
  if (orders.length === 0) return false
  const one = world.random.pick(orders)
  const payment = world.where('payments', 'order_id', one.id).at(-1)
  switch (one.status) {
    case 'pending':
      if (payment?.status === 'authorized') {
        restock(world, shortOf(world, one))
        world.update('payments', payment, { status: 'captured', captured_at: world.moment() })
        world.commit()
        stock(world, linesOf(world, one), 'reserve')
        world.commit()
        move(world, one, 'paid', 'billing')
      } else if (payment && world.random.chance(0.4)) move(world, one, 'cancelled', 'billing')
      // A status that the declaration doesn't know yet.
      else if (world.faults && world.random.chance(0.02)) move(world, one, 'fraud-review', 'risk')
      else pay(world, one)
      return true
    case 'fraud-review':
      move(world, one, 'pending', 'risk')
      return true
    case 'paid':
      ship(world, one)
      move(world, one, 'picking', 'wms')
      return true
    case 'picking':
      advancePicking(world, one)
      return true
    case 'shipped':
      advanceShipped(world, one)
      return true
    default:
      return false
  }
}

/** The customer calls it off before anything was shipped. */
export const cancel = (world: World): boolean => {
  const unshipped = world.all('orders').filter((order) => order.status === 'pending' || order.status === 'paid')
  if (unshipped.length === 0) return false
  const order = world.random.pick(unshipped)
  if (order.status === 'paid') stock(world, linesOf(world, order), 'release')
  world.commit()
  refund(world, order)
  move(world, order, 'cancelled', 'customer')
  return true
}

/** One line fewer, or another quantity, before it is paid for. */
export const amend = (world: World): boolean => {
  const unpaid = world
    .all('orders')
    .filter((order) => order.status === 'pending' && world.where('payments', 'order_id', order.id).length === 0)
  if (unpaid.length === 0) return false
  const order = world.random.pick(unpaid)
  const lines = linesOf(world, order)
  const line = world.random.pick(lines)
  if (lines.length > 1 && world.random.chance(0.5)) world.remove('order_lines', line)
  else world.update('order_lines', line, { quantity: line.quantity + 1 })
  world.update('orders', order, totals(order, linesOf(world, order)))
  world.commit()
  return true
}

export const note = (world: World): boolean => {
  const orders = world.all('orders')
  if (orders.length === 0) return false
  const texts = ['asked to leave it with a neighbour', 'gift wrapping', 'call before delivery', 'wrong size ordered']
  noteAdded(world, world.random.pick(orders).id, world.random.pick(texts), world.random.pick(['dana', 'ravi']))
  world.commit()
  return true
}

export const withdrawNote = (world: World): boolean => {
  const notes = world.all('order_events')
  if (notes.length === 0) return false
  noteWithdrawn(world, world.random.pick(notes))
  world.commit()
  return true
}

export const sendBack = (world: World): boolean => {
  const delivered = world
    .all('orders')
    .filter((order) => order.status === 'delivered' && world.where('returns', 'order_id', order.id).length === 0)
  if (delivered.length === 0) return false
  const order = world.random.pick(delivered)
  const reason = world.random.pick(['too small', 'damaged', 'not as pictured', null])
  const { id: order_id, customer_id } = order
  world.insert('returns', { id: world.id('B'), order_id, customer_id, reason, opened_at: world.moment() })
  world.commit()
  refund(world, order)
  return true
}

/** Closes the books on the oldest orders that are over, keeping the last few open to notes and returns. */
export const settle = (world: World, keep: number): void => {
  const ended = world.all('orders').filter(over)
  for (const order of ended.slice(0, Math.max(0, ended.length - keep))) {
    for (const table of ['order_lines', 'payments', 'shipments', 'returns', 'order_events'] as const)
      for (const row of world.where(table, 'order_id', order.id)) world.settle(table, row)
    world.settle('orders', order)
  }
  world.commit()
}
