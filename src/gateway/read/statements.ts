/** Runs statements, and says what Postgres refused or could not do as the caller may hear it. */
import { codeOf, isRetriable, type Sql } from '../../platform/postgres.ts'
import { fieldError } from '../errors.ts'
import type { Statement } from './row-sql.ts'

/** `prepare`: the text comes again, so that planning it once pays. */
export type Run = <Row extends object>(statement: Statement, prepare: boolean) => Promise<readonly Row[]>

/** Every connection keeps what it prepared; callers choose fields freely, so there is an end to it. */
const preparedTexts = 500

/** `watch` is called for each statement: tests compare them. */
export const createRunner = (sql: Sql, watch?: (statement: Statement) => void): Run => {
  const run = createStatements(sql, watch)
  return (statement, prepare) =>
    run(statement, prepare).catch((error: unknown) => Promise.reject(asFieldError(error))) as never
}

/** The same, but fails as Postgres does. */
export const createStatements = (sql: Sql, watch?: (statement: Statement) => void): Run => {
  const prepared = new Set<string>()
  return async <Row extends object>(statement: Statement, prepare: boolean): Promise<readonly Row[]> => {
    watch?.(statement)
    if (prepare && prepared.size < preparedTexts) prepared.add(statement.text)
    const options = { prepare: prepare && prepared.has(statement.text) }
    return await sql.unsafe<Row[]>(statement.text, [...statement.values], options)
  }
}

const asFieldError = (error: unknown): unknown => {
  if (codeOf(error) === '57014') {
    return fieldError('TOO_COSTLY', 'This took too long and was stopped. Ask for less, or by key.')
  }
  if (codeOf(error) === '42P01') return fieldError('UNAVAILABLE', 'This view is being replaced. Try again shortly.')
  return isRetriable(error)
    ? fieldError('UNAVAILABLE', 'The store cannot be reached at the moment. Try again shortly.')
    : error
}
