/** A small router on node:http: limits, problems (RFC 9457), draining. Speed matters here, so there is no middleware. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseJson, readBody } from './http-body.ts'
import { crossOrigin, endSlowReaders, type Patience, usualPatience } from './http-connections.ts'
import { type Express, expressWay, observe, requestIdOf } from './http-express.ts'
import { HttpError, problem, refuseSocket } from './http-problem.ts'
import { log } from './log.ts'
import { gauge } from './metrics.ts'
import { matcher, type Params } from './route-match.ts'
import { acceptUpgrades, type Upgrade } from './upgrade.ts'

export type RequestContext = {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** The path as asked for, without the query. */
  readonly path: string
  readonly params: Params
  /** The caller's X-Request-Id where it is a plain one, else a new one; already on the response. */
  readonly requestId: string
  /** Aborted when the caller goes away before the answer is out. */
  readonly gone: AbortSignal
  query(): URLSearchParams
  /** The whole body, once, unpacked. Throws HttpError as `readBody` does; `limit`: 1 MiB. */
  body(limit?: number): Promise<Buffer>
  /** The body as JSON. Throws HttpError 400 where it isn't UTF-8 or JSON, else as `body`. */
  json(limit?: number): Promise<unknown>
}
export type Route = {
  /** `*`: any. A GET route answers HEAD too. */
  readonly method: string | readonly string[]
  /** `/a/b`, `/ingest/:topic` (one segment, decoded), or `/authz/*` (the prefix and everything below it). */
  readonly path: string
  /** Answers. An HttpError thrown becomes its problem; anything else a 500 that says only the request's id. */
  handle(context: RequestContext): Promise<void>
  /** What it has ready; only for a path that is exact. */
  readonly express?: Express
}
export type ServeOptions = {
  /** 0: any free port. */
  readonly port: number
  /** Loopback unless told. */
  readonly host?: string
  readonly routes: readonly Route[]
  /** How long `close` waits for answers under way: 3 s. */
  readonly drainMs?: number
  /** Origins whose pages may ask from a browser, as `https://host`; `*`: any. None unless told: tokens travel in a header, never in a cookie. */
  readonly origins?: readonly string[]
  /** What goes on by another protocol. */
  readonly upgrades?: readonly Upgrade[]
  /** For tests: how long a caller may take to read what is out. */
  readonly patience?: Patience
}
export type Listening = {
  readonly port: number
  /** From now on each answer ends its connection, so that callers go elsewhere; new ones are still taken. */
  leave(): void
  close(): Promise<void>
}

const mebibyte = 1_048_576
/** More would only wait; each takes some 20 KB. */
const maxConnections = 20_000
const open = gauge({ name: 'forebay_http_requests_open', help: 'Requests being answered.' })

/** Listens. Throws when the port is taken. `close` stops listening, lets answers under way finish, then cuts what is left. */
export const serve = async ({
  port,
  host = '127.0.0.1',
  routes,
  drainMs = 3_000,
  origins = [],
  upgrades = [],
  patience = usualPatience,
}: ServeOptions): Promise<Listening> => {
  const match = matcher(routes)
  const allowOrigin = origins.length > 0 ? crossOrigin(origins) : undefined
  let draining = false
  const answer = async (request: IncomingMessage, response: ServerResponse, body?: Buffer): Promise<void> => {
    const began = performance.now()
    const context = contextOf(request, response, body)
    if (draining) response.setHeader('Connection', 'close')
    if (allowOrigin?.(request, response)) return
    const found = match(request.method ?? 'GET', context.path)
    const label = found.kind === 'route' ? found.route.path : 'none'
    open.inc()
    response.once('close', () => {
      open.dec()
      // A method is the caller's free text; only those that a route answers become labels.
      const method = found.kind === 'route' ? (request.method ?? '') : 'other'
      observe(label, method, response.statusCode, performance.now() - began)
    })
    try {
      if (found.kind === 'route') await found.route.handle(Object.assign(context, { params: found.params }))
      else if (found.kind === 'method') {
        response.setHeader('Allow', found.allow.join(', '))
        problem(response, 405, {
          title: 'Method not allowed',
          detail: `${context.path.slice(0, 200)} answers ${found.allow.join(', ')}.`,
        })
      } else if (found.kind === 'malformed')
        problem(response, 400, { title: 'Malformed path', detail: 'A percent-encoding in the path is broken.' })
      else problem(response, 404, { title: 'Not found', detail: `There is nothing at ${context.path.slice(0, 200)}.` })
    } catch (error) {
      fail(error, context, label)
    }
  }
  const server = createServer({
    headersTimeout: 10_000,
    requestTimeout: 30_000,
    keepAliveTimeout: 65_000,
    connectionsCheckingInterval: 1_000,
  })
  server.maxConnections = maxConnections
  const stopLooking = endSlowReaders(server, patience)
  const usual = (request: IncomingMessage, response: ServerResponse, body?: Buffer) =>
    void answer(request, response, body)
  const express = expressWay(routes, usual)
  server.on('request', (request, response) => {
    if (draining || (allowOrigin && request.headers.origin !== undefined)) usual(request, response)
    else express(request, response)
  })
  acceptUpgrades(server, upgrades, origins)
  server.on('clientError', refuseSocket)
  await listen(server, port, host)
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => {
    draining = true
    closing ??= drain(server, drainMs).finally(stopLooking)
    return closing
  }
  const leave = (): void => {
    draining = true
    server.closeIdleConnections()
  }
  return { port: (server.address() as AddressInfo).port, leave, close }
}

