/** The operation that a body asks for. */
import type { AskedOperation } from './steps.ts'

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The body's fields, where they are of the types that GraphQL over HTTP wants. */
export const readAsked = (body: unknown): AskedOperation | undefined => {
  if (!isRecord(body)) return undefined
  const { query, operationName = null, variables = null, extensions = null } = body
  const fits =
    typeof query === 'string' &&
    (operationName === null || typeof operationName === 'string') &&
    (variables === null || isRecord(variables)) &&
    (extensions === null || (isRecord(extensions) && !('persistedQuery' in extensions)))
  return fits ? { query, operationName: operationName ?? undefined, variables: variables ?? {} } : undefined
}
