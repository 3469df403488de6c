/** What the shop's services publish by themselves: each is a row of their own that no connector captures, and a message. */
import type { Tables } from './rows.ts'
import type { World } from './world.ts'

const cloudEvent = (source: string, type: string, subject: string, id: string, time: string, data: object): string =>
  JSON.stringify({ specversion: '1.0', id, source, type, subject, time, datacontenttype: 'application/json', data })

export const orderMoved = (world: World, orderId: string, to: string, actor: string): void => {
  const at = world.moment()
  const row = { id: world.id('E'), order_id: orderId, kind: 'STATUS', detail: to, actor, at }
  world.settle('order_events', world.insert('order_events', row))
  const data = { id: row.id, order: { id: orderId }, to, actor, at }
  world.publish({
    topic: 'sales.order-events',
    key: orderId,
    value: cloudEvent('/sales', 'order.moved', orderId, row.id, at, data),
  })
}

export const noteAdded = (world: World, orderId: string, detail: string, actor: string): void => {
  const at = world.moment()
  const row = world.insert('order_events', { id: world.id('E'), order_id: orderId, kind: 'NOTE', detail, actor, at })
  const data = { id: row.id, orderId, detail, actor, at }
  world.publish({
    topic: 'sales.order-events',
    key: orderId,
    value: cloudEvent('/service-desk', 'order.note.added', orderId, row.id, at, data),
  })
}

export const noteWithdrawn = (world: World, note: Tables['order_events']): void => {
  world.remove('order_events', note)
  const at = world.moment()
  world.publish({
    topic: 'sales.order-events',
    key: note.order_id,
    value: cloudEvent('/service-desk', 'order.event.withdrawn', note.order_id, `${note.id}-withdrawn`, at, {
      id: note.id,
    }),
  })
}

export const signalSeen = (
  world: World,
  about: { readonly tenant_id: string; readonly customer_id: string; readonly order_id: string | null },
  kind: string,
): void => {
  const { tenant_id, customer_id, order_id } = about
  const score = world.random.next().toFixed(4)
  const row = { id: world.id('G'), tenant_id, customer_id, order_id, kind, score, seen_at: world.moment() }
  world.settle('signals', world.insert('signals', row))
  const data = {
    id: row.id,
    tenantId: tenant_id,
    customerId: customer_id,
    orderId: order_id,
    kind,
    score,
    seenAt: row.seen_at,
  }
  const event = (data: object) => cloudEvent('/risk', 'risk.signal', customer_id, row.id, row.seen_at, data)
  world.publish({ topic: 'risk.signals', key: customer_id, value: event(data) })
  // Whose it is can still be told: one that can't be read at all would pause its partition.
  if (world.faults && world.random.chance(0.1))
    world.publish({
      topic: 'risk.signals',
      key: customer_id,
      value: event({ ...data, id: `${row.id}x`, score: 'high' }),
    })
}

export const used = (world: World, clientId: string): void => {
  const row = { id: world.id('U'), client_id: clientId, units: world.random.int(1, 20), at: world.now() }
  world.settle('usage_events', world.insert('usage_events', row))
  world.publish({ topic: 'platform.usage', key: clientId, value: JSON.stringify(row) })
  if (world.faults && world.random.chance(0.01))
    world.publish({
      topic: 'platform.usage',
      key: clientId,
      value: JSON.stringify({ ...row, id: `${row.id}x`, units: 'twelve' }),
    })
}

export const incidentChanged = (world: World, row: Tables['incidents']): void =>
  world.publish({ topic: 'ops.incidents', key: `${row.tenant_id}/${row.id}`, value: JSON.stringify(row) })
