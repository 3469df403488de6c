/** Live answers over both transports, where no feed tells of changes, so that everything is asked again each second. */

import { afterAll, beforeAll, expect, test } from 'vitest'
import WebSocket from 'ws'
import { metricsText } from '../../src/platform/metrics.ts'
import { desk } from './support/desk.ts'
import { followOver, socketClient, type Transport } from './support/live.ts'
import { type Asker, readModel, startWorld, type World } from './support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld({ model: await readModel('test/graphql/schema'), rows: desk })
})
afterAll(() => world?.stop())

const transports: readonly Transport[] = ['WebSocket', 'event stream']
const patience = { timeout: 30_000, interval: 20 }
const [ada, bob] = desk.Customer!
const agent: Asker = { roles: ['AGENT'] }
const open = async (transport: Transport, asker: Asker, query: string, variables = {}) =>
  followOver(transport, world.url, await world.token(asker), { query, variables })

test.each(transports)('a row comes as it is and again whenever it has changed, over a %s', async (transport) => {
  await world.write({ Customer: [ada!] })
  const query = 'subscription A($id: ID!) { row: customerCardChanged(id: $id) { id tier email } }'
  const told = await open(transport, agent, query, { id: 'ada' })
  await expect.poll(() => told.all.length, patience).toBe(1)
  expect(told.all[0].data).toEqual({ row: { id: 'ada', tier: 'GOLD', email: 'A***@E***.com' } })
  expect(told.all[0].extensions.freshness.views.CustomerCard.asOf).toEqual(expect.any(String))
  await world.write({ Customer: [{ ...ada!, tier: 'BASIC' }] })
  await expect.poll(() => told.all.at(-1)?.data.row.tier, patience).toBe('BASIC')
  expect(told.all.length).toBe(2)
})

test.each(transports)('a live query is answered again as a whole, over a %s', async (transport) => {
  await world.write({ Customer: [ada!, bob!] })
  const query =
    'query @live { customerCards(where: { tier: { eq: GOLD } }, orderBy: { createdAt: ASC }) { totalCount nodes { id } } }'
  const told = await open(transport, agent, query)
  await expect.poll(() => told.all.length, patience).toBe(1)
  const before = told.all[0].data.customerCards
  await world.write({ Customer: [{ ...bob!, tier: 'GOLD' }] })
  await expect.poll(() => told.all.length, patience).toBe(2)
  expect(told.all[1].data.customerCards.totalCount).toBe(before.totalCount + 1)
})

test.each(transports)('what is not live is answered once, over a %s', async (transport) => {
  for (const query of [
    '{ customerCard(id: "bob") { id } }',
    'query ($no: Boolean! = false) @live(if: $no) { customerCard(id: "bob") { id } }',
  ]) {
    const told = await open(transport, agent, query)
    await told.ended
    expect(told.all.map(({ data }) => data)).toEqual([{ customerCard: { id: 'bob' } }])
  }
})

test('law 7 who may not see what changed is told nothing, and what is told is what a query says', async () => {
  await world.write({ Customer: [ada!] })
  const query = 'subscription { customerCardChanged(id: "ada") { id email } }'
  const told = await open('WebSocket', agent, query)
  const other = await open('WebSocket', { ...agent, tenant: 'globex' }, query)
  const clear = await open('WebSocket', { roles: ['FRAUD'] }, query)
  await expect.poll(() => [told.all.length, other.all.length, clear.all.length], patience).toEqual([1, 1, 1])
  expect(other.all[0].data).toEqual({ customerCardChanged: null })
  // Another address that masks alike, and a field that isn't asked for.
  await world.write({ Customer: [{ ...ada!, email: 'Anne.Other@Elsewhere.com', points: '1' }] })
  await expect.poll(() => clear.all.length, patience).toBe(2)
  await world.write({ Customer: [{ ...ada!, email: 'zoe@other.org' }] })
  await expect.poll(() => told.all.length, patience).toBe(2)
  expect(told.all.map(({ data }) => data.customerCardChanged.email)).toEqual(['A***@E***.com', 'z***@o***.org'])
  expect(other.all.length).toBe(1)
  const asked = await world.ask('{ customerCardChanged: customerCard(id: "ada") { id email } }', agent)
  expect(told.all[1].data).toEqual(asked.body.data)
})

