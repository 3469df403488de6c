import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { loadSchema, parseSchema } from '../../src/model/load.ts'
import type { Model } from '../../src/model/model.ts'
import { fieldOf, modelOf } from './folder.ts'

const schema = (path: string) => loadSchema(fileURLToPath(new URL(`../../${path}`, import.meta.url)))

describe('the reference domain', () => {
  let model: Model
  beforeAll(async () => {
    model = modelOf(await schema('schema'))
  })

  test('a source takes the defaults where nothing is said', () => {
    expect(model.entities.get('Customer')?.source).toEqual({
      topic: 'crm.public.customers',
      format: 'DEBEZIUM',
      zone: 'UTC',
    })
    expect(model.entities.get('Customer')?.columns.find(({ name }) => name === 'tenantId')?.path).toEqual(['tenant_id'])
  })

  test('a table is read by its connection, each entity’s own topic goes before its domain’s', async () => {
    const text = `extend enum Role { A } extend schema @domain(name: "d", owner: "o", source: { connection: "crm", sweep: "PT0S" })
type T @entity(domain: "d", key: "id", source: { table: "Things" }) { id: ID! }
type P @entity(domain: "d", key: "id", source: { table: "s.polled", watermark: "seen_at", every: "PT5S" }) { id: ID! }
type K @entity(domain: "d", key: "id", source: { topic: "k" }) { id: ID! }`
    const { entities } = modelOf(await parseSchema([{ name: 'a.graphql', text }]))
    expect(entities.get('K')?.source.table).toBeUndefined()
    expect(entities.get('T')?.source).toMatchObject({
      topic: 'crm.public.Things',
      table: { connection: 'crm', schema: 'public', name: 'Things' },
    })
    expect(entities.get('P')?.source.table).toEqual({
      connection: 'crm',
      schema: 's',
      name: 'polled',
      poll: { watermark: 'seen_at', everyMs: 5_000, overlapMs: 30_000, sweepMs: 0 },
    })
  })

  test('a source takes its domain’s words, and its own before them', () => {
    expect(model.entities.get('Signal')?.source).toEqual({ topic: 'risk.signals', format: 'CLOUDEVENTS', zone: 'UTC' })
    expect(model.entities.get('Signal')?.columns.find(({ name }) => name === 'seenAt')?.path).toEqual(['seenAt'])
    expect(model.entities.get('Incident')?.source).toEqual({
      topic: 'ops.incidents',
      format: 'JSON',
      unit: 'MILLIS',
      version: ['rev'],
      zone: 'UTC',
    })
  })

  test('conflict OWNER asks for the source’s owner, or else for the domain’s', async () => {
    const sdl = (source: string) =>
      `extend enum Role { READER } extend schema @domain(name: "shop", owner: "sales") type Thing @entity(domain: "shop", key: "id", conflict: OWNER, source: ${source}) { id: ID! }`
    const ownerOf = async (source: string) => {
      const loaded = await parseSchema([{ name: 'shop.graphql', text: sdl(source) }])
      return loaded.ok ? loaded.model.entities.get('Thing')!.source.owner : loaded.faults
    }
    expect(await ownerOf('{ topic: "t", owner: "crm" }')).toBe('crm')
    expect(await ownerOf('{ topic: "t" }')).toBe('sales')
  })

  test('events map and set the entity’s fields', () => {
    const { source, conflict } = model.entities.get('OrderEvent')!
    expect(conflict).toBe('EVENT_TIME')
    expect(source).toMatchObject({ typeAt: ['type'], time: ['time'] })
    expect(source.events?.[1]).toEqual({
      type: 'order.moved',
      op: 'UPSERT',
      at: ['data'],
      map: new Map([
        ['orderId', ['order', 'id']],
        ['detail', ['to']],
      ]),
      set: new Map([['kind', 'STATUS']]),
    })
  })

  test('@column renames, scales and encodes', () => {
    expect(model.entities.get('OrderLine')?.columns.find(({ name }) => name === 'price')).toMatchObject({
      path: ['unit_price'],
      type: { kind: 'scalar', scalar: 'Decimal', scale: 2 },
    })
    expect(model.entities.get('StockLevel')?.columns.find(({ name }) => name === 'countedAt')?.encoding).toBe('MILLIS')
  })

  test('joins default to the keys, and composite keys pair in order', () => {
    const join = (entity: string, name: string) =>
      model.entities.get(entity)?.joins.find((known) => known.name === name)
    expect(join('Customer', 'orders')).toMatchObject({ many: true, promised: true, from: ['id'], to: ['customerId'] })
    expect(join('Order', 'customer')).toMatchObject({ many: false, promised: false, from: ['customerId'], to: ['id'] })
    expect(join('StockLevel', 'lines')).toMatchObject({
      from: ['warehouseId', 'productId'],
      to: ['warehouseId', 'productId'],
    })
    expect(join('Customer', 'home')?.pick).toEqual([
      { joins: [], field: 'isDefault', direction: 'DESC' },
      { joins: [], field: 'updatedAt', direction: 'DESC' },
    ])
    expect(join('Order', 'payment')?.pick).toEqual([{ joins: [], field: 'createdAt', direction: 'DESC' }])
  })

  test('tenants are columns, joins or shared', () => {
    expect(model.entities.get('Customer')?.tenant).toEqual({ kind: 'COLUMN', column: 'tenantId', claim: 'tenant' })
    expect(model.entities.get('OrderLine')?.tenant).toEqual({ kind: 'JOIN', join: 'order', claim: 'tenant' })
    expect(model.entities.get('Plan')?.tenant).toEqual({ kind: 'SHARED' })
  })

  test('conditions are typed', () => {
    expect(model.entities.get('Customer')?.deleted).toEqual({
      kind: 'compare',
      field: 'closedAt',
      op: 'isNull',
      value: { kind: 'literal', value: false },
    })
    expect(fieldOf(model, 'CustomerOverview.openTickets').value).toMatchObject({
      where: { kind: 'compare', field: 'status', op: 'in', value: { kind: 'list', values: ['OPEN', 'PENDING'] } },
    })
    expect(fieldOf(model, 'FulfilmentBoard.belowReorder').value).toMatchObject({
      where: { kind: 'compare', field: 'onHand', op: 'lt', value: { kind: 'field', field: 'reorderAt' } },
    })
    expect(fieldOf(model, 'StockPosition.openUnits').value).toMatchObject({
      joins: ['lines'],
      many: 0,
      column: 'quantity',
      where: { kind: 'join', join: 'order', where: { kind: 'compare', field: 'status' } },
    })
    expect(model.views.get('FulfilmentBoard')?.rows).toEqual([
      {
        roles: ['WAREHOUSE'],
        where: { kind: 'compare', field: 'id', op: 'in', value: { kind: 'claim', claim: 'warehouses' } },
      },
    ])
  })

  test('expressions name the fields that they read, in their declared case', () => {
    expect(fieldOf(model, 'CustomerOverview.vip').value).toMatchObject({ inputs: ['tier', 'orderCount'] })
    const amount = model.entities.get('OrderLine')?.columns.find(({ name }) => name === 'amount')
    expect(amount?.computed).toMatchObject({ inputs: ['price', 'quantity'], sql: '"price" * "quantity"' })
  })

  test('a view carries its promise, search and texts', () => {
    expect(model.views.get('CustomerOverview')).toMatchObject({
      of: 'Customer',
      maxLagMs: 5000,
      allow: { roles: ['AGENT', 'FRAUD', 'FINANCE'] },
      description: 'Everything a service agent needs about one customer, on one screen.',
    })
    expect(model.views.get('OrderTimeline')?.maxLagMs).toBe(10_000)
    expect(fieldOf(model, 'CustomerOverview.email')).toMatchObject({ lookup: true, filter: false, order: false })
    expect(fieldOf(model, 'TimelineEvent.actor').deprecated).toBe('use detail')
  })
})

