import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { loadSchema, parseSchema } from '../../src/model/load.ts'
import type { Field, FieldValue, Model } from '../../src/model/model.ts'
import { base, customers, modelOf, orders } from './folder.ts'

const schema = (path: string) => loadSchema(fileURLToPath(new URL(`../../${path}`, import.meta.url)))

const fieldOf = (model: Model, coordinate: string): Field => {
  const [type = '', name] = coordinate.split('.')
  const field = (model.views.get(type) ?? model.parts.get(type))?.fields.find((known) => known.name === name)
  if (field === undefined) throw new Error(`no ${coordinate}`)
  return field
}

const parse = async (sdl: string): Promise<Model> =>
  modelOf(
    await parseSchema([
      { name: 'base.graphql', text: base },
      { name: 'case.graphql', text: sdl },
    ]),
  )

const valueIn = async (field: string, wrap = customers): Promise<FieldValue> => {
  const model = await parse(wrap(`x: ${field}`))
  return [...model.views.values()][0]!.fields.find(({ name }) => name === 'x')!.value
}

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
    expect(fieldOf(model, 'RecentLine.amount').value).toMatchObject({ inputs: ['price', 'quantity'] })
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

describe('values', () => {
  const count = (where: string) => valueIn(`Int! @count(of: "orders", where: ${where})`)

  test.each([
    ['units: { eq: 3 }', 3],
    ['total: { eq: 12 }', '12.00'],
    ['total: { eq: 1e1 }', '10.00'],
    ['total: { eq: "-0.50" }', '-0.50'],
    ['total: { eq: -0 }', '0.00'],
    ['placedAt: { eq: "2026-11-21T10:30:00.120000+01:00" }', '2026-11-21T09:30:00.12Z'],
    ['shippedOn: { eq: "2026-02-28" }', '2026-02-28'],
    ['id: { eq: 7 }', '7'],
    ['tier: { eq: GOLD }', 'GOLD'],
    ['note: { isNull: true }', true],
    ['tier: { ne: null }', null],
  ])('the literal of { %s } has its canonical form', async (entry, value) => {
    expect(await count(`{ ${entry} }`)).toMatchObject({ where: { value: { kind: 'literal', value } } })
  })

  test('several operators and several fields mean and', async () => {
    expect(
      await count('{ units: { gt: 1, lt: 5 }, not: { or: [{ tags: { has: "x" } }, { tier: { in: [GOLD] } }] } }'),
    ).toMatchObject({
      where: {
        kind: 'and',
        items: [
          { kind: 'and', items: [{ op: 'gt' }, { op: 'lt' }] },
          { kind: 'not', item: { kind: 'or', items: [{ op: 'has' }, { op: 'in' }] } },
        ],
      },
    })
  })

  test('a to-one join may be asked to exist and to hold more', async () => {
    expect(await count('{ customer: { exists: true, home: { city: { startsWith: "B" } } } }')).toMatchObject({
      where: {
        kind: 'and',
        items: [
          { kind: 'exists', join: 'customer', exists: true },
          { kind: 'join', join: 'customer', where: { kind: 'join', join: 'home', where: { op: 'startsWith' } } },
        ],
      },
    })
  })

  test('a path goes to its last to-many join, then on', async () => {
    expect(
      await valueIn(
        '[String!]! @list(of: "orders.customer.home.city", first: 5, orderBy: { customer: { joinedAt: DESC } })',
      ),
    ).toEqual({
      kind: 'list',
      joins: ['orders', 'customer', 'home'],
      many: 0,
      column: 'city',
      orderBy: [{ joins: ['customer'], field: 'joinedAt', direction: 'DESC' }],
      limit: 5,
    })
  })

  test('the types of aggregates follow from their columns', async () => {
    const typeOf = async (field: string) => fieldOf(await parse(customers(`x: ${field}`)), 'Customers.x').type
    expect(await typeOf('Decimal! @sum(of: "orders.total")')).toEqual({ kind: 'scalar', scalar: 'Decimal', scale: 2 })
    expect(await typeOf('Decimal @avg(of: "orders.total")')).toEqual({ kind: 'scalar', scalar: 'Decimal', scale: 6 })
    expect(await typeOf('Decimal @avg(of: "orders.units")')).toEqual({ kind: 'scalar', scalar: 'Decimal', scale: 6 })
    expect(await typeOf('Long! @count(of: "orders")')).toEqual({ kind: 'scalar', scalar: 'Long' })
    expect(await typeOf('Date @max(of: "orders.shippedOn")')).toEqual({ kind: 'scalar', scalar: 'Date' })
  })

  test('a grouped view aggregates its members, and what they reach', async () => {
    const model =
      await parse(`type Days @view(of: "Order", groupBy: ["day", "city"]) @allow(roles: [AGENT]) @rows(minGroup: 5) {
      day: DateTime! @from(path: "placedAt", bucket: { by: DAY, zone: "Europe/Berlin" })
      city: String @from(path: "customer.home.city")
      n: Int! @count
      gold: Int! @count(where: { tier: { eq: GOLD } })
      units: Long! @sum(of: "units")
      siblings: Int! @count(of: "customer.orders")
      each: Boolean @expr(sql: "units > n * 2")
    }`)
    expect(fieldOf(model, 'Days.day').value).toMatchObject({ bucket: { by: 'DAY', zone: 'Europe/Berlin' } })
    expect(fieldOf(model, 'Days.n').value).toMatchObject({ fn: 'count', joins: [], many: -1 })
    expect(fieldOf(model, 'Days.units').value).toMatchObject({ fn: 'sum', joins: [], many: -1, column: 'units' })
    expect(fieldOf(model, 'Days.siblings').value).toMatchObject({ joins: ['customer', 'orders'], many: 1 })
    expect(model.views.get('Days')).toMatchObject({ groupBy: ['day', 'city'], rows: [{ minGroup: 5 }] })
  })

  test('the view’s condition may rule null out of what is declared non-null', async () => {
    const view = (where: string) =>
      parseSchema([
        { name: 'base.graphql', text: base },
        {
          name: 'v.graphql',
          text: `type V @view(of: "Customer", where: ${where}) @allow(roles: [AGENT]) { id: ID! homeId: ID! city: String! @from(path: "home.city") }`,
        },
      ])
    expect(await view('{ homeId: { isNull: false }, home: { exists: true } }')).toMatchObject({ ok: true })
    expect(await view('{ homeId: { ne: null }, home: { city: { gt: "a" } } }')).toMatchObject({ ok: true })
    expect(await view('{ homeId: { eq: null }, home: { exists: true } }')).toMatchObject({ ok: false })
    expect(await view('{ or: [{ homeId: { isNull: false } }, { home: { exists: true } }] }')).toMatchObject({
      ok: false,
    })
  })

  test.each([
    ['a field may be read ignoring case', 'Int! @expr(sql: "UNITS + Units")', ['units']],
    ['what follows a comment is not lost', 'Int! @expr(sql: "units -- twice")', ['units']],
    [
      'coalesce makes a nullable input non-null',
      'Date! @expr(sql: "coalesce(shippedOn, \'2026-01-01\'::date)")',
      ['shippedOn'],
    ],
    ['is null is never null', 'Boolean! @expr(sql: "shippedOn is null")', ['shippedOn']],
    [
      'a case with else is as non-null as its results',
      'Int! @expr(sql: "case when shippedOn is null then 1 else units end")',
      ['shippedOn', 'units'],
    ],
    [
      'instants may be truncated and counted with',
      "DateTime! @expr(sql: \"date_trunc('day', placedAt) + interval '1 day'\")",
      ['placedAt'],
    ],
  ])('in an expression %s', async (_rule, field, inputs) => {
    const value = await valueIn(field, (x) => orders(`units: Int!\n  shippedOn: Date\n  placedAt: DateTime!\n  ${x}`))
    expect(value).toMatchObject({ kind: 'expr', inputs })
  })

  test('places point at the declaration', async () => {
    const model = await parse(customers('tier: Tier!'))
    expect(model.views.get('Customers')?.place).toEqual({ file: 'case.graphql', line: 1, column: 6 })
    expect(fieldOf(model, 'Customers.tier').place).toEqual({ file: 'case.graphql', line: 3, column: 3 })
  })
})
