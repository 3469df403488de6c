/** Many keys at once, many who ask the same, and how many rows there are. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from './support/asking.ts'
import { desk } from './support/desk.ts'
import { readModel, startWorld, type World } from './support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld({ model: await readModel('test/graphql/schema'), rows: desk })
})
afterAll(() => world.stop())

const byIds = (count: number, more = '') =>
  world.ask(
    `query ($ids: [ID!]!) { customerCardsById(ids: $ids) { id } ${more} }`,
    { roles: ['AGENT'] },
    { ids: Array.from({ length: count }, (_, i) => (i % 2 ? 'ada' : `c${i}`)) },
  )

test('as many keys as an operation may ask rows for go out as one statement, each once', async () => {
  world.statements()
  const { body } = await byIds(1_000)
  expect(body.data.customerCardsById.map((row: { id: string } | null) => row?.id ?? null)).toEqual(
    Array.from({ length: 1_000 }, (_, i) => (i % 2 ? 'ada' : null)),
  )
  const sent = world.statements().filter(({ text }) => text.includes('customer_card'))
  expect(sent).toHaveLength(1)
  expect(sent[0]!.values[0]!.split(',')).toHaveLength(501)
})

test.each([
  ['too many keys', () => byIds(1_001)],
  ['keys and pages that are too many together', () => byIds(950, 'customerCards(first: 60) { nodes { id } }')],
])('%s are TOO_COSTLY, before anything is read', async (_, ask) => {
  world.statements()
  const { body } = await ask()
  expect(body.errors[0].extensions.code).toBe('TOO_COSTLY')
  expect(world.statements()).toEqual([])
})

test('lists that are equal and asked for at once are read once, and each answer is whole', async () => {
  const asked = 12
  const query = '{ customerCards(orderBy: { points: DESC }, first: 2) { nodes { id } totalCount } }'
  const table = world.views.get('CustomerCard')!.table.table
  const burst = async (): Promise<number> => {
    const lock = await world.database.sql.reserve()
    try {
      await lock.unsafe(`begin; lock table ${table} in access exclusive mode`)
      world.statements()
      const answers = Array.from({ length: asked }, () => world.ask(query, { roles: ['AGENT'] }))
      await until(async () => {
        const [row] = await world.database.sql<{ n: number }[]>`
          select count(*)::int as n from pg_stat_activity where wait_event_type = 'Lock' and query like '%customer_card%'`
        return row!.n > 0
      })
      await lock.unsafe('rollback')
      for (const { body } of await Promise.all(answers))
        expect(body.data.customerCards).toEqual({ nodes: [{ id: 'ada' }, { id: 'dan' }], totalCount: 4 })
    } finally {
      lock.release()
    }
    return world.statements().filter(({ text }) => text.includes('order by r."points" desc')).length
  }
  // Those that came by another snapshot are read by themselves.
  await until(async () => (await burst()) < asked)
})

test('equal lists of two tenants share nothing', async () => {
  const query = '{ customerCards(first: 50) { nodes { id } } }'
  const ask = (tenant: string) => world.ask(query, { roles: ['AGENT'], tenant })
  const answers = await Promise.all(['acme', 'globex', 'acme', 'globex'].map(ask))
  const ids = answers.map(({ body }) => body.data.customerCards.nodes.map(({ id }: { id: string }) => id))
  expect(ids).toEqual([['ada', 'bob', 'cyd', 'dan'], ['eve'], ['ada', 'bob', 'cyd', 'dan'], ['eve']])
})

test('totals are exact up to 10,000, and then an estimate of what this reader may see', async () => {
  const table = world.views.get('RegionFile')!.table.table
  // More than an estimate looks at: 60,000 rows of which each fills a third of a kilobyte.
  await world.database.sql.unsafe(`
    insert into ${table} (id, email, region, tier, street, _tenant, _version, _incomplete)
    select 'n' || n, repeat('x', 300), case when n % 3 = 0 then 'south' else 'north' end, case when n % 6 = 1 then 'GOLD' else 'BASIC' end, null,
      case when n % 2 = 0 then 'globex' else 'acme' end, 1, false from generate_series(1, 60000) n`)
  const total = async (where: string, asker: Parameters<World['ask']>[1]) => {
    const { body } = await world.ask(`{ regionFiles${where} { totalCount totalCountEstimated } }`, asker)
    expect(body.errors).toBeUndefined()
    const { totalCount, totalCountEstimated } = body.data.regionFiles
    return [totalCount as number, totalCountEstimated as boolean] as const
  }
  const within = ([count, estimated]: readonly [number, boolean], truth: number) => {
    expect(estimated).toBe(true)
    expect(Math.abs(count - truth) / truth).toBeLessThan(0.1)
    expect(count).toBe(Number(count.toPrecision(2)))
  }
  const agent = { roles: ['AGENT'] }
  within(await total('', agent), 30_000)
  within(await total('', { ...agent, tenant: 'globex' }), 30_000)
  within(await total('', { roles: ['CLERK'], claims: { region: 'north' } }), 20_000)
  // 10,002, of the desk's own rows two: whatever a sample says, it is known that there are more than 10,000.
  expect(await total('(where: { tier: { eq: GOLD } })', agent)).toEqual([10_001, true])
  expect(await total('(where: { tier: { eq: GOLD }, region: { ne: "north" } })', agent)).toEqual([0, false])
  await world.database.sql.unsafe(`delete from ${table} where id in ('n1', 'n7')`)
  expect(await total('(where: { tier: { eq: GOLD } })', agent)).toEqual([10_000, false])
})
