/**
 * Has the feed of a table read it anew, beside what it streams. The wish goes into the feed's cursor: whoever runs the feed finds the
 * cursor moved at its next append, and begins again from it, the wish included.
 */
import type { Sql } from '../../platform/postgres.ts'

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
        where feed = ${connection} and state = 'RUNNING' and cursor->>'slot' = 'MADE' returning feed`
  return rows.length > 0
}
