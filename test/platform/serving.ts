/** Servers that end with the test that started them, and routes to ask. */
import { afterEach, expect } from 'vitest'
import { json, type Listening, type Route, type ServeOptions, serve } from '../../src/platform/http.ts'

const open: Listening[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()))
})
/** A server that ends with the test. */
export const serving = async (options: ServeOptions): Promise<Listening> => {
  const server = await serve(options)
  open.push(server)
  return server
}
export const start = async (routes: readonly Route[], drainMs?: number): Promise<Listening & { url: string }> => {
  const server = await serving({ port: 0, routes, ...(drainMs === undefined ? {} : { drainMs }) })
  return { ...server, url: `http://127.0.0.1:${server.port}` }
}
export const problemOf = async (response: Response) => {
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  const body = (await response.json()) as Record<string, unknown>
  expect(body.status).toBe(response.status)
  expect(JSON.stringify(body)).not.toMatch(/\bat \S+:\d+|node_modules|src\//)
  return body
}
export const echo: Route = {
  method: 'POST',
  path: '/echo',
  handle: async (context) => json(context.response, 200, await context.json()),
}
export const hello = (path: string, method: string | readonly string[] = 'GET'): Route => ({
  method,
  path,
  handle: async ({ response, params, query }) =>
    json(response, 200, { path, params, query: Object.fromEntries(query()) }),
})
