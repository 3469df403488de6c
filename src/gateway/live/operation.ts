/**
 * What is asked for live, as the query that answers it each time: a `…Changed` field is its row's own field, so that each delta is planned,
 * judged and masked as the query is.
 */
import {
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  getDirectiveValues,
  getOperationAST,
  getVariableValues,
  Kind,
  type OperationDefinitionNode,
  parse,
  print,
  TypeInfo,
  validate,
  visit,
  visitWithTypeInfo,
} from 'graphql'
import { LRUCache } from 'lru-cache'
import { refusal } from '../errors.ts'
import { limits } from '../limits.ts'
import { liveDirective } from '../schema/live.ts'
import type { AskedOperation } from '../steps.ts'
import type { Variables } from '../variables.ts'

/** `lives`: it is answered again whenever what it reads changes; otherwise once. */
export type LiveOperation = { readonly query: string; readonly lives: boolean }

const suffix = 'Changed'
/** Characters of all documents together. */
const most = 1_000_000

/** Answers with undefined for what isn't valid: the query's own way says what is wrong with it. Throws what refuses it here alone. */
export const createOperations = (full: GraphQLSchema): ((asked: AskedOperation) => LiveOperation | undefined) => {
  type Known = { readonly document: DocumentNode; readonly queries: Map<OperationDefinitionNode, string> } | undefined
  const known = new LRUCache<string, { readonly found: Known }>({
    maxSize: most,
    sizeCalculation: (_, text) => Math.max(1, text.length),
  })
  const read = (text: string): Known => {
    const cached = known.get(text)
    if (cached) return cached.found
    let found: Known
    try {
      const document = parse(text, { maxTokens: limits.tokens })
      if (validate(full, document).length === 0) found = { document, queries: new Map() }
    } catch (error) {
      if (!(error instanceof GraphQLError)) throw error
    }
    known.set(text, { found })
    return found
  }
  return ({ query: text, operationName, variables }) => {
    const found = read(text)
    const operation = found && getOperationAST(found.document, operationName)
    if (!found || !operation) return undefined
    if (operation.operation === 'query') {
      return { query: text, lives: isLive(full, operation, variables) }
    }
    let query = found.queries.get(operation)
    if (query === undefined) {
      query = print(asQuery(found.document, operation, full))
      found.queries.set(operation, query)
    }
    return { query, lives: true }
  }
}

const isLive = (full: GraphQLSchema, operation: OperationDefinitionNode, variables: Variables): boolean => {
  const { coerced } = getVariableValues(full, operation.variableDefinitions ?? [], variables)
  // Variables that don't fit are refused by the query's own way.
  return coerced !== undefined && getDirectiveValues(liveDirective, operation, coerced)?.if === true
}

const asQuery = (document: DocumentNode, operation: OperationDefinitionNode, full: GraphQLSchema): DocumentNode => {
  const info = new TypeInfo(full)
  const others = {
    ...document,
    definitions: document.definitions.filter((one) => one.kind !== Kind.OPERATION_DEFINITION || one === operation),
  }
  const ofSubscription = full.getSubscriptionType()?.name
  return visit(
    others,
    visitWithTypeInfo(info, {
      OperationDefinition: { leave: (node) => ({ ...node, operation: 'query' as const }) },
      Field: {
        leave: (node) => {
          if (info.getParentType()?.name !== ofSubscription) return undefined
          if (node.name.value.startsWith('__'))
            throw refusal('BAD_USER_INPUT', `Leave ${node.name.value} out at the top of a subscription.`)
          const name = node.name.value.slice(0, -suffix.length)
          return { ...node, alias: node.alias ?? node.name, name: { kind: Kind.NAME, value: name } }
        },
      },
      NamedType: {
        leave: (node) =>
          node.name.value === ofSubscription ? { ...node, name: { kind: Kind.NAME, value: 'Query' } } : undefined,
      },
    }),
  )
}
