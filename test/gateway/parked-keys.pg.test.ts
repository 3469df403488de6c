/** C19: what an answer, the status and `explain` say of keys that could not be recomputed. */
import { expect, test } from 'vitest'
import { parkedKeys } from '../../src/operate/explain/parked.ts'
import { until } from '../kafka/client.ts'
import { change, openStage } from '../law/stage.ts'
import { startDesk } from '../support/desk.ts'
import { run } from '../support/find.ts'

const text = `
extend enum Role { READER }
extend schema @domain(name: "shop", owner: "law")
type Order @entity(domain: "shop", key: "id", source: { topic: "orders" }, shared: true) {
  id: ID!
  region: String!
  pieces: Int!
}
type OrderFile @view(of: "Order") @allow(roles: [READER, OPERATOR]) {
  id: ID!
  pieces: Int!
  each: Int @expr(sql: "1000 / pieces")
}
type RegionFile @view(of: "Order", groupBy: ["region"]) @allow(roles: [READER, OPERATOR]) {
  region: String!
  pieces: Long! @sum(of: "pieces")
  each: Int @expr(sql: "1000 / cast(pieces as integer)")
}
`
const reader = { roles: ['READER'] }

test('the rows of parked keys say DEGRADED and others their own state, in a view of rows and in one of groups', async () => {
  const s = await openStage(text)
  const desk = await startDesk(s.database, s.model)
  const { sql } = s.database
  try {
    await sql`insert into forebay.positions (topic, partition, next_offset) values ('orders', 0, 0)`
    const fresh = () => sql`
      update forebay.positions set frontier = clock_timestamp() + interval '1 hour', observed_at = clock_timestamp()`
    const order = (id: string, region: string, pieces: number, version: number) =>
      change('Order', { id, region, pieces }, version)
    const states = async () => {
      const { data, extensions } = await desk.ask(
        reader,
        `{ orderFiles(first: 5) { edges { node { id pieces each _freshness { state } } } } regionFiles(first: 5) { edges { node { region each _freshness { state } } } } }`,
      )
      return { data, views: extensions.freshness.views }
    }
    await s.apply(0, order('a', 'north', 5, 1), order('b', 'south', 5, 1))
    await s.drain()
    await fresh()
    await until(async () => (await states()).views.OrderFile.state === 'FRESH', 'it is fresh')

    await s.apply(0, order('a', 'north', 0, 2))
    await s.drain()
    await fresh()
    // Each view is worked in a transaction of its own, and a snapshot may be taken between the two.
    for (const view of ['OrderFile', 'RegionFile'])
      await until(async () => (await states()).views[view].state === 'DEGRADED', `${view} is degraded`)
    const { data, views } = await states()
    expect(data.orderFiles.edges.map(({ node }: { node: unknown }) => node)).toEqual([
      { id: 'a', pieces: 5, each: 200, _freshness: { state: 'DEGRADED' } },
      { id: 'b', pieces: 5, each: 200, _freshness: { state: 'FRESH' } },
    ])
    expect(data.regionFiles.edges.map(({ node }: { node: unknown }) => node)).toEqual([
      { region: 'north', each: 200, _freshness: { state: 'DEGRADED' } },
      { region: 'south', each: 200, _freshness: { state: 'FRESH' } },
    ])
    expect(views.OrderFile.sources).toMatchObject([
      { source: 'OrderFile', state: 'PARKED', detail: '1 key could not be recomputed and is tried again' },
    ])
    const status = await desk.ask({ roles: ['OPERATOR'] }, `{ forebay { views { name state parkedKeys } } }`)
    expect(status.data.forebay.views).toEqual([
      { name: 'OrderFile', state: 'DEGRADED', parkedKeys: 1 },
      { name: 'RegionFile', state: 'DEGRADED', parkedKeys: 1 },
    ])

    expect(await parkedKeys(sql, 'OrderFile', 10)).toMatchObject([
      {
        view: 'OrderFile',
        key: '["a"]',
        of: 'the row',
        sqlstate: '22012',
        reason: 'division by zero',
        advice: expect.stringContaining('nullif'),
        attempts: 1,
      },
    ])
    const env = { ...process.env, DATABASE_URL: s.database.url }
    const explained = run(process.execPath, ['src/cli.ts', 'explain', 'parked', 'OrderFile'], { env })
    await expect(explained, 'the verb').rejects.toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/^OrderFile {2}\["a"\] {2}22012 division by zero\n.*tried once.*nullif/s),
    })
    expect(await parkedKeys(sql, undefined, 10)).toMatchObject([{}, { view: 'RegionFile', of: 'the group' }])

    await s.apply(0, order('a', 'north', 10, 3))
    await s.drain()
    await sql`update forebay.parked_keys set next_attempt_at = clock_timestamp()`
    await s.drain()
    await fresh()
    await until(async () => (await states()).views.RegionFile.state === 'FRESH', 'it is fresh again')
    expect((await states()).data.orderFiles.edges[0].node).toMatchObject({ each: 100, _freshness: { state: 'FRESH' } })
  } finally {
    await desk.stop()
    await s.close()
  }
})
