/** Live answers: who may follow what, and what each answer is made by. The transports are web-socket.ts and event-stream.ts. */
import { GraphQLError, type GraphQLSchema } from 'graphql'
import type { ViewTable } from '../../model/view-table.ts'
import { log } from '../../platform/log.ts'
import { gauge } from '../../platform/metrics.ts'
import type { Identity } from '../access/auth.ts'
import { ruleClaims, tenantOf } from '../access/predicate.ts'
import type { Verdict } from '../access/verdict.ts'
import { readAsked } from '../asked-operation.ts'
import type { Documents } from '../documents/documents.ts'
import { type ErrorCode, formatError, refusal } from '../errors.ts'
import type { ChangeFeed } from '../feed/feed.ts'
import { parseRow } from '../read/json-exact.ts'
import type { AskedOperation, GraphqlAnswer, GraphqlRequest } from '../steps.ts'
import { type Followed, follow, type Result } from './follow.ts'
import { createOperations } from './operation.ts'
import { noReads, type Reads } from './reads.ts'
import { type Answer, createTopics } from './topics.ts'

export type LiveParts = {
  readonly full: GraphQLSchema
  readonly documents: Documents
  readonly tables: ReadonlyMap<string, ViewTable>
  readonly feed: Pick<ChangeFeed, 'listen' | 'follows'>
  readonly verdictOf: (identity: Identity) => Verdict
  /** Answers a query as one that came over HTTP; what it reads is noted, and is read from the primary where it is to be current. */
  readonly answer: (
    request: GraphqlRequest,
    identity: Identity,
    watched: { readonly reads: Reads; readonly requestId: string } | undefined,
  ) => Promise<GraphqlAnswer>
}
export type Live = {
  /** One result, or those of a live operation until it is left. `body`: as over HTTP. */
  operate(
    body: unknown,
    identity: Identity,
    options: { readonly requestId: string; readonly after?: string },
  ): Promise<Result | Followed>
  /** Live operations under way, of all callers. */
  stop(): void
}

/** Of all callers together: each costs memory, and a share of each change. */
const mostFollowed = 50_000
const followed = gauge({ name: 'forebay_live_operations', help: 'Live operations that are followed.' })

/** What will be otherwise before long. */
const passing: ReadonlySet<unknown> = new Set<ErrorCode>(['UNAVAILABLE', 'VIEW_REBUILDING', 'STALE'])

export const expiryOf = ({ claims }: Identity): number =>
  typeof claims.exp === 'number' ? claims.exp * 1_000 : Number.POSITIVE_INFINITY

type Said = {
  readonly data?: unknown
  readonly errors?: readonly { readonly extensions?: { readonly code?: unknown } }[]
}
const failed = (error: unknown): Said => {
  const known = error instanceof GraphQLError ? error : refusal('INTERNAL', 'Something went wrong here.')
  if (known !== error) log.error('live.failed', { error })
  return {
    errors: [formatError(known.toJSON(), known, (unforeseen) => log.error('unforeseen', { error: unforeseen }))],
  }
}

export const createLive = ({ full, documents, tables, feed, verdictOf, answer }: LiveParts): Live => {
  const operationOf = createOperations(full)
  const topics = createTopics(feed)
  let under = 0

  /** Who may see the same: roles, tenants, and the claims that rules look at. */
  const audience = (identity: Identity): unknown => {
    const { key, views } = verdictOf(identity)
    const { claims } = identity
    return [
      key,
      [...views].map(([view, verdict]) => [tenantOf(tables.get(view)!, claims) ?? null, ruleClaims(verdict, claims)]),
    ]
  }
  const requestOf = (
    { query, operationName, variables }: AskedOperation,
    after: string | undefined,
  ): GraphqlRequest => ({
    method: 'POST',
    headers: {
      accept: 'application/graphql-response+json',
      'content-type': 'application/json',
      'apollo-require-preflight': 'true',
      ...(after === undefined ? {} : { 'forebay-after': after }),
    },
    search: '',
    body: { query, ...(operationName === undefined ? {} : { operationName }), variables },
  })
  const once = async (
    asked: AskedOperation,
    identity: Identity,
    watched: Parameters<typeof answer>[2],
    after?: string,
  ): Promise<Said> => {
    try {
      const { text } = await answer(requestOf(asked, after), identity, watched)
      return parseRow(text) as Said
    } catch (error) {
      return failed(error)
    }
  }
  const make = (asked: AskedOperation, identity: Identity, requestId: string) => async (): Promise<Answer> => {
    const reads = noReads()
    const result = await once(asked, identity, { reads, requestId })
    const { data, errors = [] } = result
    const again = errors.some(({ extensions }) => passing.has(extensions?.code))
    return {
      result,
      data: JSON.stringify([data, errors]),
      reads,
      ends: !again && data == null && errors.length > 0,
      again,
    }
  }

  const operate = async (
    body: unknown,
    identity: Identity,
    { requestId, after }: { readonly requestId: string; readonly after?: string },
  ): Promise<Result | Followed> => {
    const asked = readAsked(body)
    if (!asked)
      throw refusal(
        'BAD_USER_INPUT',
        'Send {"query": "…", "operationName": "…", "variables": {…}}, or these as parameters of the URL.',
      )
    const operation = operationOf(asked)
    if (!operation?.lives) return await once(asked, identity, undefined, after)
    if (under >= mostFollowed)
      throw refusal('TOO_COSTLY', `At most ${mostFollowed} live operations are followed here. Try another gateway.`)
    const own = { ...asked, query: operation.query }
    // Somebody who has seen more than this gateway waits until it has seen that too.
    if (after !== undefined) {
      const first = await once(own, identity, undefined, after)
      if (first.data == null) return first
    }
    const name = JSON.stringify([own.query, own.operationName, own.variables, audience(identity)])
    const topic = topics.join(name, make(own, identity, requestId))
    under += 1
    followed.set(under)
    const over = (): void => {
      under -= 1
      followed.set(under)
    }
    return follow(topic, { expiresAt: expiryOf(identity), over })
  }

  return {
    operate: async (body, identity, options) => {
      try {
        return await operate(documents.resolve(body), identity, options)
      } catch (error) {
        return failed(error)
      }
    },
    stop: topics.stop,
  }
}
