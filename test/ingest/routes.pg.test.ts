import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { forgetKeys } from '../../src/ingest/append-once.ts'
import type { RoomLimits } from '../../src/ingest/journal-room.ts'
import { type Authenticate, ingestRoutes } from '../../src/ingest/routes.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { type Listening, serve } from '../../src/platform/http.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'
import { column, entity, model } from './entities.ts'

const columns = [column('id', 'ID!'), column('n', 'Long')]
const declared = model([
  entity('Thing', ['id'], columns, { topic: 'things', format: 'JSON' }),
  entity('Full', ['id'], columns, { topic: 'full', format: 'JSON' }),
  entity('Old', ['id'], columns, { topic: 'old', format: 'DEBEZIUM' }),
  entity('Row', ['id'], columns, {
    topic: 'crm.public.rows',
    format: 'DEBEZIUM',
    table: { connection: 'crm', schema: 'public', name: 'rows' },
  }),
  entity('Signal', ['id'], columns, { topic: 'signals', format: 'CLOUDEVENTS' }),
])
const unknownToken = Object.assign(new Error('The token cannot be verified.'), {
  extensions: { code: 'UNAUTHENTICATED' },
})
const authenticate: Authenticate = async (authorization) => {
  if (authorization === 'Bearer down')
    throw Object.assign(new Error('No keys.'), { extensions: { code: 'UNAVAILABLE' } })
  if (!authorization?.startsWith('Bearer role-')) throw unknownToken
  const [role = '', subject = null] = authorization.slice('Bearer role-'.length).split(':')
  return { roles: [role], subject }
}

let database: Database
const servers: Listening[] = []
const listen = async (
  kind: 'journal' | 'kafka',
  more: { authenticate?: Authenticate; room?: RoomLimits } = {},
): Promise<string> => {
  const server = await serve({ port: 0, routes: ingestRoutes({ sql: database.sql, model: declared, kind, ...more }) })
  servers.push(server)
  return `http://127.0.0.1:${server.port}/ingest`
}
let base: string
beforeAll(async () => {
  database = await freshDatabase()
  await installModel(database.sql, model([]))
  base = await listen('journal')
})
afterAll(async () => {
  await Promise.all(servers.map((server) => server.close()))
  await database?.drop()
})

const post = async (path: string, body: string | Buffer, headers: Record<string, string> = {}, at = base) => {
  const response = await fetch(`${at}${path}`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...headers },
  })
  const answer = (await response.json()) as { positions?: string[]; title?: string; detail?: string }
  const { headers: answered } = response
  const [retry, replayed] = [answered.get('retry-after'), answered.get('idempotency-replayed')]
  const [media, challenge] = [answered.get('content-type'), answered.get('www-authenticate')]
  return { ...answer, status: response.status, media, challenge, retry, replayed }
}
type Stored = { key: string | null; value: string | null; headers: Record<string, string> }
const stored = async (position: string): Promise<Stored> => {
  const [, topic, partition, offset] = /^(.+)-(\d+)-(\d+)$/.exec(position)!
  const [row] = await database.sql<Stored[]>`
    select convert_from(key, 'UTF8') as key, convert_from(value, 'UTF8') as value, headers
    from forebay.journal where topic = ${topic!} and partition = ${partition!} and "offset" = ${offset!}`
  return row!
}

