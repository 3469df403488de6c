/** GraphQL over HTTP: bodies in, answers out, within the time allowed. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { GraphQLError } from 'graphql'
import type { Admission } from '../platform/admission.ts'
import { pack } from '../platform/compression.ts'
import type { RequestContext, Route } from '../platform/http.ts'
import { HttpError } from '../platform/http-problem.ts'
import { log } from '../platform/log.ts'
import { type ErrorCode, formatError, refusal, statusOf } from './errors.ts'
import { limits } from './limits.ts'
import type { GraphqlAnswer, GraphqlRequest } from './steps.ts'
import { isKnown } from './validator.ts'

type Answer = (request: GraphqlRequest, context: RequestContext) => Promise<GraphqlAnswer>

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

const bodyOf = async (context: RequestContext): Promise<unknown> => {
  if (context.request.method !== 'POST') return askedByUrl(context.query())
  const type = context.request.headers['content-type']?.split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/json') {
    throw new HttpError(415, { title: 'Unsupported media type', detail: 'Send the operation as application/json.' })
  }
  return await context.json(limits.bodyBytes)
}

/** Throws UNAVAILABLE when the answer takes longer than `limits.requestMs`; the work itself ends by its statement timeout. */
const inTime = async <T>(work: Promise<T>): Promise<T> => {
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
const refuse = ({ request, response }: RequestContext, error: GraphQLError): void => {
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

/** `admission`: how much is worked on at once. */
export const graphqlRoute = (answer: Answer, admission: Admission): Route => ({
  method: ['GET', 'POST'],
  path: '/graphql',
  handle: async (context) => {
    const { request, response } = context
    try {
      const search = request.url?.match(/\?.*$/s)?.[0] ?? ''
      const asked = { method: request.method ?? 'GET', headers: request.headers, search, body: await bodyOf(context) }
      const given = await admission.run(() => inTime(answer(asked, context)), context)
      await send(request, response, given)
    } catch (error) {
      if (!(error instanceof GraphQLError)) throw error
      refuse(context, error)
    }
  },
})
