/** What one request may ask for, at most. Past it the answer is TOO_COSTLY, before anything is read. */
import {
  type DocumentNode,
  type FragmentDefinitionNode,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
  visit,
} from 'graphql'
import { refusal } from './errors.ts'

export const limits = {
  /** Of the document; a deeper list literal would overflow graphql-js's parser before any other rule sees it. */
  tokens: 1_200,
  bodyBytes: 256 * 1_024,
  rootFields: 20,
  aliases: 50,
  depth: 12,
  /** The standard introspection query is 14 deep. */
  introspectionDepth: 20,
  /** Selected fields once all fragments are spread. */
  fields: 1_000,
  pageSize: 100,
  defaultPageSize: 20,
  /** Rows of all pages and keys together. */
  rows: 1_000,
  /** Of variables, in levels of objects and lists. */
  variableDepth: 20,
  /** Statements that wait for a connection. */
  waitingReads: 500,
  statementMs: 5_000,
  requestMs: 15_000,
} as const

const tooCostly = (what: string, limit: number): Error =>
  refusal('TOO_COSTLY', `This operation has too much of one thing: at most ${limit} ${what}.`)

/** Throws TOO_COSTLY for what the document alone tells, and BAD_USER_INPUT for a NUL, which Postgres's text can't hold. */
export const checkDocument = (document: DocumentNode, operation: OperationDefinitionNode): void => {
  const fragments = new Map<string, FragmentDefinitionNode>(
    document.definitions.flatMap((one) => (one.kind === Kind.FRAGMENT_DEFINITION ? [[one.name.value, one]] : [])),
  )
  let aliases = 0
  visit(document, {
    enter: (node) => {
      if (node.kind === Kind.STRING && node.value.includes('\0')) throw refuseNul()
      if (node.kind === Kind.FIELD && node.alias) aliases += 1
    },
  })
  if (aliases > limits.aliases) throw tooCostly('aliases', limits.aliases)
  let fields = 0
  let roots = 0
  const walk = (set: SelectionSetNode, depth: number, most: number): void => {
    for (const selection of set.selections) {
      if (selection.kind === Kind.FIELD) {
        fields += 1
        if (depth === 1) roots += 1
        if (fields > limits.fields) throw tooCostly('fields', limits.fields)
        if (roots > limits.rootFields) throw tooCostly('fields at the top', limits.rootFields)
        if (depth > most) throw tooCostly('levels', most)
        const deep = selection.name.value.startsWith('__') ? limits.introspectionDepth : most
        if (selection.selectionSet) walk(selection.selectionSet, depth + 1, deep)
      } else if (selection.kind === Kind.INLINE_FRAGMENT) walk(selection.selectionSet, depth, most)
      else {
        const fragment = fragments.get(selection.name.value)
        if (fragment) walk(fragment.selectionSet, depth, most)
      }
    }
  }
  walk(operation.selectionSet, 1, limits.depth)
}

const refuseNul = (): Error =>
  refusal('BAD_USER_INPUT', 'A string holds the character NUL (\\u0000), which no stored text can hold.')

/** The same for the variables' values. */
export const checkVariables = (variables: unknown): void => {
  const walk = (value: unknown, depth: number): void => {
    if (depth > limits.variableDepth) throw tooCostly('levels in the variables', limits.variableDepth)
    if (typeof value === 'string' && value.includes('\0')) throw refuseNul()
    if (typeof value !== 'object' || value === null) return
    for (const inner of Array.isArray(value) ? value : Object.values(value)) walk(inner, depth + 1)
  }
  walk(variables, 0)
}

/** Throws TOO_COSTLY when the rows that the root fields ask for are too many together. */
export const checkRows = (rows: number): void => {
  if (rows > limits.rows) throw tooCostly('rows', limits.rows)
}