describe('what is taken', () => {
  test('one record, byte for byte, under the key of its row, in one partition whoever sends it', async () => {
    const body = '{ "id": "a", "n": 9007199254740993 }'
    const first = await post('/things', body)
    expect(first.status).toBe(202)
    expect(await stored(first.positions![0]!)).toEqual({ key: '{"id":"a"}', value: body, headers: {} })
    const second = await post('/things', '{"n":1,"id":"a"}')
    const partitionOf = (position: string) => position.split('-').at(-2)
    expect(partitionOf(second.positions![0]!)).toBe(partitionOf(first.positions![0]!))
  })

  test('an array is several records, in order, with every digit', async () => {
    const answer = await post('/things', '[{"id":"a","n":9007199254740993},{"id":"b","n":1.0}]')
    expect(answer.positions).toHaveLength(2)
    const values = await Promise.all(answer.positions!.map(stored))
    expect(values.map(({ value }) => value)).toEqual(['{"id":"a","n":9007199254740993}', '{"id":"b","n":1.0}'])
  })

  test('a CloudEvent in structured mode, in binary mode, and several in a batch', async () => {
    const event = { specversion: '1.0', id: 'e', source: '/s', type: 't', data: { id: 's1', n: 1 } }
    const structured = await post('/signals', JSON.stringify(event), {
      'content-type': 'application/cloudevents+json; charset=utf-8',
    })
    expect(structured.status).toBe(202)
    expect((await stored(structured.positions![0]!)).key).toBe('{"id":"s1"}')
    const attributes = { 'ce-specversion': '1.0', 'ce-id': 'e', 'ce-type': 't%C3%A9', 'ce-source': '/s' }
    const binary = await post('/signals', JSON.stringify(event.data), attributes)
    expect(await stored(binary.positions![0]!)).toEqual({
      key: '{"id":"s1"}',
      value: '{"id":"s1","n":1}',
      headers: { ce_specversion: '1.0', ce_id: 'e', ce_type: 'té', ce_source: '/s' },
    })
    const vendor = await post('/signals', JSON.stringify(event.data), {
      ...attributes,
      'content-type': 'application/vnd.shop.signal+json; charset=utf-8',
    })
    expect((await stored(vendor.positions![0]!)).value).toBe('{"id":"s1","n":1}')
    const batch = await post('/signals', JSON.stringify([event, event]), {
      'content-type': 'application/cloudevents-batch+json',
    })
    expect(batch.positions).toHaveLength(2)
  })

  test('a null with a key deletes', async () => {
    const answer = await post(`/things?key=${encodeURIComponent('{"id":"a"}')}`, 'null')
    expect(answer.status).toBe(202)
    expect(await stored(answer.positions![0]!)).toEqual({ key: '{"id":"a"}', value: null, headers: {} })
  })
})

