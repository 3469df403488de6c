/**
 * The dirty log's room: entries go into one of four partitions by the minute, so that a partition that has been worked off can be
 * truncated whole and dead entries never slow the log down (C10).
 */
import type { Sql } from '../platform/postgres.ts'

const slots = 4
const slotMs = 60_000

export const currentSlot = (now: number = Date.now()): number => Math.floor(now / slotMs) % slots

/**
 * Truncates the partition that was written to before the last one, if it has been worked off. A slow writer may still be adding to it:
 * emptiness is judged under the lock, and a lock that isn't free at once is left for the next time.
 */
export const truncateSpentSlot = async (sql: Sql, now: number = Date.now()): Promise<void> => {
  const table = `forebay.dirty_${(currentSlot(now) + slots - 2) % slots}`
  await sql.begin(async (tx) => {
    const [used] = await tx.unsafe(
      `select pg_relation_size('${table}') > 0 and not exists (select from ${table}) as spent`,
    )
    if (!used?.spent) return
    await tx.unsafe(`lock table ${table} in access exclusive mode nowait`)
    const [left] = await tx.unsafe(`select exists (select from ${table}) as any`)
    if (!left?.any) await tx.unsafe(`truncate ${table}`)
  })
}
