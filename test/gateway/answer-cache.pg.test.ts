/** The answer cache over HTTP, beside an engine that keeps the rows up: who gets a finished answer, and when it is one no more. */
import { request } from 'node:http'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startMaintainer } from '../../src/ingest/maintain/maintainer.ts'
import { metricsText } from '../../src/platform/metrics.ts'
import { connect } from '../../src/platform/postgres.ts'
import { until } from '../kafka/client.ts'
import { change, customer, openStage, type Stage } from '../law/stage.ts'
import { type Asked, startDesk } from '../support/desk.ts'

let stage: Stage
let desk: Asked
let reader: string
const closing: (() => unknown)[] = []
beforeAll(async () => {
  stage = await openStage()
  closing.push(() => stage.close())
  const { sql } = stage.database
  await sql`insert into forebay.positions (topic, partition, next_offset, frontier, observed_at)
    select t, 0, 0, clock_timestamp(), clock_timestamp() from unnest(array['customers', 'orders', 'lines']) t`
  await stage.apply(0, ...['ada', 'bob', 'cyd', 'dan', 'eve'].map((id) => customer(id, 1, `${id} Ångström`)))
  const own = connect(stage.database.url, { max: 1, name: 'owner' })
  closing.push(() => own.end({ timeout: 1 }))
  const maintainer = startMaintainer({ sql: own, catalog: stage.catalog, published: async () => {} })
  closing.push(() => maintainer.stop())
  desk = await startDesk(stage.database, stage.model)
  closing.push(() => desk.stop())
  reader = await desk.token({ roles: ['READER'], tenant: 'acme' })
  await until(async () => (await name('eve')) === 'eve Ångström', 'rows are kept up')
  await sql`update forebay.positions set frontier = clock_timestamp(), observed_at = clock_timestamp()`
  const bounded = async () => freshnessOf(await send({ query: one, variables: { id: 'eve' } })).asOf !== null
  await until(bounded, 'they have a bound')
})
afterAll(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

type Sent = {
  readonly query: string
  readonly variables?: object
  readonly token?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly method?: 'GET' | 'POST'
}
type Got = { readonly status: number; readonly headers: Record<string, unknown>; readonly text: string }
const send = ({ query, variables = {}, token = reader, headers = {}, method = 'POST' }: Sent): Promise<Got> =>
  new Promise((done, fail) => {
    const search = `?${new URLSearchParams({ query, variables: JSON.stringify(variables) })}`
    const all = { authorization: `Bearer ${token}`, ...headers }
    const sent = request(method === 'GET' ? desk.url + search : desk.url, {
      method,
      headers: method === 'GET' ? all : { 'content-type': 'application/json', ...all },
    })
    sent.on('error', fail)
    sent.on('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        const packed = Buffer.concat(chunks)
        const bytes = response.headers['content-encoding'] === 'gzip' ? gunzipSync(packed) : packed
        done({ status: response.statusCode!, headers: response.headers, text: bytes.toString() })
      })
    })
    sent.end(method === 'GET' ? undefined : JSON.stringify({ query, variables }))
  })
const one = 'query($id: ID!) { customerOrders(id: $id) { id name orders } }'
const name = async (id: string): Promise<string | undefined> =>
  JSON.parse((await send({ query: one, variables: { id } })).text).data?.customerOrders?.name
const hits = async (): Promise<number> =>
  Number(/^forebay_answer_cache_reads_total\{result="hit"\} (\d+)$/m.exec((await metricsText()).text)?.[1] ?? 0)
/** Asks until it is answered from what is kept. */
const kept = async (sent: Sent): Promise<Got> => {
  let last: Got | undefined
  await until(async () => {
    const before = await hits()
    last = await send(sent)
    return (await hits()) > before
  }, 'it is answered from what is kept')
  return last!
}
const dataOf = ({ text }: Got): string => text.slice(0, text.indexOf(',"extensions"'))
const freshnessOf = ({ text }: Got) => JSON.parse(text).extensions.freshness

test('law 6: an answer that is kept has the bytes of one that was read, and says how fresh it is now', async () => {
  const sent = { query: one, variables: { id: 'ada' } }
  const read = await send({ ...sent, query: `${one} # read` })
  const first = await kept(sent)
  expect(dataOf(first)).toBe(dataOf(read))
  expect(Object.keys(freshnessOf(first))).toEqual(Object.keys(freshnessOf(read)))
  expect(Object.keys(first.headers).sort()).toEqual(Object.keys(read.headers).sort())
  expect(first.headers).toMatchObject({ 'cache-control': 'no-store', 'content-type': read.headers['content-type'] })
  expect(first.headers['forebay-as-of']).toBe(freshnessOf(first).asOf)
  expect(first.headers['forebay-position']).toBe(freshnessOf(first).position)
  await stage.database.sql`update forebay.positions set frontier = clock_timestamp()`
  await until(async () => freshnessOf(await kept(sent)).asOf > freshnessOf(first).asOf, 'it is as of later')
})

