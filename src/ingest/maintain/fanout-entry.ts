/**
 * A raw value that leads to very many keys, as an entry of the dirty log: whoever reads the log's origins sees it like any other (C22), and who
 * takes it without knowing of its cursor only does all of it again. Live rounds leave such entries alone; see fanout.ts.
 *
 * Touched again while it runs, it goes on to its end, for the change that began it, and then once more from the start, for those that
 * came since: keys before the cursor have not seen them. A row that joins or leaves meanwhile is dirty by its own change.
 */
import { shardOf } from '../../model/sql/key.ts'
import type { Tx } from '../apply/fence.ts'
import { currentSlot } from '../dirty-log.ts'
import { earliest, type Origin } from './origin.ts'

/** A value that leads to more keys than this is a fan-out. */
export const wide = 1_000

/** `cursor`: as jsonb's own text; null before the first stretch. `again`: where what touched it since comes from. */
export type Progress = { readonly cursor: string | null; readonly again: Origin | null }

type Known = Origin & { readonly slot: number; readonly id: string; readonly fanout: string }

export const beginFanout = async (
  tx: Tx,
  generation: number,
  path: number,
  value: string,
  origin: Origin,
): Promise<void> => {
  const [known] = await tx.unsafe<Known[]>(
    `select slot, id, origin, offsets::text as offsets, fanout::text as fanout from forebay.dirty
    where fanout is not null and shard = ${shardOf('$3::text::jsonb')} and generation = $1::int and path = $2::int
      and keys = jsonb_build_array($3::text::jsonb) limit 1 for update`,
    [generation, path, value],
    { prepare: true },
  )
  if (known === undefined) {
    await tx.unsafe(
      `insert into forebay.dirty (slot, generation, path, shard, keys, n, origin, offsets, fanout)
      select $1::smallint, $2::int, $3::int, ${shardOf('k')}, jsonb_build_array(k), 1, $5::timestamptz, $6::text::jsonb, $7::text::jsonb
      from (select $4::text::jsonb as k) v`,
      [
        currentSlot(),
        generation,
        path,
        value,
        origin.origin,
        origin.offsets,
        progressText({ cursor: null, again: null }),
      ],
      { prepare: true },
    )
    return
  }
  const { cursor, again } = JSON.parse(known.fanout) as Progress
  const begun = cursor !== null
  await moveFanout(tx, known, earliest([known, origin]), {
    cursor,
    again: begun ? earliest(again ? [again, origin] : [origin]) : again,
  })
}

/** Into the log's present partition, so that the one where it began can be thrown away. */
export const moveFanout = (
  tx: Tx,
  { slot, id }: { readonly slot: number; readonly id: string },
  { origin, offsets }: Origin,
  progress: Progress,
): Promise<unknown> =>
  tx.unsafe(
    `update forebay.dirty set slot = $3::smallint, origin = $4::timestamptz, offsets = $5::text::jsonb, fanout = $6::text::jsonb
    where slot = $1::smallint and id = $2::bigint`,
    [slot, id, currentSlot(), origin, offsets, progressText(progress)],
    { prepare: true },
  )

const progressText = (progress: Progress): string => JSON.stringify(progress)
