/**
 * Has the feed of a table read it anew, beside what it streams. The wish goes into the feed's cursor: whoever runs the feed finds the
 * cursor moved at its next append, and begins again from it, the wish included.
 */
import type { Sql } from '../../platform/postgres.ts'
import { anew } from './slot-feed.ts'

export type FedTable = { readonly topic: string; readonly connection: string; readonly polled: boolean }

/** False where there is nothing to read anew: the feed has not begun, so its first snapshot is still to come, or it is stuck. */
export const readAgain = async (sql: Sql, { topic, connection, polled }: FedTable): Promise<boolean> => {
  const rows = polled
    ? await sql`
        update forebay.cursors set version = version + 1, cursor = cursor - 'sweep' || '{"again": true}'
        where feed = ${topic} and state = 'RUNNING' and cursor is not null returning feed`
    : await sql`
        update forebay.cursors set version = version + 1,
          cursor = jsonb_set(cursor, '{again}', coalesce(cursor->'again', '[]') - ${topic}::text || to_jsonb(${topic}::text))
        where feed = ${connection} and state = 'RUNNING' and cursor is not null returning feed`
  return rows.length > 0
}

/**
 * Lets the slot feed of a connection go on after it got STUCK: with a new slot, and a new snapshot of all its tables. False where it
 * isn't stuck.
 *
 * The new snapshot may be of another server, whose log positions say nothing about those before. So each partition of its topics
 * applies what the journal holds of the old one and then begins a new epoch (C14), in which every read of the snapshot is later than all
 * that was. What is not in it is swept (C13).
 */
export const beginAnew = (sql: Sql, connection: string, topics: readonly string[]): Promise<boolean> =>
  sql.begin(async (tx) => {
    const [begun] = await tx`
      update forebay.cursors set version = version + 1, state = 'RUNNING', reason = null, cursor = ${JSON.stringify(anew)}::text::jsonb
      where feed = ${connection} and state = 'STUCK' returning feed`
    if (begun === undefined) return false
    // Nothing can be appended from here on to the commit: the fence of appends is the row above.
    await tx`
      with next as (
        select topic, max(greatest(epoch, (waits_for->>'epoch')::int)) + 1 as epoch from forebay.positions where topic = any (${[...topics]}) group by topic)
      update forebay.positions p
      set waits_for = jsonb_build_object('at', e.next_offset, 'epoch', n.epoch, 'ends', jsonb_build_object(p.partition, e.next_offset)),
        state = case p.state when 'STUCK' then 'RUNNING' else p.state end,
        reason = case when p.state <> 'STUCK' then p.reason end, stopped_at = case when p.state <> 'STUCK' then p.stopped_at end
      from forebay.journal_ends e join next n using (topic)
      where p.topic = e.topic and p.partition = e.partition`
    return true
  }) as Promise<boolean>
