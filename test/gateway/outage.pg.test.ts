import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { desk } from './support/desk.ts'
import { startWay, type Way } from './support/outage.ts'
import { readModel, startWorld, type World } from './support/world.ts'

let world: World
let way: Way
beforeAll(async () => {
  world = await startWorld({
    model: await readModel('test/graphql/schema'),
    rows: desk,
    through: async (url) => {
      way = await startWay(url)
      return way.url
    },
  })
})
afterAll(async () => {
  way.mend()
  await world.stop()
  await way.close()
})

const agent = { roles: ['AGENT'] }
const query = '{ customerCard(id: "ada") { id } customerCards { nodes { id } } }'
const answered = async (): Promise<boolean> => (await world.ask(query, agent)).body.data?.customerCard?.id === 'ada'
const until = async (check: () => Promise<boolean>): Promise<void> => {
  const deadline = Date.now() + 20_000
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error('it did not come to pass in 20 s')
    await sleep(100)
  }
}

test('with Postgres away the answer is UNAVAILABLE and tells nothing of it; with Postgres back it is an answer again', async () => {
  expect(await answered()).toBe(true)
  way.breakOff()
  for (let i = 0; i < 5; i++) {
    const { body, text } = await world.ask(query, agent)
    expect(body.errors[0].extensions.code).toBe('UNAVAILABLE')
    expect(text).not.toMatch(/127\.0\.0\.1|ECONN|CONNECTION|select|postgres/i)
  }
  await until(async () => (await world.ask(query, agent)).status === 503)
  expect(await world.gateway.ready()).toEqual({ ready: false, reason: 'Postgres does not answer' })
  way.mend()
  await until(answered)
  expect(await world.gateway.ready()).toEqual({ ready: true })
})

test('with Postgres silent the answer comes in time all the same', async () => {
  way.hang()
  const begun = performance.now()
  await until(async () => (await world.ask(query, agent)).body.errors?.[0]?.extensions.code === 'UNAVAILABLE')
  expect(performance.now() - begun).toBeLessThan(18_000)
  way.mend()
  await until(answered)
})

test('a view that nothing keeps is UNAVAILABLE, the others are answered', async () => {
  const { sql } = world.database
  await sql`update forebay.generations set retired_at = now() where view = 'LineFile'`
  await until(async () => (await world.ask('{ lineFiles { nodes { line } } }', agent)).status === 503)
  expect(await answered()).toBe(true)
  expect(await world.gateway.ready()).toEqual({ ready: false, reason: 'not caught up yet: LineFile' })
  await sql`update forebay.generations set retired_at = null where view = 'LineFile'`
  await until(async () => (await world.ask('{ lineFiles { nodes { line } } }', agent)).status === 200)
})

test('a view without a bound keeps the gateway from being ready, unless it waits for somebody to act', async () => {
  const { sql } = world.database
  const [{ topic } = { topic: '' }] = await sql<
    { topic: string }[]
  >`select topic from forebay.positions order by 1 limit 1`
  const was = await sql`select frontier from forebay.positions where topic = ${topic}`
  await sql`update forebay.positions set frontier = null where topic = ${topic}`
  await until(async () => !(await world.gateway.ready()).ready)
  expect(await world.gateway.ready()).toMatchObject({ reason: expect.stringMatching(/^not caught up yet: /) })
  await sql`update forebay.positions set reason = 'its schema does not fit' where topic = ${topic}`
  await until(async () => (await world.gateway.ready()).ready)
  await sql`update forebay.positions set frontier = ${was[0]!.frontier}, reason = null where topic = ${topic}`
})

test('a statement that takes too long is stopped and TOO_COSTLY', async () => {
  const { sql } = world.database
  const { table } = world.views.get('LineFile')!
  const lock = await sql.reserve()
  await lock`begin`
  await lock.unsafe(`lock table ${table.table} in access exclusive mode`)
  const { body } = await world.ask('{ lineFiles { nodes { line } } customerCard(id: "ada") { id } }', agent)
  await lock`rollback`
  lock.release()
  expect(body.errors).toMatchObject([{ path: ['lineFiles', 'nodes'], extensions: { code: 'TOO_COSTLY' } }])
})
