/** GET: what may be kept of an answer, when it is sent again, and how it travels. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { desk } from './support/desk.ts'
import { readModel, startWorld, type World } from './support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld({ model: await readModel('test/graphql/schema'), rows: desk })
})
afterAll(() => world?.stop())

const get = async (query: string, roles: readonly string[], headers: Record<string, string> = {}) =>
  fetch(`${world.url}/graphql?${new URLSearchParams({ query })}`, {
    headers: { authorization: `Bearer ${await world.token({ roles })}`, ...headers },
  })

const plain = '{ customerCard(id: "ada") { id tier orderCount } }'
const personal = '{ customerCard(id: "ada") { id email } }'

test('an answer that is the same again is not sent again, however often it is asked for', async () => {
  const first = await get(plain, ['AGENT'])
  const validator = first.headers.get('etag')!
  expect(validator).toMatch(/^W\/"[\w-]{22}"$/)
  // The first goes by Apollo, the next do not.
  const second = await get(plain, ['AGENT'])
  expect(second.headers.get('etag')).toBe(validator)
  expect(second.headers.get('vary')).toBe('Authorization, Accept, Accept-Encoding')
  for (const asked of [validator, `"other", ${validator}`, validator.slice(2), '*']) {
    const known = await get(plain, ['AGENT'], { 'if-none-match': asked })
    expect([known.status, await known.text(), known.headers.get('etag')]).toEqual([304, '', validator])
    expect(known.headers.get('forebay-as-of')).not.toBe(null)
  }
  expect((await get(plain, ['AGENT'], { 'if-none-match': 'W/"other"' })).status).toBe(200)
})

test('a changed row has another validator, and so has the same row for other roles', async () => {
  const validator = (await get(plain, ['AGENT'])).headers.get('etag')!
  expect((await get(plain, ['FRAUD'], { 'if-none-match': validator })).status).toBe(200)
  await world.write({ Customer: [{ ...desk.Customer![0]!, tier: 'BASIC' }] })
  const changed = await get(plain, ['AGENT'], { 'if-none-match': validator })
  expect([changed.status, changed.headers.get('etag') === validator]).toEqual([200, false])
})

test('what speaks of personal data is kept by nobody, in whatever form; the rest is asked about each time', async () => {
  const control = async (query: string, roles: readonly string[]) => {
    const both = [await get(query, roles), await get(query, roles)]
    return both.map(({ headers }) => headers.get('cache-control'))
  }
  expect(await control(plain, ['AGENT'])).toEqual(['private, no-cache', 'private, no-cache'])
  for (const role of ['AGENT', 'FRAUD']) expect(await control(personal, [role])).toEqual(['no-store', 'no-store'])
  expect(await control('{ customerCard(id: "ada") { nowhere } }', ['AGENT'])).toEqual(['no-store', 'no-store'])
  const posted = await world.ask(plain, { roles: ['AGENT'] })
  expect([posted.headers.get('cache-control'), posted.headers.get('etag')]).toEqual(['no-store', null])
})

test('GET says what POST says, and what is wrong with it', async () => {
  const byGet = (await (await get(plain, ['AGENT'])).json()) as { data: unknown }
  expect(byGet.data).toEqual((await world.ask(plain, { roles: ['AGENT'] })).body.data)
  const token = await world.token({ roles: ['AGENT'] })
  const asked = async (search: string) =>
    fetch(`${world.url}/graphql?${search}`, { headers: { authorization: `Bearer ${token}` } })
  const query = encodeURIComponent('query A($id: ID!) { customerCard(id: $id) { id } }')
  const variables = encodeURIComponent('{"id":"bob"}')
  for (let times = 0; times < 2; times++) {
    const answer = await asked(`query=${query}&variables=${variables}&operationName=A`)
    expect(((await answer.json()) as { data: unknown }).data).toEqual({ customerCard: { id: 'bob' } })
  }
  for (const broken of [
    `query=${query}&variables={`,
    `query=${query}&variables=[]`,
    'variables={}',
    `query=${query}&query=${query}`,
  ])
    expect((await asked(broken)).status, broken).toBe(400)
})

test('a long answer travels packed as the caller prefers, and says the same', async () => {
  const many =
    '{ customerCards(first: 4) { nodes { id tier email phone fullName orders { id total status placedAt } } } __schema { types { name description } } }'
  const texts = new Map<string, unknown>()
  for (const encoding of ['identity', 'gzip', 'br', 'zstd']) {
    const answer = await get(many, ['AGENT'], { 'accept-encoding': encoding })
    expect(answer.headers.get('content-encoding')).toBe(encoding === 'identity' ? null : encoding)
    texts.set(encoding, ((await answer.json()) as { data: unknown }).data)
  }
  for (const data of texts.values()) expect(data).toEqual(texts.get('identity'))
})

test('more than can be worked on at once is refused with 503, and nothing else is', async () => {
  const { sql } = world.database
  const lock = await sql.reserve()
  try {
    await lock`begin`
    await lock.unsafe(`lock table ${world.views.get('CustomerCard')!.table.table} in access exclusive mode`)
    const list = '{ customerCards(first: 1) { nodes { id } } }'
    const asked = Array.from({ length: 1_400 }, () =>
      get(list, ['AGENT']).then(({ status, headers }) => [status, headers.get('retry-after')]),
    )
    const most = 1_400 - 256 - 1_024
    const refused: unknown[] = []
    await new Promise<void>((done) => {
      for (const one of asked)
        void one.then((answer) => {
          if (refused.push(answer) === most) done()
        })
    })
    expect(refused[0]).toEqual([503, '1'])
    expect((await fetch(`${world.url}/graphql`, { method: 'OPTIONS' })).status).toBe(405)
    await lock`rollback`
    const statuses = Map.groupBy(await Promise.all(asked), ([status]) => status)
    expect([...statuses.keys()].sort()).toEqual([200, 503])
    expect(statuses.get(200)!.length).toBeGreaterThanOrEqual(256)
    expect(statuses.get(503)!.length).toBeGreaterThanOrEqual(most)
    expect((await get(list, ['AGENT'])).status).toBe(200)
  } finally {
    await lock`rollback`
    lock.release()
  }
})
