/** Clients of live answers, as their libraries are: over a WebSocket and by an event stream. */
import { createClient as overSse } from 'graphql-sse'
import { type Client, createClient as overWs } from 'graphql-ws'
import { onTestFinished } from 'vitest'
import WebSocket from 'ws'

// biome-ignore lint/suspicious/noExplicitAny: an answer's shape is the test's own knowledge
export type Told = any
export type Followed = {
  /** What has come so far. */
  readonly all: readonly Told[]
  /** Rejects where the transport does; resolves at the end of the operation. */
  readonly ended: Promise<void>
  leave(): void
}
export type Transport = 'WebSocket' | 'event stream'
export type Asking = {
  readonly query: string
  readonly variables?: Record<string, unknown>
  readonly extensions?: Record<string, unknown>
}

const follow = (
  subscribe: (sink: { next(value: unknown): void; error(error: unknown): void; complete(): void }) => () => void,
): Followed => {
  const all: Told[] = []
  const { promise: ended, resolve, reject } = Promise.withResolvers<void>()
  ended.catch(() => {})
  const leave = subscribe({ next: (value) => all.push(value), error: reject, complete: resolve })
  onTestFinished(leave)
  return { all, ended, leave }
}

export const socketClient = (url: string, token: string, more: Partial<Parameters<typeof overWs>[0]> = {}): Client => {
  const client = overWs({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    connectionParams: { authorization: `Bearer ${token}` },
    ...more,
  })
  onTestFinished(() => void client.dispose())
  return client
}

export const followOver = (transport: Transport, url: string, token: string, asked: Asking): Followed => {
  if (transport === 'WebSocket') return follow((sink) => socketClient(url, token).subscribe(asked, sink))
  const client = overSse({
    url: `${url}/graphql/stream`,
    retryAttempts: 0,
    headers: { authorization: `Bearer ${token}` },
  })
  onTestFinished(() => client.dispose())
  return follow((sink) => client.subscribe(asked, sink))
}
