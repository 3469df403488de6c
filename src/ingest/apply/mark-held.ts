/** forebay.degraded: which rows of which views depend on what is held. A row it names is DEGRADED, and so is every row where `key` is null. */

import type { HeldPath } from '../../model/sql/held.ts'
import { log } from '../../platform/log.ts'
import { codeOf, isDataError } from '../../platform/postgres.ts'
import type { Tx } from './fence.ts'

type Marked = { readonly generation: number; readonly held: readonly HeldPath[] }

/**
 * Marks what depends on these records, or on everything that is held. Marks are only ever added, until what they stand for is settled:
 * a row that no longer depends on it is shown as degraded for longer than need be, never the other way round.
 */
export const markHeld = async (
  tx: Tx,
  generations: readonly Marked[],
  entities: ReadonlySet<string>,
  ids: readonly string[] | null,
): Promise<void> => {
  const marks = generations.flatMap(({ generation, held }) =>
    held.filter(({ entity }) => entities.has(entity)).map((path) => ({ generation, ...path })),
  )
  if (marks.length === 0) return
  try {
    await tx.savepoint((inner) =>
      Promise.all(
        marks.map(({ generation, mark }) =>
          inner.unsafe(mark, [generation, ids as string[] | null], { prepare: true }),
        ),
      ),
    )
  } catch (error) {
    if (!isDataError(error)) throw error
    // A value that could be read and can't be followed: then it isn't known which rows.
    log.warn('quarantine.unmarked', { sqlstate: codeOf(error) })
    for (const { generation, entity } of marks) {
      await tx`
        insert into forebay.degraded (quarantine, generation)
        select id, ${generation} from forebay.quarantine
        where entity = ${entity} and entity_key is not null and state in ('PARKED', 'WAITING')
          and (${ids as string[] | null}::bigint[] is null or id = any(${ids as string[] | null}::bigint[]))`
    }
  }
}

/** After rows were recomputed: what depends on the held keys by now. */
export const markHeldAgain = async (tx: Tx, generations: readonly Marked[]): Promise<void> => {
  const rows = await tx<{ entity: string }[]>`
    select distinct entity from forebay.quarantine where state in ('PARKED', 'WAITING') and entity_key is not null`
  if (rows.length > 0) await markHeld(tx, generations, new Set(rows.map(({ entity }) => entity)), null)
}
