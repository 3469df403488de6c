/**
 * A stand-in for a schema registry, over its REST API, since none can be had from a package registry: real HTTP, TLS and credentials, and
 * faults on demand.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'

type Reference = { readonly name: string; readonly subject: string; readonly version: number }
type Entry = {
  readonly id: number
  readonly guid: string
  readonly subject: string
  readonly version: number
  readonly schema: string
  readonly schemaType: string
  readonly references: readonly Reference[]
}
/** A status to answer everything with; `silent`: takes requests and answers none; `page`: 404s as a proxy would. */
export type RegistryFault = number | 'silent' | 'page' | undefined

const tls = (name: string): string => readFileSync(new URL(`../samples/tls/${name}.pem`, import.meta.url), 'utf8')
export const registryCertificate = new URL('../samples/tls/cert.pem', import.meta.url).pathname

export type Registry = Awaited<ReturnType<typeof startRegistry>>

export const startRegistry = async ({
  secure = false,
  authorization,
}: {
  readonly secure?: boolean
  /** The header that it asks for. */
  readonly authorization?: string
} = {}) => {
  const entries: Entry[] = []
  const requests: string[] = []
  let fault: RegistryFault
  let port = 0

  const answer = (path: string): readonly [number, unknown] => {
    const by = (test: (entry: Entry) => boolean, code: number): readonly [number, unknown] => {
      const found = entries.findLast(test)
      if (!found) return [404, { error_code: code, message: 'not found' }]
      const { schemaType, ...rest } = found
      // A registry leaves AVRO unsaid.
      return [200, schemaType === 'AVRO' ? rest : { ...rest, schemaType }]
    }
    const [, first, second, third, fourth] = path.split('/').map(decodeURIComponent)
    if (first === 'schemas' && second === 'ids') return by(({ id }) => String(id) === third, 40403)
    if (first === 'schemas' && second === 'guids') return by(({ guid }) => guid === third, 40403)
    if (first === 'subjects' && second === undefined) return [200, [...new Set(entries.map(({ subject }) => subject))]]
    if (first === 'subjects' && third === 'versions')
      return by(
        ({ subject, version }) => subject === second && (fourth === 'latest' || String(version) === fourth),
        40401,
      )
    return [404, { error_code: 404, message: 'HTTP 404 Not Found' }]
  }
  const handle = (request: http.IncomingMessage, response: http.ServerResponse): void => {
    requests.push(request.url ?? '')
    if (fault === 'silent') return
    if (fault === 'page') return void response.writeHead(404, { 'content-type': 'text/html' }).end('<h1>Not Found</h1>')
    const denied = authorization !== undefined && request.headers.authorization !== authorization
    const [status, body] = denied ? [401, { error_code: 401 }] : fault ? [fault, {}] : answer(request.url ?? '')
    response.writeHead(status, { 'content-type': 'application/vnd.schemaregistry.v1+json' }).end(JSON.stringify(body))
  }
  let server: http.Server
  const start = async (): Promise<void> => {
    server = secure ? https.createServer({ key: tls('key'), cert: tls('cert') }, handle) : http.createServer(handle)
    await new Promise<void>((done) => server.listen(port, '127.0.0.1', done))
    port = (server.address() as AddressInfo).port
  }
  const stop = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise<void>((done) => server.close(() => done()))
  }
  await start()
  return {
    url: `${secure ? 'https' : 'http'}://127.0.0.1:${port}`,
    /** Paths asked for, in order. */
    requests,
    /** Under the next number, or the given one. */
    register(
      subject: string,
      schema: unknown,
      { type = 'AVRO', id = entries.length + 1, references = [] as readonly Reference[] } = {},
    ): Entry {
      const guid = createHash('sha256').update(`${id}`).digest('hex').slice(0, 32)
      const entry = {
        id,
        guid: guid.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5'),
        subject,
        version: entries.filter((entry) => entry.subject === subject).length + 1,
        schema: JSON.stringify(schema),
        schemaType: type,
        references,
      }
      entries.push(entry)
      return entry
    },
    fail(with_: RegistryFault) {
      fault = with_
    },
    /** It is away until it is started again, on the same port. */
    stop,
    start,
  }
}
