/** The frontier columns of forebay.positions: what was observed of each partition, and what has been applied past. One statement each (C32). */
import type { Sql } from '../../platform/postgres.ts'
import { unsweptTopics } from '../apply/snapshots.ts'
import { type Partition, partitionName } from '../source.ts'
import { columnsOf } from './positions.ts'

/**
 * An end that was asked for at `at`. `sourceAt`: everything the source had committed then was in the log when the end was asked for
 * (C23); null: nothing is known of that. Milliseconds since 1970 by the primary's clock. `sourceLsn`: where the source's own log stood then.
 */
export type Seen = {
  readonly end: bigint
  readonly at: number
  readonly sourceAt: number | null
  readonly sourceLsn: bigint | null
}
/** Ends asked for and not yet passed, oldest first. `sourced`: its source can be asked too. `trouble`: why that was long ago. */
export type Observed = {
  readonly partition: Partition
  readonly sourced: boolean
  readonly trouble: string | null
  /** Who reads the topic. */
  readonly entities: readonly string[]
  readonly seen: readonly Seen[]
}

/**
 * The latest observation that the position has passed becomes the frontier, the latest of all is kept for whoever asks about lag. A
 * partition that is paused is fresh for as long as its log holds nothing new. `patient`: waits for rows that an applier holds; the
 * others pass them by. Answers with the positions that were compared.
 *
 * A snapshot that a source sends anew says only by what it lacks which rows are gone there: until those are taken away (C13) nothing is a bound
 * about the source. What is applied by this statement's own snapshot has noted its snapshot; a position that was waited for may be later.
 */
export const writeFrontiers = async (
  sql: Sql,
  observed: readonly Observed[],
  patient: boolean,
): Promise<readonly (Partition & { readonly passed: bigint })[]> => {
  const flat = observed.flatMap(({ partition, seen, sourced, trouble }) =>
    seen.map((one) => ({ ...partition, sourced, trouble, ...one })),
  )
  const { topics, partitions } = columnsOf(flat)
  const readers = observed.flatMap(({ partition: { topic }, sourced, entities }) =>
    sourced ? entities.map((entity) => ({ topic, entity })) : [],
  )
  const rows = await sql<(Partition & { readonly passed: string })[]>`
    with seen as materialized (
      select topic, partition, "end", sourced, trouble, to_timestamp(at / 1000) as at, to_timestamp(source_at / 1000) as source_at, source_lsn
      from unnest(${topics}::text[], ${partitions}::int[], ${flat.map(({ end }) => String(end))}::bigint[], ${flat.map(({ at }) => at)}::float8[],
        ${flat.map(({ sourceAt }) => sourceAt)}::float8[], ${flat.map(({ sourced }) => String(sourced))}::boolean[],
        ${flat.map(({ trouble }) => trouble)}::text[], ${flat.map(({ sourceLsn }) => (sourceLsn === null ? null : String(sourceLsn)))}::bigint[])
        as x (topic, partition, "end", at, source_at, sourced, trouble, source_lsn)),
    held as materialized (
      select p.topic, p.partition, p.next_offset
      from forebay.positions p
      where p.state in ('RUNNING', 'PAUSED') and (p.topic, p.partition) in (select topic, partition from seen)
      order by p.topic, p.partition
      for no key update ${patient ? sql`` : sql`skip locked`}),
    reached as (select topic, partition, next_offset from forebay.positions),
    unswept as (
      ${unsweptTopics(sql, readers)}),
    best as (
      select h.topic, h.partition, h.next_offset, max(s.at) filter (where s."end" <= h.next_offset) as passed_at,
        max(s.source_at) filter (where s."end" <= r.next_offset and u.topic is null) as source_at,
        (array_agg(s.source_lsn order by s.source_at desc) filter (where s."end" <= r.next_offset and u.topic is null and s.source_at is not null))[1] as source_lsn, bool_or(s.sourced) as sourced, max(s.trouble) as trouble,
        max(s.at) as seen_at, max(s."end") as seen_end
      from held h join seen s using (topic, partition) join reached r using (topic, partition) left join unswept u using (topic)
      group by 1, 2, 3)
    update forebay.positions p
    set frontier = greatest(p.frontier, best.passed_at), source_frontier = case when best.sourced then greatest(p.source_frontier, best.source_at) end,
      -- Of the latest moment, not the greatest: a source that was restored stands further back.
      source_lsn = case when best.sourced then case when best.source_at >= coalesce(p.source_frontier, '-infinity') then best.source_lsn else p.source_lsn end end,
      source_trouble = best.trouble, observed_at = greatest(p.observed_at, best.seen_at), observed_end = best.seen_end, unasked = null
    from best
    where p.topic = best.topic and p.partition = best.partition
    returning p.topic, p.partition, best.next_offset as passed`
  return rows.map((row) => ({ ...row, passed: BigInt(row.passed) }))
}

/** Absent `partition`: every one of the topic's that has a position. */
export type Unasked = { readonly topic: string; readonly partition?: number; readonly reason: string }

/**
 * Says why partitions could not be asked for their ends; their frontiers stay. It is withdrawn by the next asking that is answered,
 * whichever process asks. Rows that an applier holds are left for the next time.
 */
export const writeUnasked = async (sql: Sql, unasked: readonly Unasked[]): Promise<void> => {
  await sql`
    with why as materialized (
      select * from unnest(${unasked.map(({ topic }) => topic)}::text[], ${unasked.map(({ partition }) => partition ?? null)}::int[],
        ${unasked.map(({ reason }) => reason)}::text[]) as x (topic, partition, reason)),
    held as (
      select p.topic, p.partition, w.reason from forebay.positions p
      join why w on w.topic = p.topic and (w.partition is null or w.partition = p.partition)
      where p.unasked is distinct from w.reason order by 1, 2 for no key update of p skip locked)
    update forebay.positions p set unasked = h.reason from held h where p.topic = h.topic and p.partition = h.partition`
}

/** Those of the partitions that are not in an answer. */
export const missingFrom = (known: Iterable<Partition>, answered: readonly Partition[]): readonly Partition[] => {
  const names = new Set(answered.map(partitionName))
  return [...known].filter((partition) => !names.has(partitionName(partition)))
}
