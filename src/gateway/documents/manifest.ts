/**
 * Trusted documents: the operations of one's own clients, as their build wrote them down. Read once at start; every fault is named with the file
 * and the key, since a document that is refused later breaks a client that was shipped.
 *
 * Taken are the shapes that clients' tools write: `{"<id>": "<document>"}` (graphql-codegen's persisted documents, relay-compiler's persistConfig),
 * and `{"format": "apollo-persisted-query-manifest", "operations": [{"id", "body"}]}` (@apollo/generate-persisted-query-manifest).
 */
import { readFile } from 'node:fs/promises'
import { GraphQLError, type GraphQLSchema, parse, validate } from 'graphql'
import { limits } from '../limits.ts'

/** By id. */
export type Manifest = ReadonlyMap<string, string>

/** All that is wrong with the files, one line each. */
export class ManifestError extends Error {
  readonly faults: readonly string[]
  constructor(faults: readonly string[]) {
    super(`Documents can't be trusted as they are:\n${faults.map((fault) => `  ${fault}`).join('\n')}`)
    this.name = 'ManifestError'
    this.faults = faults
  }
}

const mostFaults = 50
const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const apollo = 'apollo-persisted-query-manifest'

type Entries = readonly (readonly [id: string, text: unknown])[]
/** Undefined: of neither shape. */
const entriesOf = (content: unknown): Entries | undefined => {
  if (!isRecord(content)) return undefined
  if (content.format !== apollo) return Object.entries(content)
  if (!Array.isArray(content.operations)) return undefined
  return content.operations.map((one: unknown, i) =>
    isRecord(one) && typeof one.id === 'string' ? [one.id, one.body] : [`operations[${i}]`, undefined],
  )
}

/** Throws ManifestError with every fault at once. */
export const readManifests = async (files: readonly string[], full: GraphQLSchema): Promise<Manifest> => {
  const documents = new Map<string, string>()
  const faults: string[] = []
  for (const file of files) {
    let entries: Entries | undefined
    try {
      entries = entriesOf(JSON.parse(await readFile(file, 'utf8')))
    } catch (error) {
      faults.push(
        `${file}: ${error instanceof SyntaxError ? `it is not JSON: ${error.message}` : `it can't be read: ${(error as Error).message}`}`,
      )
      continue
    }
    if (!entries) {
      faults.push(`${file}: it is neither {"<id>": "<document>"} nor an ${apollo}`)
      continue
    }
    for (const [id, text] of entries) {
      const fault = typeof text === 'string' ? faultOf(text, full) : 'it has no document; write its text'
      const other = documents.get(id)
      if (fault !== undefined) faults.push(`${file}: ${id}: ${fault}`)
      else if (other !== undefined && other !== text)
        faults.push(`${file}: ${id}: another document has this id already`)
      else documents.set(id, text as string)
    }
  }
  if (faults.length > mostFaults) faults.splice(mostFaults, faults.length, `and ${faults.length - mostFaults} more`)
  if (faults.length > 0) throw new ManifestError(faults)
  return documents
}

const faultOf = (text: string, full: GraphQLSchema): string | undefined => {
  try {
    const [error] = validate(full, parse(text, { maxTokens: limits.tokens }), undefined, { maxErrors: 1 })
    return error && `it does not fit the schema: ${error.message}`
  } catch (error) {
    if (!(error instanceof GraphQLError)) throw error
    return `it is no GraphQL: ${error.message}`
  }
}
