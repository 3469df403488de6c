/** What an operator does about records in quarantine: redrive them after a fix, or drop them for a reason, which is kept. */
import { type HeldKey, isHeld } from '../../ingest/apply/quarantine.ts'
import type { Redriven, Redriver, Wish } from '../../ingest/apply/redrive.ts'
import type { Decoder } from '../../ingest/decode.ts'
import type { Sql } from '../../platform/postgres.ts'
import { type Drop, note } from './audit.ts'
import { dropUntold, type Ready, redriveUntold, type Selection } from './untold.ts'

/** `reread`: partitions that stood at a record and go on, from that record or from the next one. */
export type Done = Redriven & { readonly reread: number }

export type Means = {
  readonly sql: Sql
  readonly redriver: Redriver
  readonly decoder: Decoder
  /** Undefined: nothing is fetched. */
  readonly ready?: Ready | undefined
}

/** In the order of the log, key by key, with what waits behind. Idempotent. */
export const redriveQuarantined = async (
  { sql, redriver, decoder, ready }: Means,
  selection: Selection,
): Promise<Done> => {
  const untold = await redriveUntold(sql, decoder, selection, ready)
  const keys = await heldKeys(sql, selection)
  const ids = selection.ids && new Set(selection.ids)
  const wish: Wish = { chosen: ({ id, state }) => !ids || ids.has(id) || state === 'WAITING' }
  const done = await redriver.redrive(keys, wish)
  return { ...done, parked: done.parked + untold.parked, reread: untold.reread }
}

/** What waited behind a dropped record is redriven in its order, in the transaction that drops it. */
export const dropQuarantined = async ({ sql, redriver }: Means, drop: Drop): Promise<Done> => {
  const ids = new Set(drop.ids)
  const untold = await dropUntold(sql, drop)
  const keys = await heldKeys(sql, { ids: drop.ids })
  const done = await redriver.redrive(keys, {
    chosen: ({ state }) => state === 'WAITING',
    drops: { of: ({ id }) => ids.has(id), note: (tx, dropped) => note(tx, drop, dropped) },
  })
  return { ...done, dropped: done.dropped + untold.dropped, reread: untold.reread }
}

/** The keys of which something selected is held, in the order in which they came to be. */
const heldKeys = (sql: Sql, { ids, entity, topic }: Selection): Promise<readonly HeldKey[]> =>
  sql.unsafe<HeldKey[]>(
    `select entity, entity_key as key from forebay.quarantine
     where ${isHeld} and entity_key is not null and ($1::bigint[] is null or id = any($1::bigint[]))
       and ($2::text is null or entity = $2) and ($3::text is null or topic = $3)
     group by entity, entity_key order by min(id)`,
    [(ids as string[] | undefined) ?? null, entity ?? null, topic ?? null],
  )
