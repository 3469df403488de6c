/**
 * Live answers as an event stream (GraphQL over Server-Sent Events, distinct connections): `next` with each answer, `complete` at the end, a
 * comment now and then. Written here, since what a caller doesn't take must not pile up: the next answer is asked for when the last is out.
 */
import { once } from 'node:events'
import { GraphQLError } from 'graphql'
import type { RequestContext, Route } from '../../platform/http.ts'
import { HttpError } from '../../platform/http-problem.ts'
import type { Authenticate } from '../access/auth.ts'
import { bodyOf, refuse } from '../graphql-route.ts'
import type { Followed, Result } from './follow.ts'
import type { Live } from './live.ts'

const heartbeatMs = 12_000

const isFollowed = (result: Result | Followed): result is Followed => Symbol.asyncIterator in result

/** Refuses what doesn't want a stream; `leave` ends all streams, in good order. */
export const eventStreams = (live: Live, authenticate: Authenticate) => {
  const open = new Set<() => void>()
  const route: Route = {
    method: ['GET', 'POST'],
    path: '/graphql/stream',
    handle: async (context) => {
      const { request, response, gone, requestId } = context
      if (!/text\/event-stream|\*\/\*/.test(request.headers.accept ?? '*/*'))
        throw new HttpError(406, { title: 'Not acceptable', detail: 'Answers here are text/event-stream.' })
      try {
        const identity = await authenticate(request.headers.authorization)
        const asked = await bodyOf(context)
        const after = request.headers['forebay-after']
        const result = await live.operate(asked, identity, {
          requestId,
          ...(typeof after === 'string' ? { after } : {}),
        })
        response.writeHead(200, {
          'Content-Type': 'text/event-stream; charset=utf-8',
          'Cache-Control': 'no-store',
          'X-Accel-Buffering': 'no',
        })
        const left = new AbortController()
        const leave = () => left.abort()
        open.add(leave)
        gone.addEventListener('abort', leave, { once: true })
        try {
          await stream(response, isFollowed(result) ? result : single(result), left.signal)
        } finally {
          open.delete(leave)
        }
      } catch (error) {
        if (!(error instanceof GraphQLError) || response.headersSent) throw error
        refuse(context, error)
      }
    },
  }
  return {
    route,
    leave: () => {
      for (const end of open) end()
    },
  }
}

async function* single(result: Result): Followed {
  yield result
}

const stream = async (response: RequestContext['response'], results: Followed, left: AbortSignal): Promise<void> => {
  const write = async (text: string): Promise<void> => {
    if (!response.write(text) && !left.aborted) await Promise.race([once(response, 'drain'), once(response, 'close')])
  }
  const beat = setInterval(() => {
    if (!response.writableNeedDrain) response.write(':\n\n')
  }, heartbeatMs)
  const away = () => void results.return?.()
  left.addEventListener('abort', away)
  try {
    await write(':\n\n')
    for await (const result of results) {
      if (response.destroyed) return
      await write(`event: next\ndata: ${JSON.stringify(result)}\n\n`)
    }
    if (!response.destroyed) response.end('event: complete\ndata:\n\n')
  } finally {
    clearInterval(beat)
    left.removeEventListener('abort', away)
  }
}