describe('what is refused, as problem+json', () => {
  const ok = '{"id":"a"}'
  const cases: [
    what: string,
    status: number,
    detail: RegExp,
    path: string,
    body: string | Buffer,
    headers?: Record<string, string>,
  ][] = [
    ['an unknown topic', 404, /Known topics: things, full, old, crm.public.rows, signals/, '/nothing', ok],
    ['a body that is not JSON', 400, /not valid JSON/, '/things', '{"id":'],
    ['a body that is not UTF-8', 400, /not UTF-8/, '/things', Buffer.from([0x22, 0xff, 0x22])],
    ['an empty body', 400, /not valid JSON/, '/things', ''],
    ['another media type', 415, /application\/json/, '/things', ok, { 'content-type': 'text/plain' }],
    [
      'a batch that is none',
      400,
      /JSON array/,
      '/signals',
      '{}',
      { 'content-type': 'application/cloudevents-batch+json' },
    ],
    ['a NUL in a text', 422, /Record 0 can't be read as Thing: Thing.id holds a NUL/, '/things', '{"id":"a\\u0000"}'],
    ['one bad record of several', 422, /Record 1 .*Thing.id is missing/, '/things', '[{"id":"never"},{"n":1}]'],
    ['a tombstone that deletes nothing', 422, /tombstone, which deletes nothing in old/, '/old?key={"id":"a"}', 'null'],
    ['a broken header', 400, /ce-type/, '/signals', ok, { 'ce-type': '%' }],
    ['a body beyond the limit', 413, /bytes/, '/things', ' '.repeat(1_100_000)],
  ]
  for (const [what, status, detail, path, body, headers] of cases) {
    test(what, async () => {
      const answer = await post(path, body, headers)
      expect(answer).toMatchObject({ status, media: 'application/problem+json', detail: expect.stringMatching(detail) })
    })
  }

  test('nothing of a refused array is stored', async () => {
    const [row] = await database.sql<{ n: number }[]>`
      select count(*)::int as n from forebay.journal where convert_from(value, 'UTF8') like '%never%'`
    expect(row!.n).toBe(0)
  })

  test('with Kafka as the log, writing is Kafka’s', async () => {
    expect(await post('/things', ok, {}, await listen('kafka'))).toMatchObject({ status: 409 })
  })

  test('whoever may not write: no token, a role that reads, keys that are away', async () => {
    const guarded = await listen('journal', { authenticate })
    const as = (authorization?: string) => post('/things', ok, authorization ? { authorization } : {}, guarded)
    expect(await as()).toMatchObject({
      status: 401,
      challenge: 'Bearer',
      detail: expect.stringContaining('--role OPERATOR'),
    })
    const unknown = { status: 401, challenge: 'Bearer', detail: 'The token cannot be verified.' }
    expect(await as('Bearer nobody')).toMatchObject(unknown)
    expect(await as('Bearer role-AGENT')).toMatchObject({ status: 403 })
    expect(await as('Bearer down')).toMatchObject({ status: 503 })
    for (const role of ['ADMIN', 'OPERATOR', 'SERVICE'])
      expect(await as(`Bearer role-${role}`)).toMatchObject({ status: 202 })
  })
})

describe('a caller that has to ask twice', () => {
  const count = async (id: string) => {
    const [row] = await database.sql<{ n: number }[]>`
      select count(*)::int as n from forebay.journal where convert_from(value, 'UTF8') like ${`%"${id}"%`}`
    return row!.n
  }
  test('one key, one body: the same positions, appended once, also where both ask at once', async () => {
    const send = () => post('/things', '[{"id":"once"},{"id":"once"}]', { 'idempotency-key': 'k1' })
    const answers = await Promise.all([send(), send(), send()])
    for (const answer of [...answers, await send()]) {
      expect(answer.status).toBe(202)
      expect(answer.positions).toEqual(answers[0].positions)
    }
    expect(answers.filter(({ replayed }) => replayed === 'true')).toHaveLength(2)
    expect(await count('once')).toBe(2)
  })

  test('one key, another body: refused, and nothing is appended', async () => {
    expect(await post('/things', '{"id":"first"}', { 'idempotency-key': 'k2' })).toMatchObject({ status: 202 })
    const other = await post('/things', '{"id":"second"}', { 'idempotency-key': 'k2' })
    expect(other).toMatchObject({ status: 422, media: 'application/problem+json', title: 'Key used before' })
    expect(await post('/things?key={"id":"first"}', '{"id":"first"}', { 'idempotency-key': 'k2' })).toMatchObject({
      status: 422,
    })
    expect(await count('second')).toBe(0)
  })

  test('the keys of two callers never meet, and a key is forgotten after a day', async () => {
    const at = await listen('journal', { authenticate })
    const as = (who: string) =>
      post('/things', `{"id":"${who}"}`, { 'idempotency-key': 'k3', authorization: `Bearer role-SERVICE:${who}` }, at)
    const [first, second] = [await as('one'), await as('two')]
    expect([first.status, second.status]).toEqual([202, 202])
    expect(second.positions).not.toEqual(first.positions)
    await database.sql`update forebay.idempotency set at = now() - interval '25 hours' where writer = 'one'`
    await forgetKeys(database.sql)
    expect((await as('one')).positions).not.toEqual(first.positions)
    expect((await as('two')).positions).toEqual(second.positions)
  })

  test('a key that is none is refused', async () => {
    expect(await post('/things', '{"id":"a"}', { 'idempotency-key': 'two words' })).toMatchObject({ status: 400 })
  })
})

test('who wrote a record, and in which trace, is in its headers, whatever the caller says', async () => {
  const at = await listen('journal', { authenticate })
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  const headers = { authorization: 'Bearer role-SERVICE:till-7', traceparent, 'forebay-writer': 'somebody' }
  const answer = await post('/things', '{"id":"a"}', headers, at)
  expect((await stored(answer.positions![0]!)).headers).toEqual({ 'forebay-writer': 'till-7', traceparent })
})

test('a topic too far ahead of what is applied takes no more: 429, and when to come again', async () => {
  const at = await listen('journal', { room: { records: 3, bytes: 1e9 } })
  expect(await post('/full', '[{"id":"1"},{"id":"2"},{"id":"3"}]', {}, at)).toMatchObject({ status: 202 })
  const until = async (status: number) => {
    for (;;) {
      const answer = await post('/full', '{"id":"4"}', {}, at)
      if (answer.status === status) return answer
    }
  }
  expect(await until(429)).toMatchObject({ retry: '2', title: 'Too far ahead', media: 'application/problem+json' })
  await database.sql`
    insert into forebay.positions (topic, partition, next_offset) select topic, partition, next_offset from forebay.journal_ends where topic = 'full'`
  await until(202)
  const bytes = await listen('journal', { room: { records: 1e9, bytes: 5 } })
  await post('/full', '{"id":"5"}', {}, bytes)
  await new Promise((done) => setTimeout(done, 300))
  expect(await post('/full', '{"id":"6"}', {}, bytes)).toMatchObject({
    status: 429,
    detail: expect.stringMatching('MiB'),
  })
})

test('what is read from a table is written there', async () => {
  expect(await post('/crm.public.rows', '{"id":"a"}')).toMatchObject({ status: 409 })
})