describe('other domains', () => {
  test('a tenant may be the root’s own key, and a join inherits its claim', async () => {
    const model = modelOf(await schema('test/schemas/github'))
    expect(model.entities.get('Org')?.tenant).toEqual({ kind: 'COLUMN', column: 'id', claim: 'tenant' })
    expect(model.entities.get('User')?.tenant).toEqual({ kind: 'SHARED' })
    expect(model.entities.get('IssueLabel')?.source).toMatchObject({
      each: ['labels'],
      version: ['updated_at'],
      unit: 'SECONDS',
    })
    expect(model.enums.get('MemberRole')).toMatchObject({ other: 'OTHER' })
    expect(model.enums.get('MemberRole')?.values[2]).toEqual({ name: 'GUEST', text: 'outside-collaborator' })
  })

  test('a claim is that of the joined row where the join does not say', async () => {
    const model = modelOf(
      await parseSchema([
        {
          name: 'a.graphql',
          text: `extend schema @domain(name: "d", owner: "o")
type A @entity(domain: "d", key: "id", source: { topic: "a" }) { id: ID! org: ID! @tenant(claim: "org") }
type B @entity(domain: "d", key: "id", source: { topic: "b" }) { id: ID! a: A! @join @tenant }`,
        },
      ]),
    )
    expect(model.entities.get('B')?.tenant).toEqual({ kind: 'JOIN', join: 'a', claim: 'org' })
  })

  test('no tenant anywhere is no tenant', async () => {
    const model = modelOf(await schema('test/schemas/northwind'))
    expect(new Set([...model.entities.values()].map(({ tenant }) => tenant.kind))).toEqual(new Set(['NONE']))
    expect(model.entities.get('Order')?.source.zone).toBe('America/Los_Angeles')
  })
})
