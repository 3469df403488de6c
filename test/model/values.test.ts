import { describe, expect, test } from 'vitest'
import { parseSchema } from '../../src/model/load.ts'
import type { FieldValue, Model } from '../../src/model/model.ts'
import { base, customers, fieldOf, modelOf, orders } from './folder.ts'

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
    ['concat_ws skips nulls', 'String! @expr(sql: "concat_ws(\' \', units, shippedOn)")', ['units', 'shippedOn']],
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
