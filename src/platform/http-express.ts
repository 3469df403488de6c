/**
 * The way past routing for what is answered at once: a route may have an answer ready, by the request's head and a short body alone. Such an answer
 * is written with its head in one piece, and costs little more than node:http itself; all else goes the usual way, with the body that was read.
 */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { histogram } from './metrics.ts'

/** An answer with status 200. */
export type Ready = {
  /** Names and values in turn, without Content-Length. */
  readonly headers: readonly string[]
  /** A byte a character. */
  readonly bytes: string
}
/** Undefined: it goes the usual way. `body`: of a POST. */
export type Express = (request: IncomingMessage, body: Buffer | undefined) => Ready | undefined
type Expressed = { readonly path: string; readonly express?: Express }

/** Longer bodies go the usual way. */
const mostBytes = 8_192

const seconds = histogram({
  name: 'forebay_http_request_seconds',
  help: 'Time to answer, by route.',
  labels: ['route', 'method', 'status'],
})

/** By route, method and status, of which there are few: finding a series by its labels costs more than counting. */
const series = new Map<string, ReturnType<typeof seconds.labels>>()
export const observe = (route: string, method: string, status: number, ms: number): void => {
  const name = `${route} ${method} ${status}`
  let one = series.get(name)
  if (!one) {
    one = seconds.labels(route, method, String(status))
    series.set(name, one)
  }
  one.observe(ms / 1_000)
}

/** The caller's X-Request-Id where it is a plain one, else a new one. */
export const requestIdOf = ({ headers }: IncomingMessage): string => {
  const given = headers['x-request-id']
  return typeof given === 'string' && /^[\w.:-]{1,64}$/.test(given) ? given : randomUUID()
}

/** `usual`: answers what isn't ready. */
export const expressWay = (
  routes: readonly Expressed[],
  usual: (request: IncomingMessage, response: ServerResponse, body?: Buffer) => void,
): ((request: IncomingMessage, response: ServerResponse) => void) => {
  const ways = new Map(
    routes.flatMap(({ path, express }) => (express === undefined ? [] : [[path, { path, express }]])),
  )
  return (request, response) => {
    const { method, url = '' } = request
    const isGet = method === 'GET'
    const mark = isGet ? url.indexOf('?') : -1
    const way = isGet || method === 'POST' ? ways.get(mark < 0 ? url : url.slice(0, mark)) : undefined
    if (way === undefined || !(isGet || hasShortBody(request))) {
      usual(request, response)
      return
    }
    const began = performance.now()
    const answer = (body: Buffer | undefined): void => {
      const ready = way.express(request, body)
      if (ready === undefined) {
        usual(request, response, body)
        return
      }
      const { headers, bytes } = ready
      const id = requestIdOf(request)
      response.writeHead(200, ['X-Request-Id', id, ...headers, 'Content-Length', String(bytes.length)])
      response.end(bytes, 'latin1')
      observe(way.path, isGet ? 'GET' : 'POST', 200, performance.now() - began)
    }
    if (isGet) {
      answer(undefined)
      return
    }
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => answer(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)))
  }
}

/** As it is, and of a length that is known. */
const hasShortBody = ({ headers }: IncomingMessage): boolean =>
  Number(headers['content-length'] ?? Number.NaN) <= mostBytes && headers['content-encoding'] === undefined
