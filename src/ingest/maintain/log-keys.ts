/** Keys as maintenance writes them into the dirty log. They are jsonb's own text: parsing them would cost 64-bit numbers their last digits. */
import { shardOf } from '../../model/sql/key.ts'
import type { Tx } from '../apply/fence.ts'
import { currentSlot } from '../dirty-log.ts'
import type { Origin } from './origin.ts'

/**
 * The log's number for a path is its place among its view's paths; below 0: keys that one of these has led to, so that what still waits
 * of a fan-out delays the fields that it touches and no others (C22). What path 0 leads to are the keys it has.
 */
export const keysBy = (path: number): number => (path === 0 ? 0 : -path - 1)
export const pathOf = (number: number): number => (number < 0 ? -number - 1 : number)

export const jsonArray = (keys: readonly string[]): string => `[${keys.join(',')}]`

/** Keys that one entry holds: more would have to be taken and put back by many rounds (C10). */
const entryKeys = 1_000

/** Puts keys into the log for whoever owns them, with the origin of what they came from. */
export const logKeys = (
  tx: Tx,
  generation: number,
  number: number,
  keys: readonly string[],
  { origin, offsets }: Origin,
): Promise<unknown> =>
  tx.unsafe(
    `insert into forebay.dirty (slot, generation, path, shard, keys, n, origin, offsets)
    select $1::smallint, $2::int, $3::int, shard, jsonb_agg(k), count(*), $5::timestamptz, $6::text::jsonb
    from (select k, shard, (row_number() over (partition by shard) - 1) / ${entryKeys} as part
      from (select k, ${shardOf('k')} as shard from jsonb_array_elements($4::text::jsonb) k) s) p
    group by shard, part`,
    [currentSlot(), generation, number, jsonArray(keys), origin, offsets],
    { prepare: true },
  )
