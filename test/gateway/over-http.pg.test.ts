/** GraphQL over HTTP, as its reference implementation audits it: every MUST, SHOULD and MAY. */
import { auditServer } from 'graphql-http'
import { expect, test } from 'vitest'
import { desk } from './support/desk.ts'
import { readModel, startWorld } from './support/world.ts'

test('every audit of graphql-http passes', async () => {
  const world = await startWorld({ model: await readModel('test/graphql/schema'), rows: desk })
  const token = await world.token({ roles: ['AGENT'] })
  const fetchFn = (url: string, init: RequestInit = {}) => {
    const headers = new Headers(init.headers)
    headers.set('authorization', `Bearer ${token}`)
    return fetch(url, { ...init, headers })
  }
  const results = await auditServer({ url: `${world.url}/graphql`, fetchFn })
  await world.stop()
  expect(results.length).toBeGreaterThan(50)
  expect(results.filter(({ status }) => status !== 'ok').map(({ id, name }) => `${id} ${name}`)).toEqual([])
})
