/** What Apollo Server answered once is answered again without it: nobody may see a difference. */
import { readdir, readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { ApolloServer } from '@apollo/server'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { desk } from './support/desk.ts'
import { type Asker, readModel, startWorld, type World } from './support/world.ts'

const folder = 'test/graphql'
const names = (await readdir(folder)).filter((name) => name.endsWith('.test.graphql')).sort()
const apollo = vi.spyOn(ApolloServer.prototype, 'executeHTTPGraphQLRequest')

let world: World
beforeAll(async () => {
  world = await startWorld({ model: await readModel(`${folder}/schema`), rows: desk })
})
afterAll(() => world.stop())

/** Status, headers in their order, and text, but for moments and the request's own id. */
const ask = async (body: object, asker: Asker, accept?: string): Promise<string> => {
  const headers = {
    'content-type': 'application/json',
    authorization: `Bearer ${await world.token(asker)}`,
    ...(accept === undefined ? {} : { accept }),
  }
  const answer = await new Promise<string>((resolve, reject) => {
    const sent = request(`${world.url}/graphql`, { method: 'POST', headers }, (response) => {
      let text = `${response.statusCode} ${response.rawHeaders.join('\n')}\n`
      response.setEncoding('utf8')
      response.on('data', (piece: string) => {
        text += piece
      })
      response.on('end', () => resolve(text))
    })
    sent.on('error', reject)
    sent.end(JSON.stringify(body))
  })
  return answer
    .replace(/"(asOf|lagMs)":("[^"]*"|-?\d+)/g, '"$1":"…"')
    .replace(/(Content-Length|Date|X-Request-Id|forebay-as-of|forebay-position)\n.*/gi, '$1\n…')
    .replace(/"position":"[^"]*"/, '"position":"…"')
}
const twice = async (body: object, asker: Asker, accept?: string) => {
  const one = async () => {
    world.statements()
    apollo.mockClear()
    const answer = await ask(body, asker, accept)
    return { answer, statements: world.statements(), short: apollo.mock.calls.length === 0 }
  }
  // The first request of all teaches how an Accept is read.
  await ask({ query: '{ __typename }' }, asker, accept)
  return [await one(), await one()] as const
}
const header = (text: string, name: string): unknown =>
  JSON.parse(new RegExp(`^# ${name}: (.*)$`, 'm').exec(text)?.[1] ?? 'null')

test.each(names)('%s is answered the same the second time, by the same statements', async (name) => {
  const query = await readFile(`${folder}/${name}`, 'utf8')
  const [first, second] = await twice({ query, variables: header(query, 'variables') }, header(query, 'asker') as Asker)
  expect(second.answer).toBe(first.answer)
  expect(second.statements).toEqual(first.statements)
  expect(first.short).toBe(false)
  expect(second.short).toBe(!first.answer.includes('"errors"'))
})

const agent = { roles: ['AGENT'] }
const query = `query One($id: ID!, $email: Boolean!) { customerCard(id: $id) { ...Card email @include(if: $email) } }
  query Two { twice: customerCard(id: "bob") { id @skip(if: true) _id } customerCard(id: "nobody") { id } }
  fragment Card on CustomerCard { key: id id ... on Node { _id } ... { __typename } }`
test.each([
  ['another operation of the document', { query, operationName: 'Two' }, true],
  ['other variables', { query, operationName: 'One', variables: { id: 'bob', email: true } }, true],
  ['an empty extension', { query, operationName: 'Two', extensions: {} }, true],
  ['no operation name', { query }, false],
  ['an operation that is not there', { query, operationName: 'Three' }, false],
  ['a variable too few', { query, operationName: 'One', variables: { id: 'bob' } }, false],
  ['a variable of another type', { query, operationName: 'One', variables: { id: {}, email: 'yes' } }, false],
  ['variables that are a list', { query, operationName: 'Two', variables: [] }, false],
  ['an operation name that is a number', { query, operationName: 2 }, false],
  ['a persisted query', { query, operationName: 'Two', extensions: { persistedQuery: { version: 1 } } }, false],
])('%s of a known document is answered as by Apollo Server', async (_, body, short) => {
  await ask({ query, operationName: 'One', variables: { id: 'ada', email: false } }, agent)
  const [, second] = await twice(body, agent)
  const commented = { ...body, query: `${query} # ${Math.random()}` }
  expect(second.short).toBe(short)
  expect(second.answer).toBe(await ask(commented, agent))
})

test.each([
  ['*/*', true],
  ['application/json', true],
  ['application/graphql-response+json, application/json;q=0.9', true],
  ['text/html', false],
])('Accept: %s is read as Apollo Server reads it', async (accept, short) => {
  const body = { query: '{ customerCard(id: "ada") { id fullName } }' }
  const [first, second] = await twice(body, agent, accept)
  expect(second.answer).toBe(first.answer)
  expect(second.short).toBe(short)
})

test('a document that one role may ask is refused to another all the same', async () => {
  const body = { query: '{ customerCard(id: "ada") { email } }' }
  await twice(body, agent)
  const [first, second] = await twice(body, { roles: [] })
  expect(first.answer).toContain('FORBIDDEN')
  expect(second.answer).toBe(first.answer)
})