const contextOf = (
  request: IncomingMessage,
  response: ServerResponse,
  given: Buffer | undefined,
): Omit<RequestContext, 'params'> => {
  const target = request.url ?? '/'
  // Proxies may send the absolute form.
  const relative = target.startsWith('/') ? target : target.replace(/^https?:\/\/[^/?]*/i, '') || '/'
  const mark = relative.indexOf('?')
  const requestId = requestIdOf(request)
  response.setHeader('X-Request-Id', requestId)
  const body = async (limit = mebibyte) => given ?? (await readBody(request, limit))
  let gone: AbortSignal | undefined
  return {
    request,
    response,
    path: mark < 0 ? relative : relative.slice(0, mark),
    requestId,
    // Made for whoever looks: most never do.
    get gone() {
      gone ??= goneOf(response)
      return gone
    },
    query: () => new URLSearchParams(mark < 0 ? '' : relative.slice(mark + 1)),
    body,
    json: async (limit) => parseJson(await body(limit)),
  }
}

const goneOf = (response: ServerResponse): AbortSignal => {
  const abort = new AbortController()
  if (response.destroyed) abort.abort()
  else
    response.once('close', () => {
      if (!response.writableFinished) abort.abort()
    })
  return abort.signal
}

const fail = (
  error: unknown,
  { request, response, requestId }: Omit<RequestContext, 'params'>,
  route: string,
): void => {
  if (request.destroyed && !request.complete) return
  const expected = error instanceof HttpError
  if (!expected) log.error('request failed', { route, requestId, error })
  if (response.headersSent) response.destroy()
  else if (expected) problem(response, error.status, error.problem, error.headers)
  else
    problem(response, 500, {
      title: 'Internal error',
      detail: `Something went wrong here; it is logged under request id ${requestId}.`,
    })
}

/** Ends the response with JSON. */
export const json = (response: ServerResponse, status: number, value: unknown): void => {
  const text = JSON.stringify(value)
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-store',
  })
  response.end(text)
}

// ── connections ─────────────────────────────────────────────────────────────────────────────────────────────────────
const listen = (server: Server, port: number, host: string): Promise<void> =>
  new Promise((done, fail) => {
    const complain = (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'another program has it; set PORT to a free one' : error.message
      fail(new Error(`Port ${port} on ${host} can't be opened: ${why}`, { cause: error }))
    }
    server.once('error', complain)
    server.listen(port, host, () => {
      server.off('error', complain)
      done()
    })
  })

const drain = async (server: Server, drainMs: number): Promise<void> => {
  const closed = new Promise<void>((done) => server.close(() => done()))
  server.closeIdleConnections()
  const cut = setTimeout(() => server.closeAllConnections(), drainMs)
  await closed
  clearTimeout(cut)
}
