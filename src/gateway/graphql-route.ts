/** GraphQL over HTTP: bodies in, answers out, within the time allowed. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { GraphQLError } from 'graphql'
import type { Admission } from '../platform/admission.ts'
import { leastPacked, pack } from '../platform/compression.ts'
import type { RequestContext, Route } from '../platform/http.ts'
import { parseJson } from '../platform/http-body.ts'
import type { Ready } from '../platform/http-express.ts'
import { HttpError } from '../platform/http-problem.ts'
import { log } from '../platform/log.ts'
import { textOf } from './answer-cache/about.ts'
import type { Lane, Passage } from './answer-cache/lane.ts'
import type { Documents } from './documents/documents.ts'
import { type ErrorCode, formatError, refusal, statusOf } from './errors.ts'
import { limits } from './limits.ts'
import type { GraphqlAnswer, GraphqlRequest } from './steps.ts'
import { isKnown } from './validator.ts'

type Answer = (request: GraphqlRequest, context: RequestContext, passage: Passage | undefined) => Promise<GraphqlAnswer>

/** A request in a URL, as its body would be. Undefined where a parameter is no JSON: Apollo says what is wrong with it. */
const askedByUrl = (given: URLSearchParams): unknown => {
  const asked = Object.create(null) as Record<string, unknown>
  try {
    for (const [name, value] of given) {
      if (name in asked) return undefined
      asked[name] = name === 'variables' || name === 'extensions' ? JSON.parse(value) : value
    }
    return asked
  } catch {
    return undefined
  }
}

/** The parameters that a body would be. */
const searchOf = (body: unknown): string =>
  `?${new URLSearchParams(
    Object.entries(body as Record<string, unknown>).map(([name, value]): [string, string] => [
      name,
      typeof value === 'string' ? value : JSON.stringify(value),
    ]),
  )}`

/** What a request asks: its body, or what its parameters come to. */
export const bodyOf = async (context: RequestContext): Promise<unknown> => {
  const bytes = await bytesOf(context)
  return bytes ? parseJson(bytes) : askedByUrl(context.query())
}

const bytesOf = async (context: RequestContext): Promise<Buffer | undefined> => {
  if (context.request.method !== 'POST') return undefined
  const type = context.request.headers['content-type']?.split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/json') {
    throw new HttpError(415, { title: 'Unsupported media type', detail: 'Send the operation as application/json.' })
  }
  return await context.body(limits.bodyBytes)
}

/** Throws UNAVAILABLE when the answer takes longer than `limits.requestMs`; the work itself ends by its statement timeout. */
export const inTime = async <T>(work: Promise<T>): Promise<T> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(refusal('UNAVAILABLE', 'No answer could be had in time. Try again shortly.')),
      limits.requestMs,
    )
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** A request that was refused before it reached Apollo, said as Apollo would. */
export const refuse = ({ request, response }: RequestContext, error: GraphQLError): void => {
  const formatted = formatError(error.toJSON(), error, (unforeseen) => log.error('unforeseen', { error: unforeseen }))
  const code = formatted.extensions?.code as ErrorCode
  const strict = request.headers.accept?.includes('application/graphql-response+json')
  if (code === 'UNAUTHENTICATED') response.setHeader('WWW-Authenticate', 'Bearer')
  response.writeHead(statusOf(code), {
    'Content-Type': `application/${strict ? 'graphql-response+json' : 'json'}; charset=utf-8`,
    'Cache-Control': 'no-store',
  })
  response.end(`${JSON.stringify({ errors: [formatted] })}\n`)
}

/** Throws nothing: an answer that can't be packed goes as it is. */
const send = async (
  request: IncomingMessage,
  response: ServerResponse,
  { status, headers, text }: GraphqlAnswer,
): Promise<void> => {
  response.setHeader('Cache-Control', 'no-store')
  for (const [name, value] of headers) response.setHeader(name, value)
  const validator = headers.find(([name]) => name === 'etag')?.[1]
  if (isKnown(request.headers['if-none-match'], validator)) {
    response.removeHeader('Content-Type')
    response.writeHead(304).end()
    return
  }
  const packing = pack(text, request.headers['accept-encoding'] as string | undefined)
  const packed = packing && (await packing)
  if (packed) response.setHeader('Content-Encoding', packed.encoding)
  response.statusCode = status
  response.end(packed ? packed.bytes : text)
}

/** What the lane found, for a caller who wants it packed, or to hear whether it has it already. */
const sendReady = (request: IncomingMessage, response: ServerResponse, { headers, bytes }: Ready): Promise<void> => {
  const pairs = headers.flatMap((name, i) => (i % 2 === 0 ? [[name, headers[i + 1]!] as const] : []))
  return send(request, response, { status: 200, headers: pairs, text: textOf(bytes) })
}

/** `admission`: how much is worked on at once. What the lane answers costs less than asking whether it may. */
export const graphqlRoute = (answer: Answer, documents: Documents, admission: Admission, lane: Lane): Route => ({
  method: ['GET', 'POST'],
  path: '/graphql',
  express: (request, body) => {
    const { headers } = request
    if (headers['if-none-match'] !== undefined) return undefined
    const passage = lane.passage(request, body)
    const ready = passage && lane.find(passage)
    const plain = headers['accept-encoding'] === undefined || (ready && ready.bytes.length < leastPacked)
    return plain ? ready : undefined
  },
  handle: async (context) => {
    const { request, response } = context
    try {
      const bytes = await bytesOf(context)
      const passage = lane.passage(request, bytes)
      const hit = passage && lane.find(passage)
      if (hit) return await sendReady(request, response, hit)
      const given = bytes ? parseJson(bytes) : askedByUrl(context.query())
      const body = documents.resolve(given)
      const search = body === given ? (request.url?.match(/\?.*$/s)?.[0] ?? '') : searchOf(body)
      const asked = { method: request.method ?? 'GET', headers: request.headers, search, body }
      await send(request, response, await admission.run(() => inTime(answer(asked, context, passage)), context))
    } catch (error) {
      if (!(error instanceof GraphQLError)) throw error
      refuse(context, error)
    }
  },
})
