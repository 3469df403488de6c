/** Windows by HTTP: they move on by the database's clock, with and without a row cache. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from '../kafka/client.ts'
import { loadModel } from '../law/model.ts'
import { ownRedis } from '../support/redis.ts'
import { startWorld, type World } from './support/world.ts'

const text = `
extend enum Role { AGENT AUDIT }
extend schema @domain(name: "shop", owner: "test") @policy(role: AGENT, clear: [CARD])
type Customer @entity(domain: "shop", key: "id", source: { topic: "customers" }) {
  id: ID!
  tenantId: ID! @tenant
  name: String!
  orders: [Order!]! @join(to: "customerId")
}
type Order @entity(domain: "shop", key: "id", source: { topic: "orders" }) {
  id: ID!
  tenantId: ID! @tenant
  customerId: ID!
  total: Int!
  big: Long
  placedAt: DateTime!
  paidAt: DateTime @pii(kind: CARD)
}
type Busy @view(of: "Customer") @allow(roles: [AGENT, AUDIT]) {
  id: ID!
  name: String! @lookup @order
  orders: Int! @count(of: "orders")
  lately: Int! @count(of: "orders", window: { on: "placedAt", last: "PT10S", step: "PT1S" })
  hour: Long! @sum(of: "orders.total", window: { on: "placedAt", last: "PT1H" })
  paid: Int! @count(of: "orders", window: { on: "paidAt", last: "PT1H" }) @allow(roles: [AGENT])
  big: Long! @sum(of: "orders.big", window: { on: "placedAt", last: "PT1H" })
  mean: Int! @expr(sql: "100 / lately")
  busy: Boolean! @expr(sql: "lately > 1 and orders > 0")
}
type Hour @view(of: "Order", groupBy: ["hour"]) @allow(roles: [AGENT]) {
  hour: DateTime! @from(path: "placedAt", bucket: { by: HOUR, lateness: "PT1M" })
  orders: Int! @count
}
`
const stops: (() => Promise<unknown>)[] = []
let worlds: readonly (readonly [how: string, world: World])[] = []
beforeAll(async () => {
  const model = await loadModel(text)
  const redis = await ownRedis()
  stops.push(() => redis.stop())
  const rows = { Customer: ['ann', 'bob'].map((id) => ({ id, tenantId: 'acme', name: id })) }
  const cached = await startWorld({ model, rows, redisUrl: redis.url })
  const plain = await startWorld({ model, rows })
  stops.push(cached.stop, plain.stop)
  worlds = [
    ['with a row cache', cached],
    ['without one', plain],
  ]
})
afterAll(async () => {
  for (const stop of stops.reverse()) await stop()
})

const agent = { roles: ['AGENT'] }
const at = (ms: number): string => new Date(Date.now() + ms).toISOString()
const order = (id: string, customerId: string, ms: number) => ({
  id,
  tenantId: 'acme',
  customerId,
  total: 7,
  placedAt: at(ms),
  paidAt: at(ms),
})
const one = async (world: World, id: string, fields: string) => {
  const { data } = (await world.ask(`{ busy(id: "${id}") { ${fields} } }`, agent)).body
  return data.busy
}
const each = async (check: (world: World, how: string) => Promise<void>): Promise<void> => {
  for (const [how, world] of worlds) await check(world, how)
}

test('rows leave a window, and rows whose time was ahead come into it, with no event', { timeout: 120_000 }, () =>
  each(async (world, how) => {
    await world.write({
      Order: [order('past', 'ann', -7_200_000), order('now', 'ann', 0), order('next', 'ann', 6_000)],
    })
    expect(await one(world, 'ann', 'orders lately hour busy')).toEqual({ orders: 3, lately: 1, hour: '7', busy: false })
    await until(async () => (await one(world, 'ann', 'lately')).lately === 2, `${how}: the next is in`)
    expect(await one(world, 'ann', 'hour busy')).toMatchObject({ hour: '14' })
    await until(async () => (await one(world, 'ann', 'lately')).lately === 0, `${how}: both are out`)
    expect(await one(world, 'ann', 'orders lately hour busy')).toEqual({
      orders: 3,
      lately: 0,
      hour: '14',
      busy: false,
    })
  }),
)

test('C25 a row is answered from the cache but for what rolls, which is never kept', async () => {
  const [[, world]] = worlds as [(typeof worlds)[0]]
  const statements = async (fields: string): Promise<number> => {
    world.statements()
    await one(world, 'bob', fields)
    await sleep(50)
    return world.statements().length
  }
  // What is asked for once isn't kept.
  expect(await statements('id')).toBe(1)
  expect([await statements('id orders'), await statements('name orders')]).toEqual([1, 0])
  for (const fields of ['lately', 'orders busy', 'hour name'])
    expect([await statements(fields), await statements(fields)], fields).toEqual([1, 1])
  expect(await statements('id name'), 'and the row stays').toBe(0)
})

test('a row grouped by time says from the cache as well whether its bucket is final', async () => {
  const [[, world]] = worlds as [(typeof worlds)[0]]
  const old = order('old', 'cyd', -4 * 3_600_000)
  await world.write({ Order: [old] })
  const hour = `${old.placedAt.slice(0, 13)}:00:00Z`
  const ask = async () => {
    world.statements()
    const { data } = (await world.ask(`{ hour(hour: "${hour}") { orders _bucket } }`, agent)).body
    await sleep(50)
    return { ...data.hour, statements: world.statements().length }
  }
  for (const statements of [1, 1, 0]) expect(await ask()).toEqual({ orders: 1, _bucket: 'FINAL', statements })
})

test('a window is answered by key, by lookup and in a page, from one statement and so one clock', () =>
  each(async (world) => {
    await world.write({ Order: [order('b1', 'bob', -60_000), order('b2', 'bob', -120_000)] })
    world.statements()
    const { data } = (await world.ask('{ a: busy(id: "bob") { id hour paid } b: busy(id: "ann") { id } }', agent)).body
    expect(data.a).toEqual({ id: 'bob', hour: '14', paid: 2 })
    expect(world.statements()).toHaveLength(1)
    const found = (await world.ask('{ busy(name: "bob") { hour } }', agent)).body.data
    expect(found.busy).toEqual({ hour: '14' })
    const page = (await world.ask('{ busies(orderBy: { name: DESC }, first: 1) { nodes { id hour busy } } }', agent))
      .body
    expect(page.data.busies.nodes).toEqual([{ id: 'bob', hour: '14', busy: false }])
  }))

test('an expression that fails for one row fails there, and for nobody who asked for another', () =>
  each(async (world) => {
    await world.write({ Order: [order('c1', 'ann', 0)] })
    const query = '{ ann: busy(id: "ann") { id mean } bob: busy(id: "bob") { id mean } }'
    const { data, errors } = (await world.ask(query, agent)).body
    expect(data).toEqual({ ann: { id: 'ann', mean: 100 }, bob: { id: 'bob', mean: null } })
    expect(errors).toHaveLength(1)
    expect(errors[0]).toMatchObject({ path: ['bob', 'mean'], extensions: { code: 'UNAVAILABLE' } })
    expect(errors[0].message).toContain('division by zero')
    const half = { ...order('half', 'bob', -1_000), big: '9223372036854775807' }
    await world.write({ Order: [half] })
    const sum = '{ ann: busy(id: "ann") { big } bob: busy(id: "bob") { big } }'
    expect((await world.ask(sum, agent)).body.data).toEqual({ ann: { big: '0' }, bob: { big: half.big } })
    await world.write({ Order: [{ ...half, id: 'other half' }] })
    const beyond = (await world.ask(sum, agent)).body
    expect(beyond.data).toEqual({ ann: { big: '0' }, bob: { big: null } })
    expect(beyond.errors[0]).toMatchObject({ path: ['bob', 'big'], extensions: { code: 'UNAVAILABLE' } })
    expect(beyond.errors[0].message).toContain('a number out of range')
  }))

test('in a page, what fails for some rows is an error there, and all else is answered', { timeout: 60_000 }, () =>
  each(async (world) => {
    const fails = ['p0', 'p1', 'p4', 'p6']
    const ids = ['p0', 'p1', 'p2', 'p3', 'p4', 'p5', 'p6']
    await world.write({
      Customer: ids.map((id) => ({ id, tenantId: 'acme', name: id })),
      Order: ids.flatMap((id) => [
        { ...order(`${id} now`, id, 0), big: '9007199254740993' },
        // The window of the last ten seconds is empty, and an hour is not, for some of them.
        ...(fails.includes(id) ? [{ ...order(`${id} now`, id, -60_000), big: '9007199254740993' }] : []),
      ]),
    })
    const query =
      '{ busies(orderBy: { name: DESC }, first: 5) { nodes { id mean big hour lately } pageInfo { hasNextPage } } }'
    const { data, errors } = (await world.ask(query, agent)).body
    expect(data.busies.nodes).toEqual(
      ['p6', 'p5', 'p4', 'p3', 'p2'].map((id) => ({
        id,
        mean: fails.includes(id) ? null : 100,
        big: '9007199254740993',
        hour: '7',
        lately: fails.includes(id) ? 0 : 1,
      })),
    )
    expect(data.busies.pageInfo.hasNextPage).toBe(true)
    expect(errors.map(({ path }: { path: unknown }) => path)).toEqual([
      ['busies', 'nodes', 0, 'mean'],
      ['busies', 'nodes', 2, 'mean'],
    ])
    expect(errors[0].message).toContain('division by zero')
    expect(errors[0].extensions.code).toBe('UNAVAILABLE')
    const looked = (await world.ask('{ busy(name: "p1") { id mean } }', agent)).body
    expect(looked.data.busy).toEqual({ id: 'p1', mean: null })
    expect(looked.errors[0].path).toEqual(['busy', 'mean'])
    // What a role may not see tells it nothing by failing either.
    const other = (await world.ask('{ busies(orderBy: { name: DESC }, first: 5) { nodes { id hour } } }', agent)).body
    expect(other.errors).toBeUndefined()
  }),
)

test('a window that goes by what a role may not see clear is not there for it, nor can any window be searched on', () =>
  each(async (world) => {
    const code = async (query: string, roles: string[]) =>
      (await world.ask(query, { roles })).body.errors[0].extensions.code
    expect(await code('{ busy(id: "bob") { paid } }', ['AUDIT'])).toBe('FORBIDDEN')
    expect(await code('{ busies(orderBy: { hour: ASC }) { nodes { id } } }', ['AGENT'])).toBe('BAD_USER_INPUT')
    expect((await world.ask('{ busy(id: "bob") { hour } }', { ...agent, tenant: 'globex' })).body.data.busy).toBeNull()
  }))
