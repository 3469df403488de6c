/**
 * Takes away totals by step that no window reads any more, and what rows have added to them: in the background and in chunks. The floor comes
 * first, in a transaction of its own: below it nothing counts, so it doesn't matter where this is broken off.
 */
import type { ExpirySql } from '../model/sql/expiry.ts'
import { log } from '../platform/log.ts'
import { counter } from '../platform/metrics.ts'
import { codeOf, type Sql } from '../platform/postgres.ts'
import type { Catalog } from './generations.ts'

const expiredTotal = counter({
  name: 'forebay_window_rows_expired_total',
  help: 'Totals by step, and rows that they were added up from, taken away since no window reads them any more.',
  labels: ['view'],
})

const undefinedTable = '42P01'

/** `now`: for tests. */
export type ExpireSteps = { readonly chunk: number; readonly stopped: () => boolean; readonly now?: string }

/** Answers with the number of rows taken away. */
export const expireSteps = async (sql: Sql, { generations }: Catalog, how: ExpireSteps): Promise<number> => {
  let total = 0
  for (const { table, nodes } of generations)
    for (const { rollup } of nodes) {
      if (!rollup?.expiry || how.stopped()) continue
      try {
        const gone = await expire(sql, rollup.expiry, how)
        expiredTotal.inc({ view: table.view }, gone)
        total += gone
      } catch (error) {
        // A generation that was retired has its tables dropped.
        if (codeOf(error) !== undefinedTable) throw error
        log.debug('steps.gone', { view: table.view, hash: table.hash })
      }
    }
  return total
}

const expire = async (
  sql: Sql,
  { raise, collect }: ExpirySql,
  { chunk, stopped, now }: ExpireSteps,
): Promise<number> => {
  await sql.unsafe(raise, [now ?? null])
  let total = 0
  for (const statement of collect)
    for (let some = chunk; some === chunk && !stopped(); total += some)
      some = (await sql.unsafe(statement, [chunk])).length
  return total
}
