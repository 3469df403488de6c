/**
 * What Forebay would be without a rule: the smallest maintenance of one count per customer, on plain tables. Each test of a forced
 * interleaving plays its schedule here first, on the variant that breaks the rule, and sees it go wrong.
 *
 *   entity(id, parent) ─► dirty(seq, key) ─► view(parent, n): how many entities each parent has
 */
import type { ReservedSql } from 'postgres'
import { freshDatabase } from '../support/postgres.ts'

/** `begin` opens a transaction on a session of its own, whose statements run when the schedule says so. */
export const openNaive = async (ddl: string) => {
  const { sql, drop } = await freshDatabase()
  await sql.unsafe(ddl)
  const begin = async (): Promise<ReservedSql & { commit(): Promise<void> }> => {
    const session = await sql.reserve()
    await session`begin`
    const commit = async (): Promise<void> => {
      await session`commit`
      session.release()
    }
    return Object.assign(session, { commit })
  }
  return { sql, begin, close: drop }
}
