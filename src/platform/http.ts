/** A small router on node:http: limits, problems (RFC 9457), draining. Speed matters here, so there is no middleware. */
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { log } from './log.ts'
import { gauge, histogram } from './metrics.ts'
import { matcher, type Params } from './route-match.ts'

export type RequestContext = {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** The path as asked for, without the query. */
  readonly path: string
  readonly params: Params
  /** The caller's X-Request-Id where it is a plain one, else a new one; already on the response. */
  readonly requestId: string
  query(): URLSearchParams
  /** The whole body, once. Throws HttpError 413 beyond `limit` bytes (1 MiB), 415 for an encoded one. */
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
}
export type ServeOptions = {
  /** 0: any free port. */
  readonly port: number
  /** Loopback unless told. */
  readonly host?: string
  readonly routes: readonly Route[]
  /** How long `close` waits for answers under way: 3 s. */
  readonly drainMs?: number
}
export type Listening = { readonly port: number; close(): Promise<void> }

const mebibyte = 1_048_576
const seconds = histogram({
  name: 'forebay_http_request_seconds',
  help: 'Time to answer, by route.',
  labels: ['route', 'method', 'status'],
})
const open = gauge({ name: 'forebay_http_requests_open', help: 'Requests being answered.' })

/** Listens. Throws when the port is taken. `close` stops listening, lets answers under way finish, then cuts what is left. */
export const serve = async ({
  port,
  host = '127.0.0.1',
  routes,
  drainMs = 3_000,
}: ServeOptions): Promise<Listening> => {
  const match = matcher(routes)
  let draining = false
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const began = performance.now()
    const context = contextOf(request, response)
    if (draining) response.setHeader('Connection', 'close')
    const found = match(request.method ?? 'GET', context.path)
    const label = found.kind === 'route' ? found.route.path : 'none'
    open.inc()
    response.once('close', () => {
      open.dec()
      // A method is the caller's free text; only those that a route answers become labels.
      const method = found.kind === 'route' ? (request.method ?? '') : 'other'
      seconds.labels(label, method, String(response.statusCode)).observe((performance.now() - began) / 1_000)
    })
    try {
      if (found.kind === 'route') await found.route.handle({ ...context, params: found.params })
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
  server.on('request', (request, response) => void answer(request, response))
  server.on('clientError', refuse)
  await listen(server, port, host)
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => {
    draining = true
    closing ??= drain(server, drainMs)
    return closing
  }
  return { port: (server.address() as AddressInfo).port, close }
}

const contextOf = (request: IncomingMessage, response: ServerResponse): Omit<RequestContext, 'params'> => {
  const target = request.url ?? '/'
  // Proxies may send the absolute form.
  const relative = target.startsWith('/') ? target : target.replace(/^https?:\/\/[^/?]*/i, '') || '/'
  const mark = relative.indexOf('?')
  const given = request.headers['x-request-id']
  const requestId = typeof given === 'string' && /^[\w.:-]{1,64}$/.test(given) ? given : randomUUID()
  response.setHeader('X-Request-Id', requestId)
  const body = (limit = mebibyte) => readBody(request, limit)
  return {
    request,
    response,
    path: mark < 0 ? relative : relative.slice(0, mark),
    requestId,
    query: () => new URLSearchParams(mark < 0 ? '' : relative.slice(mark + 1)),
    body,
    json: async (limit) => parseJson(await body(limit)),
  }
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
  else if (expected) problem(response, error.status, error.problem)
  else
    problem(response, 500, {
      title: 'Internal error',
      detail: `Something went wrong here; it is logged under request id ${requestId}.`,
    })
}

// ── problems (RFC 9457) ─────────────────────────────────────────────────────────────────────────────────────────────
/** `title` names the kind of problem, `detail` this one and what to do. Both are shown to callers: no stack, no SQL, no values. */
export type Problem = { readonly title: string; readonly detail: string; readonly type?: string }

/** Thrown by a handler to answer with a problem. */
export class HttpError extends Error {
  readonly status: number
  readonly problem: Problem
  constructor(status: number, problem: Problem) {
    super(`${status} ${problem.title}: ${problem.detail}`)
    this.name = 'HttpError'
    this.status = status
    this.problem = problem
  }
}

const problemText = (status: number, { type = 'about:blank', title, detail }: Problem): string =>
  JSON.stringify({ type, title, status, detail })

/** Ends the response with a problem; headers set before stay. */
const problem = (response: ServerResponse, status: number, about: Problem): void => {
  const text = problemText(status, about)
  response.writeHead(status, {
    'Content-Type': 'application/problem+json',
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-store',
  })
  response.end(text)
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

// ── bodies ──────────────────────────────────────────────────────────────────────────────────────────────────────────
const readBody = async (request: IncomingMessage, limit: number): Promise<Buffer> => {
  const encoding = request.headers['content-encoding']
  if (encoding && encoding !== 'identity') {
    throw new HttpError(415, { title: 'Unsupported encoding', detail: 'Send the body without Content-Encoding.' })
  }
  const tooLarge = () => new HttpError(413, { title: 'Body too large', detail: `At most ${limit} bytes are taken.` })
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge()
  return new Promise((done, refuse) => {
    const chunks: Buffer[] = []
    let size = 0
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= limit) chunks.push(chunk)
      else refuse(tooLarge())
    })
    request.once('end', () => done(Buffer.concat(chunks)))
    request.once('error', refuse)
    request.once('close', () => {
      if (!request.complete) refuse(new Error('the caller went away'))
    })
  })
}

const utf8 = new TextDecoder('utf-8', { fatal: true })
const parseJson = (bytes: Buffer): unknown => {
  try {
    return JSON.parse(utf8.decode(bytes))
  } catch {
    const what = bytes.length === 0 ? 'The body is empty; send JSON.' : 'The body is not JSON in UTF-8.'
    throw new HttpError(400, { title: 'Malformed JSON', detail: what })
  }
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

/** What never became a request: node:http would answer it in plain text. */
const refusals: Record<string, Problem & { readonly status: number }> = {
  HPE_HEADER_OVERFLOW: {
    status: 431,
    title: 'Headers too large',
    detail: 'The request line and headers exceed 16 KiB.',
  },
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, title: 'Request timeout', detail: 'The request did not arrive in time.' },
}
const refuse = (error: NodeJS.ErrnoException, socket: Socket): void => {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const { status, ...rest } = refusals[error.code ?? ''] ?? {
    status: 400,
    title: 'Malformed request',
    detail: 'This is not HTTP/1.1.',
  }
  const text = problemText(status, rest)
  const head = [
    `HTTP/1.1 ${status} ${rest.title}`,
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(text)}`,
    'Connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${text}`)
}
