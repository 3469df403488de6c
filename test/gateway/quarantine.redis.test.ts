/** C19: what an answer says of rows that depend on records in quarantine, with and without a row cache. */
import { afterEach, expect, test } from 'vitest'
import { topicsRead } from '../../src/ingest/generations.ts'
import { publisher } from '../../src/ingest/publish.ts'
import { watchQuarantine } from '../../src/ingest/quarantine-watch.ts'
import { redriveQuarantined } from '../../src/operate/quarantine/act.ts'
import { connectRedis } from '../../src/platform/redis.ts'
import { until } from '../kafka/client.ts'
import { customer, openParking, order, type Parking } from '../law/parking.ts'
import { type Asked, startDesk } from '../support/desk.ts'
import { startRedis } from '../support/redis.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})
const reader = { roles: ['READER'] }
const open = async (environment: Record<string, string>): Promise<{ p: Parking; desk: Asked }> => {
  const parking = await openParking()
  const redis = environment.REDIS_URL === undefined ? undefined : connectRedis(environment.REDIS_URL)
  closing.push(async () => redis?.end())
  const published = redis && publisher(redis, parking.database.sql)
  const p: Parking = { ...parking, drain: () => parking.drain(published) }
  closing.push(() => p.database.drop())
  await p.apply([customer('a'), customer('b'), customer('c')])
  await p.apply([order('o', 'b')])
  await p.drain()
  const desk = await startDesk(p.database, p.mendedModel, environment)
  closing.push(() => desk.stop())
  return { p, desk }
}
const { url } = await startRedis()

for (const [how, environment] of [
  ['without a row cache', {}],
  ['with a row cache', { REDIS_URL: url }],
] as const) {
  test(`C19 a row that depends on what is parked is DEGRADED, others keep their own state, ${how}`, async () => {
    const { p, desk } = await open(environment)
    const { sql } = p.database
    const fresh = () =>
      sql`update forebay.positions set frontier = clock_timestamp() + interval '1 hour', observed_at = clock_timestamp()`
    const one = (id: string) => desk.ask(reader, `{ customerFile(id: "${id}") { id tier _freshness { state } } }`)
    const stateOf = async (id: string) => (await one(id)).data?.customerFile?._freshness.state
    await fresh()
    for (const id of ['a', 'b', 'c']) await until(async () => (await stateOf(id)) === 'FRESH', `${id} is fresh`)

    await p.apply([customer('a', { tier: 'SILVER' })])
    await p.apply([order('o', 'c', { tier: 'SILVER' })])
    await p.drain()
    await fresh()
    for (const id of ['a', 'b', 'c']) await until(async () => (await stateOf(id)) === 'DEGRADED', `${id} is degraded`)
    const { data, extensions } = await desk.ask(
      reader,
      `{ customerFiles(first: 5) { edges { node { id _freshness { state } } } } orderFiles(first: 5) { edges { node { id _freshness { state } } } } }`,
    )
    const states = (edges: readonly { node: { id: string; _freshness: { state: string } } }[]) =>
      edges.map(({ node }) => `${node.id} ${node._freshness.state}`)
    // The order is b's as it stands, and c's as the parked record has it.
    expect(states(data.customerFiles.edges)).toEqual(['a DEGRADED', 'b DEGRADED', 'c DEGRADED'])
    expect(states(data.orderFiles.edges)).toEqual(['o DEGRADED'])
    expect(extensions.freshness.views.CustomerFile).toMatchObject({
      state: 'DEGRADED',
      sources: [
        { source: 'customers', state: 'PARKED', detail: '1 record in quarantine, the oldest at customers-0-3' },
        { source: 'orders', state: 'PARKED', detail: '1 record in quarantine, the oldest at orders-0-1' },
      ],
    })

    await p.apply([order('o', 'b')])
    await p.drain()
    const watch = watchQuarantine({ sql, cap: 1000, read: () => topicsRead(p.catalog), everyMs: 50 })
    closing.push(() => watch.stop())
    await fresh()
    await until(async () => (await stateOf('b')) === 'FRESH', 'b is fresh again')
    const answer = await one('b')
    expect(answer.extensions.freshness.views.CustomerFile).toMatchObject({ state: 'DEGRADED' })
    expect(await stateOf('a')).toBe('DEGRADED')

    await redriveQuarantined(p.means(), {})
    await p.drain()
    await fresh()
    await until(async () => (await stateOf('a')) === 'FRESH', 'a is fresh again')
    await until(async () => (await one('a')).data.customerFile.tier === 'SILVER', 'and shows what was parked')
  })
}

test('C19 a row stays DEGRADED until asOf has passed the moment at which its record left quarantine, however long that takes', async () => {
  const { p, desk } = await open({})
  const { sql } = p.database
  const stateOf = async (id: string) =>
    (await desk.ask(reader, `{ customerFile(id: "${id}") { _freshness { state } } }`)).data?.customerFile?._freshness
      .state
  const frontiers = (at: string) =>
    sql.unsafe(`update forebay.positions set frontier = ${at}, observed_at = clock_timestamp()`)
  await frontiers(`clock_timestamp() - interval '1 second'`)
  await p.apply([customer('a', { tier: 'SILVER' })])
  await p.drain()
  const watch = watchQuarantine({ sql, cap: 1000, read: () => topicsRead(p.catalog), everyMs: 20 })
  closing.push(() => watch.stop())
  const marks = async () => (await sql`select from forebay.degraded where key is not null`).length
  const stays = async (why: string) => {
    await new Promise((done) => setTimeout(done, 200))
    expect(await marks(), why).toBeGreaterThan(0)
    await until(async () => (await stateOf('a')) === 'DEGRADED', why)
  }
  await redriveQuarantined(p.means(), {})
  await frontiers('clock_timestamp()')
  await stays('what it stood for is in the dirty log')
  await frontiers(`clock_timestamp() - interval '1 minute'`)
  await p.drain()
  await stays('the log is not known to that moment')
  await frontiers('clock_timestamp()')
  await until(async () => (await marks()) === 0, 'it has passed')
  await until(async () => (await stateOf('a')) === 'FRESH', 'a is fresh')
})
