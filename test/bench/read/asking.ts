/** What is asked of whom: whole requests, as the load sends them. */
import { Agent, request } from 'node:http'
import type { Job } from './client.ts'
import type { Server } from './servers.ts'

export type Request = Job['requests'][number]
export type Headers = Readonly<Record<string, string>>

const fields =
  'id email fullName tier note orderCount spent lastOrderAt recentOrders { id status total placedAt paymentStatus carrier }'
/** JSON has no fields for PostGraphile: all of the column comes. And `id` is another thing there. */
const flatFields = 'id: rowId email fullName tier note orderCount spent lastOrderAt recentOrders'

export const post = (path: string, body: unknown, headers: Headers, expect: string): Request => {
  const text = JSON.stringify(body)
  const all = {
    Host: 'localhost',
    'Content-Type': 'application/json',
    ...headers,
    'Content-Length': String(Buffer.byteLength(text)),
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return { text: `POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n${text}`, expect }
}

const holds = (id: string): string => `"id":"${id}"`
export const byKey = (ids: readonly string[], headers: Headers): readonly Request[] => {
  const query = `query($id: ID!) { customerOverview(id: $id) { ${fields} } }`
  return ids.map((id) => post('/graphql', { query, variables: { id } }, headers, holds(id)))
}
export const byKeyOfPostGraphile = (ids: readonly string[]): readonly Request[] => {
  const query = `query($id: String!) { customerOverviewByRowId(rowId: $id) { ${flatFields} } }`
  return ids.map((id) => post('/graphql', { query, variables: { id } }, {}, holds(id)))
}
export const byKeyOfLimit = (ids: readonly string[]): readonly Request[] =>
  ids.map((id) => post('/', { id }, {}, holds(id)))

export const pageSize = 50
/** `after`: keys; `cursors`: what stands for them here. `expect`: the first row of each page. */
export const pages = (cursors: readonly string[], firsts: readonly string[], headers: Headers): readonly Request[] => {
  const query = `query($after: String) { customerOverviews(first: ${pageSize}, after: $after) { nodes { ${fields} } } }`
  return cursors.map((after, i) => post('/graphql', { query, variables: { after } }, headers, holds(firsts[i]!)))
}
export const pagesOfMercurius = (after: readonly string[], firsts: readonly string[]): readonly Request[] => {
  const query = `query($after: ID) { customerOverviews(first: ${pageSize}, after: $after) { ${fields} } }`
  return after.map((key, i) => post('/graphql', { query, variables: { after: key } }, {}, holds(firsts[i]!)))
}

/** Walks all of the view: the last key and cursor of each page, and the first key of the next. */
export const walk = async (server: Server, headers: Headers) => {
  const query = `query($after: String) { customerOverviews(first: ${pageSize}, after: $after) { edges { cursor node { id } } pageInfo { hasNextPage } } }`
  const found: { readonly key: string; readonly cursor: string; first: string }[] = []
  for (let after: string | null = null; ; ) {
    const { data } = await ask(server, { query, variables: { after } }, headers)
    const { edges, pageInfo } = data.customerOverviews
    const last = found.at(-1)
    if (last) last.first = edges[0].node.id
    // The last page is a short one.
    if (!pageInfo.hasNextPage) return found
    const { cursor, node } = edges.at(-1)
    found.push({ key: node.id, cursor, first: '' })
    after = cursor
  }
}

const agent = new Agent({ keepAlive: true })
// biome-ignore lint/suspicious/noExplicitAny: an answer's shape is the bench's own knowledge
const ask = ({ port }: Server, body: unknown, headers: Headers): Promise<any> =>
  new Promise((done, fail) => {
    const sent = request(
      {
        port,
        host: '127.0.0.1',
        path: '/graphql',
        method: 'POST',
        agent,
        headers: { 'Content-Type': 'application/json', ...headers },
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString()
          if (response.statusCode === 200 && !text.includes('"errors"')) done(JSON.parse(text))
          else fail(new Error(`${response.statusCode} ${text.slice(0, 500)}`))
        })
      },
    )
    sent.on('error', fail)
    sent.end(JSON.stringify(body))
  })