test.each(transports)('what is refused is said and ends, over a %s', async (transport) => {
  for (const [asker, query, code] of [
    [{ roles: ['CLERK'] }, 'subscription { customerCardChanged(id: "ada") { id } }', 'FORBIDDEN'],
    [agent, 'subscription { customerCardChanged(id: "ada") { nowhere } }', 'BAD_USER_INPUT'],
    [agent, 'subscription { customerCardChanged { id } }', 'BAD_USER_INPUT'],
    [agent, 'subscription {', 'BAD_USER_INPUT'],
    [agent, 'subscription { __typename }', 'BAD_USER_INPUT'],
  ] as const) {
    const told = await open(transport, asker, query)
    await told.ended.catch(() => {})
    await expect.poll(() => told.all.length, patience).toBe(1)
    expect(told.all[0].errors[0].extensions.code, query).toBe(code)
  }
})

test.each(transports)('who is not known is refused, over a %s', async (transport) => {
  const told = followOver(transport, world.url, 'no token', {
    query: 'subscription { customerCardChanged(id: "ada") { id } }',
  })
  const error = (await told.ended.catch((reason: unknown) => reason)) as { code?: number; response?: Response }
  expect([error.code ?? error.response?.status, told.all]).toEqual([transport === 'WebSocket' ? 4_401 : 401, []])
})

test.each(transports)('a token that expires ends what it followed, and says so, over a %s', async (transport) => {
  const told = await open(
    transport,
    { ...agent, expires: '3s' },
    'subscription { customerCardChanged(id: "ada") { id } }',
  )
  await told.ended.catch(() => {})
  expect(told.all[0].data).toEqual({ customerCardChanged: { id: 'ada' } })
  expect(told.all.at(-1).errors[0].extensions.code).toBe('UNAUTHENTICATED')
})

test('equal questions of equals are one, and end with the last who asks', async () => {
  const query = 'subscription { customerCardChanged(id: "bob") { id tier } }'
  await world.write({ Customer: [{ ...bob!, tier: 'BASIC' }] })
  const client = socketClient(world.url, await world.token(agent))
  const all: unknown[] = []
  const leave = Array.from({ length: 20 }, () =>
    client.subscribe({ query }, { next: (value) => all.push(value), error: () => {}, complete: () => {} }),
  )
  await expect.poll(() => all.length, patience).toBe(20)
  world.statements()
  await world.write({ Customer: [{ ...bob!, tier: 'GOLD' }] })
  await expect.poll(() => all.length, patience).toBe(40)
  const rounds = world.statements().length
  expect(rounds, 'one statement each time it is looked at').toBeLessThan(20)
  for (const one of leave) one()
  await client.dispose()
  const topics = async () => /^forebay_live_topics (\d+)$/m.exec((await metricsText()).text)?.[1]
  await expect.poll(topics, patience).toBe('0')
})

test('a page of another origin opens no WebSocket, and none but GraphQL’s is spoken', async () => {
  const ws = (path: string, options: object) =>
    new Promise<number>((done) => {
      const socket = new WebSocket(`${world.url.replace('http', 'ws')}${path}`, 'graphql-transport-ws', options)
      socket.on('unexpected-response', (_, response) => done(response.statusCode ?? 0))
      socket.on('open', () => {
        done(101)
        socket.close()
      })
      socket.on('error', () => {})
    })
  expect(await ws('/graphql', {})).toBe(101)
  expect(await ws('/graphql', { origin: world.url })).toBe(101)
  expect(await ws('/graphql', { origin: 'https://elsewhere.example' })).toBe(403)
  expect(await ws('/graphiql', {})).toBe(404)
})
