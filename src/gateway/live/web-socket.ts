/** Live answers, and any others, over a WebSocket by graphql-transport-ws; see graphql-ws. */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import {
  type ExecutionArgs,
  type FormattedExecutionResult,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  parse,
} from 'graphql'
import { GRAPHQL_TRANSPORT_WS_PROTOCOL } from 'graphql-ws'
import { type Extra, useServer } from 'graphql-ws/use/ws'
import { WebSocketServer } from 'ws'
import { gauge } from '../../platform/metrics.ts'
import type { Upgrade } from '../../platform/upgrade.ts'
import type { Authenticate, Identity } from '../access/auth.ts'
import { refusal } from '../errors.ts'
import { limits } from '../limits.ts'
import { expiryOf, type Live } from './live.ts'

const heartbeatMs = 12_000
const initMs = 10_000
/** Of one connection, at once. */
const mostOperations = 100
/** What a client that is told to go has, before it is cut off. */
const patienceMs = 1_000
const longestMs = 2 ** 31 - 1

const connections = gauge({ name: 'forebay_live_connections', help: 'WebSockets that are open.' })

type Own = { identity: Identity; operations: number; expiry: NodeJS.Timeout }
const bearerOf = (
  given: Readonly<Record<string, unknown>> | undefined,
  request: IncomingMessage,
): string | undefined => {
  const said = given?.authorization ?? given?.Authorization
  return typeof said === 'string' ? said : request.headers.authorization
}

/** `full`: graphql-ws wants a schema; what an operation means and answers is `live`'s. */
export const webSockets = (live: Live, authenticate: Authenticate, full: GraphQLSchema) => {
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: limits.bodyBytes,
    perMessageDeflate: false,
    handleProtocols: (offered) => offered.has(GRAPHQL_TRANSPORT_WS_PROTOCOL) && GRAPHQL_TRANSPORT_WS_PROTOCOL,
  })
  const owns = new WeakMap<Extra, Own>()
  const operate = (args: ExecutionArgs) => (args.contextValue as () => ReturnType<Live['operate']>)() as never
  const closing = useServer<Record<string, unknown>>(
    {
      connectionInitWaitTimeout: initMs,
      onConnect: async ({ connectionParams, extra }) => {
        try {
          const identity = await authenticate(bearerOf(connectionParams, extra.request))
          const left = Math.min(Math.max(0, expiryOf(identity) - Date.now()), longestMs)
          const expire = () => extra.socket.close(4_401, 'The token has expired')
          // After the operations, which say so each.
          owns.set(extra, { identity, operations: 0, expiry: setTimeout(expire, left + 100).unref() })
          return true
        } catch (error) {
          const unavailable = error instanceof GraphQLError && error.extensions.code === 'UNAVAILABLE'
          extra.socket.close(
            unavailable ? 1_013 : 4_401,
            error instanceof GraphQLError ? error.message.slice(0, 120) : 'No',
          )
          return false
        }
      },
      onClose: ({ extra }) => {
        clearTimeout(owns.get(extra)?.expiry)
        connections.set(server.clients.size)
      },
      onSubscribe: ({ extra }, _, payload) => {
        const own = owns.get(extra)
        if (!own) return [refusal('UNAUTHENTICATED', 'Say who you are in connection_init.')]
        if (own.operations >= mostOperations)
          return [refusal('TOO_COSTLY', `A connection follows at most ${mostOperations} operations at once.`)]
        const { query, operationName, extensions } = payload
        const after = extensions?.after
        // Of those, `after` is for here.
        const { after: _after, ...others } = extensions ?? {}
        const body = { ...payload, ...(extensions ? { extensions: others } : {}) }
        own.operations += 1
        const contextValue = () =>
          live.operate(body, own.identity, {
            requestId: randomUUID(),
            ...(typeof after === 'string' ? { after } : {}),
          })
        return {
          schema: full,
          ...told(query, operationName),
          variableValues: payload.variables ?? {},
          contextValue,
        }
      },
      onComplete: ({ extra }) => {
        const own = owns.get(extra)
        if (own) own.operations -= 1
      },
      // What is answered is formatted already.
      onNext: (_context, _id, _payload, _args, result) => result as FormattedExecutionResult,
      execute: operate,
      subscribe: operate,
    },
    server,
    heartbeatMs,
  )
  const upgrade: Upgrade = {
    path: '/graphql',
    handle: (request: IncomingMessage, socket: Duplex, head: Buffer) =>
      server.handleUpgrade(request, socket, head, (client) => {
        connections.set(server.clients.size)
        server.emit('connection', client, request)
      }),
  }
  return {
    upgrade,
    /** Tells all to connect elsewhere. */
    leave: async (): Promise<void> => {
      for (const client of server.clients) client.close(1_001, 'Going away: connect again')
      const cut = setTimeout(() => {
        for (const client of server.clients) client.terminate()
      }, patienceMs)
      await closing.dispose()
      clearTimeout(cut)
    },
  }
}

/** Only told from one another here: what is wrong with it is said by who answers. */
const told = (query: string, operationName: string | null | undefined) => {
  try {
    const document = parse(query, { maxTokens: limits.tokens, noLocation: true })
    if (getOperationAST(document, operationName)) return { document, operationName: operationName ?? null }
  } catch {
    // Answered as a query is.
  }
  return { document: parse('{ __typename }'), operationName: null }
}