test('C29: it goes when its row changes, and when a row comes that was not there', async () => {
  for (const [id, version] of [
    ['bob', 2],
    ['fay', 2],
  ] as const) {
    const sent = { query: one, variables: { id } }
    await kept(sent)
    await stage.apply(0, customer(id, version, 'Grace'))
    await until(async () => JSON.parse((await send(sent)).text).data.customerOrders?.name === 'Grace', `${id} is Grace`)
    expect(dataOf(await kept(sent))).toContain('Grace')
  }
  await stage.apply(0, change('Customer', { id: 'fay' }, 3))
  await until(async () => (await name('fay')) === undefined, 'fay is gone')
})

test('law 7: nobody gets what was kept for another role, tenant or identity', async () => {
  const sent = { query: one, variables: { id: 'cyd' } }
  expect(dataOf(await kept(sent))).toContain('cyd Ångström')
  const [other, none, tenantless] = await Promise.all([
    desk.token({ roles: ['READER'], tenant: 'globex' }),
    desk.token({ roles: [], tenant: 'acme' }),
    desk.token({ roles: ['READER'] }),
  ])
  for (let times = 0; times < 4; times++) {
    expect(dataOf(await send({ ...sent, token: other }))).toBe('{"data":{"customerOrders":null}')
    expect(dataOf(await send({ ...sent, token: tenantless }))).toBe('{"data":{"customerOrders":null}')
    expect((await send({ ...sent, token: none })).text).toContain('FORBIDDEN')
    expect((await send({ ...sent, token: `${reader}x` })).status).toBe(401)
  }
  expect(dataOf(await kept({ ...sent, token: other }))).toBe('{"data":{"customerOrders":null}')
})

test('an identity that asks the same has the same answer without a read of its own', async () => {
  const sent = { query: one, variables: { id: 'dan' } }
  const first = await kept(sent)
  const reads = async (): Promise<number> =>
    [...(await metricsText()).text.matchAll(/^forebay_near_cache_reads_total\{.*\} (\d+)$/gm)]
      .map(([, times]) => Number(times))
      .reduce((sum, times) => sum + times, 0)
  const before = await reads()
  const token = await desk.token({ roles: ['READER'], tenant: 'acme' })
  expect(dataOf(await send({ ...sent, token }))).toBe(dataOf(first))
  expect(await reads()).toBe(before)
})

const neverKept: readonly (readonly [string, Sent])[] = [
  [
    'asks for freshness by a header',
    { query: one, variables: { id: 'ada' }, headers: { 'forebay-max-staleness': '1h' } },
  ],
  [
    'asks for freshness by @fresh',
    {
      query: 'query($id: ID!) @fresh(maxStaleness: "1h") { customerOrders(id: $id) { name } }',
      variables: { id: 'ada' },
    },
  ],
  ['asks how fresh a row is', { query: '{ customerOrders(id: "ada") { name _freshness { asOf } } }' }],
  ['asks by global id', { query: '{ node(id: "WyJDdXN0b21lck9yZGVycyIsImFkYSJd") { _id } }' }],
  ['asks for no row', { query: '{ __typename }' }],
  ['is refused', { query: '{ customerOrders(id: "ada") { nothing } }' }],
]
test.each(neverKept)('a request that %s is answered anew each time', async (_, sent) => {
  const first = await send(sent)
  const before = await hits()
  for (let times = 0; times < 4; times++) expect((await send(sent)).status).toBe(first.status)
  expect(await hits()).toBe(before)
})

test('what a request accepts is heeded: media type, packing, and what it has already', async () => {
  const many = `{ ${Array.from({ length: 20 }, (_, i) => `c${i}: customerOrders(id: "ada") { id name orders spent units }`).join(' ')} }`
  const packed = await kept({ query: many, headers: { 'accept-encoding': 'gzip' } })
  expect(packed.headers['content-encoding']).toBe('gzip')
  expect(dataOf(packed)).toBe(dataOf(await send({ query: `${many} # read` })))
  const strict = { accept: 'application/graphql-response+json' }
  const sent = { query: one, variables: { id: 'ada' } }
  await kept(sent)
  expect((await kept({ ...sent, headers: strict })).headers['content-type']).toContain('graphql-response+json')
  const got = await kept({ ...sent, method: 'GET' })
  expect(got.headers).toMatchObject({
    'cache-control': 'private, no-cache',
    vary: expect.stringContaining('Authorization'),
  })
  const again = await send({ ...sent, method: 'GET', headers: { 'if-none-match': String(got.headers.etag) } })
  expect([again.status, again.text]).toEqual([304, ''])
})

test('fields of variables in another order ask for the same, other variables do not', async () => {
  const query = 'query($a: ID!, $b: ID!) { a: customerOrders(id: $a) { id } b: customerOrders(id: $b) { id } }'
  const first = await kept({ query, variables: { a: 'ada', b: 'bob' } })
  expect(dataOf(await kept({ query, variables: { b: 'bob', a: 'ada' } }))).toBe(dataOf(first))
  expect(dataOf(await kept({ query, variables: { a: 'bob', b: 'ada' } }))).not.toBe(dataOf(first))
})

test('a token that has expired meanwhile is refused, whatever is kept', async () => {
  const token = await desk.token({ roles: ['READER'], tenant: 'acme', ttl: 1 })
  const sent = { query: one, variables: { id: 'ada' }, token }
  await kept(sent)
  await until(async () => (await send(sent)).status === 401, 'it is refused')
  expect((await send({ ...sent, token: reader })).status).toBe(200)
})
