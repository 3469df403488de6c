/** What went wrong with a request, as RFC 9457 writes it. */
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** `title` names the kind of problem, `detail` this one and what to do. Both are shown to callers: no stack, no SQL, no values. */
export type Problem = { readonly title: string; readonly detail: string; readonly type?: string }
type Headers = Readonly<Record<string, string>>

/** Thrown by a handler to answer with a problem. */
export class HttpError extends Error {
  readonly status: number
  readonly problem: Problem
  readonly headers: Headers
  constructor(status: number, problem: Problem, headers: Headers = {}) {
    super(`${status} ${problem.title}: ${problem.detail}`)
    this.name = 'HttpError'
    this.status = status
    this.problem = problem
    this.headers = headers
  }
}

const problemText = (status: number, { type = 'about:blank', title, detail }: Problem): string =>
  JSON.stringify({ type, title, status, detail })

/** Ends the response with a problem; headers set before stay. */
export const problem = (response: ServerResponse, status: number, about: Problem, headers: Headers = {}): void => {
  const text = problemText(status, about)
  response.writeHead(status, {
    ...headers,
    'Content-Type': 'application/problem+json',
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-store',
  })
  response.end(text)
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
export const refuseSocket = (error: NodeJS.ErrnoException, socket: Socket): void => {
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
