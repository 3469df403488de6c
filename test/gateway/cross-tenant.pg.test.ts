import { afterAll, beforeAll, expect, test } from 'vitest'
import { desk } from './support/desk.ts'
import { readModel, startWorld, type World } from './support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld({ model: await readModel('test/graphql/schema'), rows: desk })
})
afterAll(() => world.stop())

const operator = { roles: ['OPERATOR'] }
const counts = async (): Promise<Record<string, number>> => {
  const { body } = await world.ask('{ forebay { crossTenant { join count } } }', operator)
  const all = body.data.forebay.crossTenant as { join: string; count: number }[]
  return Object.fromEntries(all.map(({ join, count }) => [join, count]))
}

test('C9 rows that a join would bring together but for their tenants are counted, join by join', async () => {
  expect(await counts()).toEqual({ 'Customer.orders': 0, 'Customer.notes': 0, 'Order.customer': 0 })
  const [order] = desk.Order!
  const stray = { ...order, customerId: 'ada', tenantId: 'globex' }
  await world.write({ Order: [1, 2].map((i) => ({ ...stray, id: `stray${i}` })) })
  expect(await counts()).toEqual({ 'Customer.orders': 2, 'Customer.notes': 0, 'Order.customer': 2 })
})

test('C9 nothing is counted unless its count is asked for', async () => {
  world.statements()
  const { body } = await world.ask('{ forebay { views { name } crossTenant { join } } }', operator)
  expect(body.data.forebay.crossTenant).toHaveLength(3)
  expect(world.statements()).toEqual([])
})

test('C9 a count that takes too long is stopped, and the rest of the answer stands', async () => {
  const { sql } = world.database
  await sql.begin(async (held) => {
    await held.unsafe('lock table crm.note in access exclusive mode')
    const { body } = await world.ask('{ forebay { crossTenant { join count } } }', operator)
    const stopped = body.data.forebay.crossTenant.filter(({ count }: { count: number | null }) => count === null)
    expect(stopped).toEqual([{ join: 'Customer.notes', count: null }])
    expect(body.errors[0].extensions.code).toBe('TOO_COSTLY')
  })
}, 20_000)
