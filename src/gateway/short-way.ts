/**
 * The short way to an answer: an operation that Apollo Server has parsed and validated before is planned and executed at once, at
 * less than half the cost. It answers only what has no errors, in the very bytes of Apollo's answer; all else goes on to Apollo,
 * with what was read, which then says what is wrong.
 */
import { type DocumentNode, type ExecutionResult, getOperationAST } from 'graphql'
import { LRUCache } from 'lru-cache'
import { tailOf, textOf } from './answer-cache/about.ts'
import type { Found } from './answer-cache/keeping.ts'
import { readAsked } from './asked-operation.ts'
import type { Context } from './context.ts'
import type { AskedOperation, GraphqlAnswer, GraphqlRequest, Steps } from './steps.ts'
import { cachingHeaders } from './validator.ts'

export type ShortWay = {
  /** Undefined where Apollo must answer. What was executed is then left in the context. */
  answer(request: GraphqlRequest, context: Context): Promise<GraphqlAnswer | undefined>
  /** The document is valid against the full schema. */
  learnDocument(text: string, document: DocumentNode): void
  /** How Apollo reads the Accept of a request that it answered. */
  learnType(request: GraphqlRequest, answer: GraphqlAnswer): void
}

/** Of all documents' texts together. A parsed document takes up to 170 bytes a character, so 50 MB at the worst. */
const maxCharacters = 300_000

const opening = '{"data":'
const acceptOf = ({ headers }: GraphqlRequest): string => String(headers.accept ?? '')

export const createShortWay = (steps: Steps): ShortWay => {
  const documents = new LRUCache<string, DocumentNode>({
    maxSize: maxCharacters,
    sizeCalculation: (_, text) => Math.max(1, text.length),
  })
  const types = new LRUCache<string, string>({ max: 100 })

  /** Undefined for what is refused: Apollo refuses it again. */
  const execute = async (
    document: DocumentNode,
    { operationName, variables }: AskedOperation,
    context: Context,
    query: string,
  ): Promise<ExecutionResult | Found | undefined> => {
    const operation = getOperationAST(document, operationName)
    if (!operation) return undefined
    try {
      steps.plan(document, operation, variables, context)
      const waiting = steps.wait(variables, context)
      if (waiting) await waiting
    } catch {
      return undefined
    }
    const found = context.keeping?.find({ query, operationName, variables }, context.plan())
    return found ?? (await steps.execute(document, operationName, variables, context))
  }
  const headersOf = (
    headers: GraphqlAnswer['headers'],
    type: string,
    method: string,
    data: string,
    context: Context,
  ): GraphqlAnswer['headers'] => [
    ...headers,
    ['content-type', type],
    ...(method === 'GET' ? cachingHeaders(data, context) : []),
  ]

  return {
    answer: async (request, context) => {
      const type = types.get(acceptOf(request))
      const asked = type === undefined ? undefined : readAsked(request.body)
      const document = asked && documents.get(asked.query)
      if (type === undefined || !document) return undefined
      const result = await execute(document, asked, context, asked.query)
      if (!result) return undefined
      if ('answer' in result) {
        const { answer, said } = result
        const opened = textOf(answer.bytes)
        const headers = headersOf(said.headers, type, request.method, opened.slice(opening.length), context)
        return { status: 200, headers, text: opened + textOf(said.tail), kept: answer }
      }
      if (result.errors) {
        context.result = result
        return undefined
      }
      const { extensions, headers } = steps.respond(context)
      const data = JSON.stringify(result.data)
      const kept = context.keeping?.keep(data, context.touched)
      return {
        status: 200,
        headers: headersOf(headers, type, request.method, data, context),
        text: `${opening}${data}${tailOf(extensions)}`,
        ...(kept && { kept }),
      }
    },
    learnDocument: (text, document) => {
      documents.set(text, document)
    },
    learnType: (request, { status, headers }) => {
      if (status !== 200) return
      const type = headers.find(([name]) => name === 'content-type')?.[1]
      if (type !== undefined) types.set(acceptOf(request), type)
    },
  }
}
