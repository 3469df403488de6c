/** What callers should not do, and what they get: one of the codes, no stack, no SQL, and the process goes on. */
import { buildClientSchema, getIntrospectionQuery } from 'graphql'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { desk } from './support/desk.ts'
import { readModel, startWorld, type World } from './support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld({ model: await readModel('test/graphql/schema'), rows: desk })
})
afterAll(() => world.stop())
const agent = { roles: ['AGENT'] }
const many = (count: number, make: (i: number) => string) => Array.from({ length: count }, (_, i) => make(i)).join(' ')

type Case = [name: string, query: string, code: string, variables?: Record<string, unknown>]
const cases: readonly Case[] = [
  ['more tokens than allowed', `{ customerCard(id: "ada") { ${many(1_300, () => 'id')} } }`, 'TOO_COSTLY'],
  [
    'a list literal 3,000 deep',
    `{ customerCards(where: ${'['.repeat(3_000)}${']'.repeat(3_000)}) { totalCount } }`,
    'TOO_COSTLY',
  ],
  ['an alias flood', `{ ${many(60, (i) => `a${i}: customerCard(id: "x${i}") { id }`)} }`, 'TOO_COSTLY'],
  ['too many fields at the top', `{ ${many(21, () => 'customerCard(id: "ada") { id }')} }`, 'TOO_COSTLY'],
  [
    'pages that add up to too much',
    `{ ${many(11, (i) => `a${i}: customerCards(first: 100) { totalCount }`)} }`,
    'TOO_COSTLY',
  ],
  [
    'fragments that double at each level',
    `{ customerCard(id: "ada") { ...f0 } } ${many(60, (i) => `fragment f${i} on CustomerCard { ${i < 59 ? `...f${i + 1} ...f${i + 1}` : 'id'} }`)}`,
    'TOO_COSTLY',
  ],
  [
    'a fragment that spreads itself',
    '{ customerCard(id: "a") { ...f } } fragment f on CustomerCard { ...f }',
    'BAD_USER_INPUT',
  ],
  ['a page larger than allowed', '{ customerCards(first: 101) { totalCount nodes { id } } }', 'BAD_USER_INPUT'],
  ['a negative page', '{ customerCards(first: -1) { nodes { id } } }', 'BAD_USER_INPUT'],
  ['both ways at once', '{ customerCards(first: 1, last: 1) { nodes { id } } }', 'BAD_USER_INPUT'],
  [
    'more conditions than allowed',
    'query ($w: CustomerCardWhere) { customerCards(where: $w) { nodes { id } } }',
    'TOO_COSTLY',
    { w: { or: Array.from({ length: 60 }, () => ({ tier: { eq: 'GOLD' } })) } },
  ],
  [
    'variables nested without end',
    'query ($w: CustomerCardWhere) { customerCards(where: $w) { nodes { id } } }',
    'TOO_COSTLY',
    { w: Array.from({ length: 40 }).reduce<object>((inner) => ({ not: inner }), {}) },
  ],
  [
    'a list with null in it',
    '{ customerCards(where: { region: { in: ["a", null] } }) { nodes { id } } }',
    'BAD_USER_INPUT',
  ],
  ['a comparison with null', '{ customerCards(where: { region: { lt: null } }) { nodes { id } } }', 'BAD_USER_INPUT'],
  [
    'an instant that is none',
    '{ customerCards(where: { createdAt: { lt: "yesterday" } }) { nodes { id } } }',
    'BAD_USER_INPUT',
  ],
  [
    'a number past 64 bits',
    '{ customerCards(where: { points: { lt: 9223372036854775808 } }) { nodes { id } } }',
    'BAD_USER_INPUT',
  ],
  [
    'the same in a variable',
    'query ($p: Long) { customerCards(where: { points: { lt: $p } }) { nodes { id } } }',
    'BAD_USER_INPUT',
    { p: '9223372036854775808' },
  ],
  ['SQL in a value', `{ customerCard(id: "'; drop table x; --") { id } }`, 'accepted'],
  ['a NUL in a variable', 'query ($id: ID) { customerCard(id: $id) { id } }', 'BAD_USER_INPUT', { id: 'a\0' }],
  ['a lone surrogate', 'query ($id: ID) { customerCard(id: $id) { id } }', 'accepted', { id: '\ud800' }],
  ['a backslash and a brace', 'query ($id: ID) { customerCard(id: $id) { id } }', 'accepted', { id: '\\"{},null' }],
  ['no operation', 'fragment f on CustomerCard { id }', 'BAD_USER_INPUT'],
  [
    'two operations and no name',
    'query a { node(id: "x") { _id } } query b { node(id: "x") { _id } }',
    'BAD_USER_INPUT',
  ],
  ['no GraphQL', 'select * from users', 'BAD_USER_INPUT'],
  ['a mutation', 'mutation { drop }', 'BAD_USER_INPUT'],
]
describe('a hostile query gets a clear refusal', () => {
  test.each(cases)('%s', async (...[, query, code, variables = {}]: Case) => {
    const begun = performance.now()
    const { body, text } = await world.ask(query, agent, variables)
    expect(body.errors?.[0]?.extensions.code ?? 'accepted').toBe(code)
    expect(text).not.toMatch(/stack|node_modules|\.ts:|select |forebay_view|"_tenant"/i)
    expect(performance.now() - begun).toBeLessThan(2_000)
  })
})

