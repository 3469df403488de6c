/**
 * The fence: an apply transaction's first step. It moves every position of its batch by compare-and-set, so a consumer that has lost
 * its partition without noticing can't write, nor one that has not noticed that the partition's epoch has changed or is about to (C16).
 */
import type postgres from 'postgres'
import { locks } from '../locks.ts'
import type { Stretch } from './stretch.ts'

export type Tx = postgres.TransactionSql
/**
 * What the log entries say of where they come from (C22). `origin`: the earliest frontier before the batch; null: one has none yet.
 * `origins`: the same by topic, where that is known: a topic's changes depend on its own frontier alone, so that another's that lags holds
 * back nothing else. `offsets`: where the batch began, as JSON.
 */
export type Origins = {
  readonly origin: string | null
  readonly origins?: ReadonlyMap<string, string | null>
  readonly offsets: string
}
export type Fence =
  | (Origins & { readonly kind: 'held' })
  | { readonly kind: 'lost' }
  | { readonly kind: 'unknown-generation'; readonly registered: number }

/**
 * Registering a generation and truncating exclude every other writer: after the former none may miss its entries (C8), after the
 * latter none may store what lies below its floor (C17). What is read of the catalog must come from a later statement, by a
 * snapshot that sees what the lock has waited for.
 */
export const lockCatalog = (tx: Tx, mode: 'shared' | 'exclusive'): Promise<unknown> =>
  mode === 'shared'
    ? tx`select pg_advisory_xact_lock_shared(${locks.catalog}, 0)`
    : tx`select pg_advisory_xact_lock(${locks.catalog}, 0)`

/** For writers that move no position: no views can be registered until the transaction ends. Answers with the catalog's version. */
export const holdCatalog = async (tx: Tx): Promise<number> => {
  const [, [row]] = await Promise.all([
    lockCatalog(tx, 'shared'),
    tx<{ version: number }[]>`select version from forebay.catalog`,
  ])
  return row!.version
}

type Before = { readonly topic: string; readonly frontier: string | null }

export const takeFence = async (
  tx: Tx,
  stretches: readonly Stretch[],
  catalog: number,
  mode: 'shared' | 'exclusive' = 'shared',
): Promise<Fence> => {
  const asked = JSON.stringify(
    stretches.map(({ topic, partition, from, to, epoch }) => ({
      topic,
      partition,
      expected: String(from),
      next: String(to),
      epoch,
    })),
  )
  const [, [row]] = await Promise.all([
    lockCatalog(tx, mode),
    tx<{ catalog: number; moved: number; origins: readonly Before[] | null }[]>`
      with asked as materialized (
        select * from json_to_recordset(${asked}::text::json) as x(topic text, partition int, expected bigint, next bigint, epoch int)),
      held as materialized (
        select p.topic, p.partition, p.frontier from forebay.positions p join asked a using (topic, partition)
        where p.next_offset = a.expected and p.state = 'RUNNING' and p.epoch = a.epoch
          and (p.waits_for is null or a.next <= (p.waits_for->>'at')::bigint)
        order by p.topic, p.partition for update of p),
      moved as (
        update forebay.positions p set next_offset = a.next from asked a join held h using (topic, partition)
        where p.topic = a.topic and p.partition = a.partition and p.next_offset = a.expected returning 1)
      select (select version from forebay.catalog) as catalog, (select count(*)::int from moved) as moved,
        (select json_agg(b) from (
          select topic, case when bool_and(frontier is not null) then min(frontier)::text end as frontier from held group by topic) b) as origins`,
  ])
  if (row!.catalog !== catalog) return { kind: 'unknown-generation', registered: row!.catalog }
  if (row!.moved !== stretches.length) return { kind: 'lost' }
  const offsets: Record<string, Record<string, string>> = {}
  for (const { topic, partition, from } of stretches) offsets[topic] = { ...offsets[topic], [partition]: String(from) }
  const origins = new Map(row!.origins?.map(({ topic, frontier }) => [topic, frontier]))
  const all = [...origins.values()]
  // In one form and in UTC, instants compare as text.
  const origin = all.includes(null) ? null : ((all as string[]).sort()[0] ?? null)
  return { kind: 'held', origin, origins, offsets: JSON.stringify(offsets) }
}
