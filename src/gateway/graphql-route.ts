/** GraphQL over HTTP: bodies in, answers out, within the time allowed. */
import { GraphQLError } from 'graphql'
import { HttpError, type RequestContext, type Route } from '../platform/http.ts'
import { log } from '../platform/log.ts'
import { type ErrorCode, formatError, refusal, statusOf } from './errors.ts'
import { limits } from './limits.ts'
import type { GraphqlAnswer, GraphqlRequest } from './steps.ts'

type Answer = (request: GraphqlRequest, context: RequestContext) => Promise<GraphqlAnswer>

const bodyOf = async (context: RequestContext): Promise<unknown> => {
  if (context.request.method !== 'POST') return undefined
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

export const graphqlRoute = (answer: Answer): Route => ({
  method: ['GET', 'POST'],
  path: '/graphql',
  handle: async (context) => {
    const { request, response } = context
    try {
      const search = request.url?.match(/\?.*$/s)?.[0] ?? ''
      const asked = { method: request.method ?? 'GET', headers: request.headers, search, body: await bodyOf(context) }
      const { status, headers, text } = await inTime(answer(asked, context))
      response.setHeader('Cache-Control', 'no-store')
      for (const [name, value] of headers) response.setHeader(name, value)
      response.statusCode = status
      response.end(text)
    } catch (error) {
      if (!(error instanceof GraphQLError)) throw error
      refuse(context, error)
    }
  },
})
