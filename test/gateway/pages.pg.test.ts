/** Keyset paging over random rows: every page order equals sorting in memory, and pages stay put under inserts. */
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { desk } from './support/desk.ts'
import { readModel, startWorld, type World } from './support/world.ts'

let world: World
const regions = [null, 'east', 'north', 'west'] as const
const customers = Array.from({ length: 37 }, (_, i) => ({
  ...desk.Customer![0],
  id: `c${(i * 7) % 37}`,
  email: `c${i}@x.example`,
  phone: null,
  region: regions[i % 4],
  points: String(i % 3),
  createdAt: `2026-01-0${1 + (i % 5)}T00:00:00.00000${i % 7}Z`,
}))
beforeAll(async () => {
  world = await startWorld({ model: await readModel('test/graphql/schema'), rows: { Customer: customers } })
})
afterAll(() => world.stop())

type Order = Readonly<Record<string, 'ASC' | 'DESC'>>
const asker = { roles: ['AGENT'] }
const page = async (args: Readonly<Record<string, unknown>>) => {
  const { body } = await world.ask(
    `query ($orderBy: [CustomerCardOrderBy!], $where: CustomerCardWhere, $first: Int, $after: String, $last: Int, $before: String) {
      customerCards(orderBy: $orderBy, where: $where, first: $first, after: $after, last: $last, before: $before) {
        nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
      }
    }`,
    asker,
    args,
  )
  expect(body.errors).toBeUndefined()
  const { nodes, pageInfo } = body.data.customerCards
  return { ids: nodes.map(({ id }: { id: string }) => id) as string[], ...pageInfo }
}

const byText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
const sorted = (orders: readonly Order[]): string[] =>
  [...customers]
    .sort((a, b) => {
      for (const order of orders) {
        for (const [field, direction] of Object.entries(order)) {
          const [x, y] = [a, b].map((row) => (row as Record<string, unknown>)[field]) as [string | null, string | null]
          if (x === y) continue
          if (x === null || y === null) return x === null ? 1 : -1
          return byText(x, y) * (direction === 'ASC' ? 1 : -1)
        }
      }
      return byText(a.id, b.id) * (Object.values(orders.at(-1) ?? {})[0] === 'DESC' ? -1 : 1)
    })
    .map(({ id }) => id)

const orders = fc.uniqueArray(
  fc.record({
    field: fc.constantFrom('region', 'points', 'createdAt'),
    direction: fc.constantFrom('ASC' as const, 'DESC' as const),
  }),
  { selector: ({ field }) => field, maxLength: 3 },
)

test('walking forward and backward yields every row once, in order, nulls last, ties by key the way of the last field', async () => {
  await fc.assert(
    fc.asyncProperty(orders, fc.integer({ min: 1, max: 20 }), async (fields, size) => {
      const orderBy = fields.map(({ field, direction }) => ({ [field]: direction }))
      const all = sorted(orderBy)
      const forward: string[] = []
      for (let after: string | null = null; ; ) {
        const one = await page({ orderBy, first: size, after })
        expect(one.hasPreviousPage).toBe(after !== null)
        forward.push(...one.ids)
        if (!one.hasNextPage) break
        after = one.endCursor
      }
      expect(forward).toEqual(all)
      const backward: string[] = []
      for (let before: string | null = null; ; ) {
        const one = await page({ orderBy, last: size, before })
        backward.unshift(...one.ids)
        if (!one.hasPreviousPage) break
        before = one.startCursor
      }
      expect(backward).toEqual(all)
    }),
    { numRuns: 15 },
  )
})

test('a page stays where it is when rows come before it', async () => {
  const first = await page({ orderBy: [{ points: 'DESC' }], first: 5 })
  const second = await page({ orderBy: [{ points: 'DESC' }], first: 5, after: first.endCursor })
  await world.write({ Customer: [{ ...customers[0], id: 'aaa', points: '99' }] })
  expect(await page({ orderBy: [{ points: 'DESC' }], first: 5, after: first.endCursor })).toMatchObject({
    ids: second.ids,
  })
})

test('a cursor opens only in the place it was made for', async () => {
  const { endCursor } = await page({ orderBy: [{ points: 'ASC' }], first: 2 })
  const code = async (query: string, by = asker as Parameters<World['ask']>[1]) =>
    (await world.ask(query, by)).body.errors?.[0]?.extensions.code ?? 'accepted'
  const ask = (args: string) => `{ customerCards(${args}) { nodes { id } } }`
  const turned = endCursor.slice(0, 20) + (endCursor[20] === 'A' ? 'B' : 'A') + endCursor.slice(21)
  expect(await code(ask(`orderBy: { points: ASC }, after: "${endCursor}"`))).toBe('accepted')
  expect(await code(ask(`orderBy: { points: DESC }, after: "${endCursor}"`))).toBe('BAD_USER_INPUT')
  expect(await code(ask(`after: "${endCursor}"`))).toBe('BAD_USER_INPUT')
  expect(await code(ask(`orderBy: { points: ASC }, where: { tier: { eq: GOLD } }, after: "${endCursor}"`))).toBe(
    'BAD_USER_INPUT',
  )
  expect(await code(ask(`orderBy: { points: ASC }, after: "${turned}"`))).toBe('BAD_USER_INPUT')
  expect(await code(ask('after: "garbage"'))).toBe('BAD_USER_INPUT')
  expect(await code(ask(`orderBy: { points: ASC }, after: "${endCursor}"`), { ...asker, tenant: 'globex' })).toBe(
    'BAD_USER_INPUT',
  )
})

test('a cursor tells nothing of the values it holds', async () => {
  const { endCursor } = await page({ orderBy: [{ region: 'ASC' }], first: 1 })
  expect(Buffer.from(endCursor, 'base64url').toString('latin1')).not.toMatch(/east|c\d/)
})
