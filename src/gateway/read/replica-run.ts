/** Statements on a replica; what it fails, or doesn't answer while it isn't heard of any more, the primary answers. */

import { GraphQLError } from 'graphql'
import { codeOf, isDataError } from '../../platform/postgres.ts'
import { hungMs, type Replica } from '../freshness/replicas.ts'
import type { Statement } from './row-sql.ts'
import { createStatements, type Run } from './statements.ts'

const lookMs = 250

export const replicaRun = (replica: Replica, primary: Run, watch?: (statement: Statement) => void): Run => {
  const run = createStatements(replica.sql, watch)

  const unlessHung = async <T>(work: Promise<T>): Promise<T> => {
    let timer: NodeJS.Timeout | undefined
    const hung = new Promise<never>((_, fail) => {
      const look = (): void => {
        if (replica.silentMs() >= hungMs) fail(new Error('the replica is not heard of any more'))
        else timer = setTimeout(look, lookMs)
      }
      timer = setTimeout(look, lookMs)
    })
    try {
      return await Promise.race([work, hung])
    } finally {
      clearTimeout(timer)
    }
  }
  return async <Row extends object>(statement: Statement, prepare: boolean, signal?: AbortSignal) => {
    try {
      const rows = await unlessHung(run<Row>(statement, prepare, signal))
      replica.served()
      return rows
    } catch (error) {
      if (signal?.aborted) throw error
      // What is the statement's own fault, or takes too long, says nothing of the replica; the primary says it as it is to be said.
      const own = isDataError(error) || isTimeout(error) || error instanceof GraphQLError
      if (!own) replica.failed(error)
      return await primary<Row>(statement, prepare, signal)
    }
  }
}

const isTimeout = (error: unknown): boolean => codeOf(error) === '57014'
