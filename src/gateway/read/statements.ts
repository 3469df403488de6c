/** Runs statements, and says what Postgres refused or could not do as the caller may hear it. */
import { codeOf, isRetriable, type Sql } from '../../platform/postgres.ts'
import { fieldError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Statement } from './row-sql.ts'
import { createTurns, left } from './turns.ts'

/** `prepare`: the text comes again, so that planning it once pays. `signal`: the statement is cancelled in Postgres when it aborts. */
export type Run = <Row extends object>(
  statement: Statement,
  prepare: boolean,
  signal?: AbortSignal,
) => Promise<readonly Row[]>

/** Every connection keeps what it prepared; callers choose fields freely, so there is an end to it. */
const preparedTexts = 500

/**
 * What rows are read through. No table of a view is read from end to end where an index has its rows in some order, a plan that looks
 * cheap for a small table included: it stays when the table is large. Nor is any of a page's work shared out or compiled.
 */
export const readPool = {
  max: 10,
  name: 'gateway reads',
  statementTimeoutMs: limits.statementMs,
  settings: { enable_seqscan: 'off', max_parallel_workers_per_gather: '0', jit: 'off' },
} as const

/** `watch` is called for each statement: tests compare them. */
export const createRunner = (sql: Sql, watch?: (statement: Statement) => void): Run => {
  const run = createStatements(sql, watch)
  return (statement, prepare, signal) =>
    run(statement, prepare, signal).catch((error: unknown) => Promise.reject(asFieldError(error))) as never
}

/** The same, but fails as Postgres does. */
export const createStatements = (sql: Sql, watch?: (statement: Statement) => void): Run => {
  const prepared = new Set<string>()
  const turns = createTurns({ running: sql.options.max, waiting: limits.waitingReads, waitMs: limits.statementMs })
  const send = async <Row extends object>(
    statement: Statement,
    prepare: boolean,
    signal: AbortSignal | undefined,
    again = true,
  ): Promise<readonly Row[]> => {
    if (signal?.aborted) throw left()
    watch?.(statement)
    const query = sql.unsafe<Row[]>(statement.text, [...statement.values], { prepare })
    const cancel = (): void => query.cancel()
    signal?.addEventListener('abort', cancel)
    try {
      return await query
    } catch (error) {
      if (signal?.aborted) throw left()
      // Who cancels, cancels what the connection does when that arrives: it may have been meant for the statement before.
      if (again && isCancelled(error)) return await send(statement, prepare, signal, false)
      throw error
    } finally {
      signal?.removeEventListener('abort', cancel)
    }
  }
  return <Row extends object>(statement: Statement, prepare: boolean, signal?: AbortSignal) => {
    if (prepare && prepared.size < preparedTexts) prepared.add(statement.text)
    return turns(() => send<Row>(statement, prepare && prepared.has(statement.text), signal), signal)
  }
}

/** By somebody, and not by the timeout. */
const isCancelled = (error: unknown): boolean =>
  codeOf(error) === '57014' && error instanceof Error && error.message.includes('user request')

const asFieldError = (error: unknown): unknown => {
  if (codeOf(error) === '57014') {
    return fieldError(
      'TOO_COSTLY',
      'This took too long and was stopped. Ask by key; or in a list for fewer rows, in an order of one field, or under a condition that fewer rows are read for: eq or in on a field with many values.',
    )
  }
  if (codeOf(error) === '42P01') return fieldError('UNAVAILABLE', 'This view is being replaced. Try again shortly.')
  return isRetriable(error)
    ? fieldError('UNAVAILABLE', 'The store cannot be reached at the moment. Try again shortly.')
    : error
}
