/** Apollo Server as the HTTP and GraphQL shell: parse, validate, negotiate. What an operation means and answers is main.ts's. */
import { ApolloServer, type ApolloServerOptionsWithGateway, HeaderMap } from '@apollo/server'
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginLandingPageDisabled,
} from '@apollo/server/plugin/disabled'
import { GraphQLError, type GraphQLSchema } from 'graphql'
import { log } from '../platform/log.ts'
import type { Context } from './context.ts'
import { formatError, refusal } from './errors.ts'
import { limits } from './limits.ts'
import { createShortWay } from './short-way.ts'
import type { GraphqlAnswer, GraphqlRequest, Steps } from './steps.ts'
import { cachingHeaders } from './validator.ts'

export type GraphqlServer = {
  run(request: GraphqlRequest, context: Context): Promise<GraphqlAnswer>
  stop(): Promise<void>
}

/** One document, parsed and validated against the full schema, serves all roles; execution sees the role's own. */
export const startGraphqlServer = async (full: GraphQLSchema, steps: Steps): Promise<GraphqlServer> => {
  const shortWay = createShortWay(steps)
  // A gateway is how Apollo Server lets another executor in while it keeps parsing, validation and error handling.
  const gateway: ApolloServerOptionsWithGateway<Context>['gateway'] = {
    onSchemaLoadOrUpdate: (announce) => {
      announce({ apiSchema: full, coreSupergraphSdl: '' })
      return () => {}
    },
    load: async () => ({
      executor: async ({ document, request, context: given }) => {
        const context = given as unknown as Context
        const { operationName, variables = {} } = request
        return (context.result ?? (await steps.execute(document, operationName, variables, context))) as never
      },
    }),
    stop: async () => {},
  }
  const server = new ApolloServer<Context>({
    gateway,
    introspection: true,
    nodeEnv: 'production',
    includeStacktraceInErrorResponses: false,
    hideSchemaDetailsFromClientErrors: true,
    allowBatchedHttpRequests: false,
    stopOnTerminationSignals: false,
    persistedQueries: false,
    parseOptions: { maxTokens: limits.tokens },
    csrfPrevention: { requestHeaders: asksFirst },
    logger: {
      debug: () => {},
      info: () => {},
      warn: (event) => log.warn(String(event)),
      error: (event) => log.error(String(event)),
    },
    formatError: (formatted, error) =>
      formatError(formatted, error, (unforeseen) => log.error('unforeseen', { error: unwrap(unforeseen) })),
    plugins: [
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginLandingPageDisabled(),
      {
        requestDidStart: async () => ({
          didResolveOperation: async ({ source, document, operation, request, contextValue }) => {
            if (!operation)
              throw refusal('BAD_USER_INPUT', 'Several operations stand in the document: say which with operationName.')
            steps.plan(document, operation, request.variables ?? {}, contextValue)
            shortWay.learnDocument(source, document)
            await steps.wait(request.variables ?? {}, contextValue)
          },
          willSendResponse: async ({ request, response, errors, contextValue }) => {
            if (response.body.kind !== 'single') return
            const accept = request.http?.headers.get('accept') ?? ''
            if (!accept.includes('graphql-response+json') && errors?.every(isAboutContent)) response.http.status = 200
            const { extensions, headers } = steps.respond(contextValue)
            if (Object.keys(extensions).length > 0) response.body.singleResult.extensions = { ...extensions }
            for (const [name, value] of headers) response.http.headers.set(name, value)
            if (request.http?.method !== 'GET' || errors) return
            const data = JSON.stringify(response.body.singleResult.data)
            for (const [name, value] of cachingHeaders(data, contextValue)) response.http.headers.set(name, value)
          },
        }),
      },
    ],
  })
  await server.start()
  return {
    run: async (request, context) => {
      const short = await shortWay.answer(request, context)
      if (short) return short
      const headers = new HeaderMap()
      for (const name of heeded) {
        const value = request.headers[name]
        if (value !== undefined) headers.set(name, typeof value === 'string' ? value : value.join(', '))
      }
      const response = await server.executeHTTPGraphQLRequest({
        httpGraphQLRequest: { method: request.method, headers, search: request.search, body: request.body },
        context: async () => context,
      })
      if (response.body.kind !== 'complete') throw new Error('an answer in pieces was not asked for')
      const answer = { status: response.status ?? 200, headers: [...response.headers], text: response.body.string }
      shortWay.learnType(request, answer)
      return answer
    },
    stop: () => server.stop(),
  }
}

/** A browser must ask first before it sends one of these from another site; with a bearer token one is always there. */
const asksFirst = ['authorization', 'apollo-require-preflight', 'x-apollo-operation-name']
/** All that Apollo Server looks at. */
const heeded = ['accept', 'content-type', ...asksFirst]

/** In plain application/json a well-formed request is answered with 200, whatever its document says (GraphQL over HTTP). */
const contentCodes = new Set<unknown>(['GRAPHQL_PARSE_FAILED', 'GRAPHQL_VALIDATION_FAILED', 'BAD_USER_INPUT'])
const isAboutContent = ({ extensions }: GraphQLError): boolean => contentCodes.has(extensions.code)

const unwrap = (error: unknown): unknown => (error instanceof GraphQLError ? (error.originalError ?? error) : error)
