/**
 * Statements on a replica; what it fails, or doesn't answer while it isn't heard of any more, the primary answers.
 *
 * Rows must be no earlier than the snapshot that a request stands on (C22). Within one run of a server that is so by itself: it replays on and on.
 * One that crashed may stand further back once it is up again, and behind one address there may be another server. So each
 * statement says which run of which server it was answered by, and what comes from any other isn't taken.
 */
import { GraphQLError } from 'graphql'
import { codeOf, isDataError } from '../../platform/postgres.ts'
import { hungMs, type Replica } from '../freshness/replicas.ts'
import type { Statement } from './row-sql.ts'
import { createStatements, type Run } from './statements.ts'

const lookMs = 250

/** One row at least comes; of none that was found it has a null `_row`. Its one outer row leaves the others in their order. */
const withServer = ({ text, values }: Statement): Statement => ({
  text: `select s._server, x.* from (select pg_postmaster_start_time()::text as _server) s left join (select true as _row, y.* from (${text}) y) x on true`,
  values,
})

/** `server`: as the snapshot has it. */
export const replicaRun = (
  replica: Replica,
  server: string,
  primary: Run,
  watch?: (statement: Statement) => void,
): Run => {
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
      type Answered = Row & { readonly _server: string; readonly _row: boolean | null }
      const rows = await unlessHung(run<Answered>(withServer(statement), prepare, signal))
      if (rows[0]?._server !== server) throw new Error('the replica was started anew, or is another')
      replica.served()
      return rows.flatMap(({ _server, _row, ...row }) => (_row ? [row as unknown as Row] : []))
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
