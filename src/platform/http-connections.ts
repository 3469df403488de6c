/** Connections that would cost without end, and pages of other origins. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import cors from 'cors'
import { counter } from './metrics.ts'

const slow = counter({
  name: 'forebay_http_slow_readers_total',
  help: 'Connections ended because their answers were not read.',
})

/** What is out has to be taken within `ms`, and as much longer as so much takes at `bytesPerSecond`. */
export type Patience = { readonly ms: number; readonly bytesPerSecond: number }
export const usualPatience: Patience = { ms: 30_000, bytesPerSecond: 64 * 1_024 }

/**
 * Ends connections whose caller doesn't read what is out, which would keep memory that others need. Looks by a clock instead of at every
 * answer, so answers cost nothing for it. Returns what stops it.
 */
export const endSlowReaders = (server: Server, { ms, bytesPerSecond }: Patience): (() => void) => {
  type Seen = { readonly since: number; readonly left: number }
  const waiting = new Map<Socket, Seen>()
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => {
      sockets.delete(socket)
      waiting.delete(socket)
    })
  })
  const look = (): void => {
    const now = performance.now()
    for (const socket of sockets) {
      const left = socket.writableLength
      const seen = waiting.get(socket)
      // One large write counts as waiting until all of it is gone, so its size buys time.
      if (left === 0) waiting.delete(socket)
      else if (!seen || left < seen.left) waiting.set(socket, { since: now, left })
      else if (now - seen.since >= ms + (seen.left / bytesPerSecond) * 1_000) {
        slow.inc()
        socket.destroy()
      }
    }
  }
  const timer = setInterval(look, Math.min(ms / 4, 5_000)).unref()
  return () => clearInterval(timer)
}

const exposed = ['Forebay-As-Of', 'Forebay-Position', 'Forebay-State', 'ETag', 'Retry-After', 'X-Request-Id']

/**
 * Lets pages of these origins ask from a browser; `*`: of any. Says whether the request was a browser's question whether it may, and so is
 * answered. No credentials: who asks is told by a header that no browser adds by itself.
 */
export const crossOrigin = (
  origins: readonly string[],
): ((request: IncomingMessage, response: ServerResponse) => boolean) => {
  const allow = cors({
    origin: origins.includes('*') ? '*' : [...origins],
    methods: ['GET', 'POST'],
    exposedHeaders: exposed,
    maxAge: 7_200,
    optionsSuccessStatus: 204,
  })
  return (request, response) => {
    if (request.headers.origin === undefined) return false
    const asks = request.method === 'OPTIONS' && request.headers['access-control-request-method'] !== undefined
    // The library takes what is no such question for one as well.
    if (request.method === 'OPTIONS' && !asks) return false
    let answered = true
    allow(request, response, () => {
      answered = false
    })
    return answered
  }
}
