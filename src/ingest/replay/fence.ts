/**
 * A replay's first step of each transaction, as `takeFence` is live's: moves the job's own position by compare-and-set, so that of
 * two processes that work one job, or one that was stopped and wakes up, only one writes. It never moves beyond what live had applied of
 * the same epoch: what stands there in the log is live's to write.
 *
 * What its dirty entries carry (C22). An entry's origin is a moment before which nothing is missing from the view but for it. A replay
 * doesn't tell of a change that the view lacks: every record it reads was applied before, as it was understood then, and the frontier has
 * long gone past it. What the entry announces is that the row means something else from now on, so its view row equals its query at
 * every moment until now, and the origin is now: the transaction's own beginning, by the primary's clock. That is no earlier than any
 * frontier, so a replay holds asOf still for as long as its entries wait and never drags it back to the age of what it reads; nor
 * can it be left out, or asOf would pass a row that isn't what its query gives. It has no offsets, since a position token asks
 * whether a change has arrived, and it had.
 */
import type { Fence, Tx } from '../apply/fence.ts'
import type { Stretch } from '../apply/stretch.ts'
import { locks } from '../locks.ts'

export const replayFence =
  (id: number) =>
  async (tx: Tx, stretches: readonly Stretch[], catalog: number): Promise<Fence> => {
    const asked = JSON.stringify(
      stretches.map(({ topic, partition, from, to }) => ({
        topic,
        partition,
        expected: String(from),
        next: String(to),
      })),
    )
    const [, [row]] = await Promise.all([
      tx`select pg_advisory_xact_lock_shared(${locks.catalog}, 0)`,
      tx<{ catalog: number; moved: number; origin: string }[]>`
        with asked as materialized (
          select * from json_to_recordset(${asked}::text::json) as x(topic text, partition int, expected bigint, next bigint)),
        job as materialized (
          select id from forebay.replays where id = ${id} and state = 'RUNNING' for share),
        moved as (
          update forebay.replay_positions r set next_offset = a.next
          from job, asked a join forebay.positions live using (topic, partition)
          where r.replay = job.id and r.partition = a.partition and r.next_offset = a.expected
            and a.next <= r.until_offset and a.next <= live.next_offset and live.epoch = r.epoch
          returning 1)
        select (select version from forebay.catalog) as catalog, (select count(*)::int from moved) as moved, now() as origin`,
    ])
    if (row!.catalog !== catalog) return { kind: 'unknown-generation', registered: row!.catalog }
    if (row!.moved !== stretches.length) return { kind: 'lost' }
    return { kind: 'held', origin: row!.origin, offsets: '{}' }
  }