test('no message names what the role may not see', async () => {
  const { text } = await world.ask(
    '{ customerCard(id: "ada") { spen } customerCards(where: { spen: {eq: 1} }) { nodes { emial } } }',
    { roles: ['AGENT'] },
  )
  expect(text).not.toMatch(/spent|did you mean/i)
  const { text: coerced } = await world.ask(
    'query ($w: CustomerCardWhere) { customerCards(where: $w) { nodes { id } } }',
    agent,
    { w: { spen: 1 } },
  )
  expect(coerced).not.toMatch(/spent|did you mean/i)
})

test('the standard introspection query passes and yields a schema, for whoever has a token', async () => {
  for (const roles of [['AGENT'], ['OPERATOR'], []]) {
    const { body } = await world.ask(getIntrospectionQuery(), { roles })
    expect(body.errors).toBeUndefined()
    expect(buildClientSchema(body.data).getQueryType()?.getFields().customerCard !== undefined).toBe(
      roles.includes('AGENT'),
    )
  }
})

const post = async (body: string | Uint8Array, headers: Record<string, string> = {}) => {
  const response = await fetch(`${world.url}/graphql`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${await world.token(agent)}`, ...headers },
    body: body as string,
  })
  return { status: response.status, type: response.headers.get('content-type') ?? '', text: await response.text() }
}
describe('a body that is no request', () => {
  const bodies: readonly (readonly [string, string | Uint8Array, Record<string, string>, number])[] = [
    ['malformed JSON', '{"query": ', {}, 400],
    ['no UTF-8', Uint8Array.from([0x7b, 0xff, 0x7d]), {}, 400],
    ['nothing', '', {}, 400],
    ['an empty object', '{}', {}, 400],
    ['a number', '42', {}, 400],
    ['a batch', '[{"query":"{ __typename }"}]', {}, 400],
    ['variables that are no object', '{"query":"{ __typename }","variables":[1]}', {}, 400],
    ['too large', JSON.stringify({ query: `{ a }${' '.repeat(300_000)}` }), {}, 413],
    ['another media type', 'query=%7B__typename%7D', { 'Content-Type': 'application/x-www-form-urlencoded' }, 415],
    ['text, as a form could send it', '{"query":"{ __typename }"}', { 'Content-Type': 'text/plain' }, 415],
  ]
  test.each(bodies)('%s', async (_, body, headers, status) => {
    const answer = await post(body, headers)
    expect(answer.status).toBe(status)
    expect(answer.type).toMatch(/json/)
    expect(answer.text).not.toMatch(/stack|node_modules|\.ts:/)
  })
})

test('without a token nothing is answered, also to introspection', async () => {
  for (const query of ['{ __typename }', getIntrospectionQuery(), '{ customerCard(id: "ada") { id } }']) {
    const response = await fetch(`${world.url}/graphql`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ query }),
    })
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toBe('Bearer')
    expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] })
  }
})

test('GET answers queries, in either media type, and says the request id', async () => {
  const headers = { Authorization: `Bearer ${await world.token(agent)}`, 'X-Request-Id': 'abc-1' }
  const query = encodeURIComponent('{ customerCard(id: "ada") { id } }')
  for (const accept of ['application/json', 'application/graphql-response+json']) {
    const response = await fetch(`${world.url}/graphql?query=${query}`, { headers: { ...headers, Accept: accept } })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toContain(accept)
    expect(response.headers.get('x-request-id')).toBe('abc-1')
    expect(response.headers.get('forebay-state')).toBe('FRESH')
    expect(response.headers.get('forebay-as-of')).toMatch(/Z$/)
    expect(response.headers.get('forebay-position')).toContain('.')
    expect(await response.json()).toMatchObject({ data: { customerCard: { id: 'ada' } } })
  }
})

test('asking for freshness in words that mean nothing is refused by the header’s name, whatever is asked of it', async () => {
  for (const name of [
    'Forebay-Max-Staleness',
    'Forebay-After',
    'Forebay-Consistency',
    'Forebay-On-Stale',
    'Forebay-Wait',
  ]) {
    const { status, text } = await post('{"query":"{ __typename }"}', { [name]: '1' })
    expect(status).toBe(400)
    expect(text).toContain(`The header ${name} is \\"1\\"`)
  }
})

test('an operator sees how the engine is', async () => {
  const { body } = await world.ask(
    '{ forebay { views { name state asOf lagMs maxLagMs pending registered rowsEstimate topics hash } sources { topic partitions { partition nextOffset frontier state } } quarantine { topic count oldest } } }',
    { roles: ['OPERATOR'] },
  )
  expect(body.errors).toBeUndefined()
  expect(body.data.forebay.views).toHaveLength(5)
  expect(body.data.forebay.sources[0].partitions[0]).toMatchObject({ nextOffset: '42', state: 'IDLE' })
})
