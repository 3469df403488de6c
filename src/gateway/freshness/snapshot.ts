/** One look at how far the store is: all that freshness is told by, of one moment. */

import type { Sql } from '../../platform/postgres.ts'
import { type Sequences, sequencesSql } from '../feed/sequences.ts'
import { type Registered, registeredSql } from './registered.ts'
import type { StoredPartition } from './source-state.ts'
import { type Parked, type ParkedKeys, parkedKeysSql } from './trouble.ts'

/** Times are milliseconds since 1970 by the primary's clock, rounded down. Offsets are text. */
export type Partition = StoredPartition & {
  readonly topic: string
  /** Of this topic and no other of its name; null: its log gives none. */
  readonly topicId: string | null
  readonly partition: number
  readonly epoch: number
  /** Where its present epoch began; null: it is the first. */
  readonly epochStart: string | null
  /** Of the source's own log: all that it had committed up to there is applied; null: not known, or it can't be asked. */
  readonly sourceLsn: string | null
  readonly frontier: number | null
}
/**
 * What a generation has in the dirty log of a path: `origin`: the earliest of its entries; null where none has one. `unknown`: one of them has
 * none. Below 0: keys that a path has led to.
 */
export type Pending = {
  readonly generation: number
  readonly path: number
  readonly origin: number | null
  readonly unknown: boolean
}
/** Of a path's entries that stem from changes of a partition: the first offset of the earliest batch. */
type PendingOffset = {
  readonly generation: number
  readonly path: number
  readonly topic: string
  readonly partition: number
  readonly first: string
}
/** A generation of which some rows, or every row, depend on records in quarantine (or did a moment ago), or on parked keys. */
type Degraded = { readonly generation: number; readonly every: boolean }
/** `filled`: its table holds all that it is to hold. */
export type Generation = {
  readonly generation: number
  readonly view: string
  readonly hash: string
  readonly filled: boolean
}
/**
 * `at`: milliseconds since 1970 by the primary's clock. `whole`: every source of the view can be asked, so that it is a bound about them.
 * Else it is one about the log, which the sources that can be asked hold back: what a connector has not sent is missing from its view,
 * however many other logs are read to their end.
 */
export type SourceBound = { readonly at: number; readonly whole: boolean }
/** `begun` and `at`: moments of the primary's clock before and after all that is seen. `sources`: by view, what its sources say. */
export type Snapshot = {
  readonly begun: number
  readonly at: number
  /** Which run of which server it is of: one that is started anew may stand further back. */
  readonly server: string
  readonly sources: ReadonlyMap<string, SourceBound>
  /** How far the change feeds were in it. */
  readonly feeds: Sequences
  readonly partitions: readonly Partition[]
  readonly pending: readonly Pending[]
  /** Null: nobody asked for it, or the log is too deep to be read for it. */
  readonly pendingOffsets: readonly PendingOffset[] | null
  readonly parked: readonly Parked[]
  readonly parkedKeys: readonly ParkedKeys[]
  readonly degraded: readonly Degraded[]
  readonly generations: readonly Generation[]
}

const milliseconds = (sql: string): string => `floor(extract(epoch from ${sql}) * 1000)::bigint`
const array = (item: string, from: string): string => `(select coalesce(json_agg(${item}), '[]') from (${from}) x)`
/**
 * By its index (generation, path, origin), from path to path: a maintainer that lags leaves a deep log, and an aggregate would read
 * all of it. Asked by snapshot, not by request (C32).
 */
const pendingSql = `select g.generation, p.path,
  ${milliseconds('(select d.origin from forebay.dirty d where d.generation = g.generation and d.path = p.path order by d.origin limit 1)')} as origin,
  exists (select from forebay.dirty d where d.generation = g.generation and d.path = p.path and d.origin is null) as unknown
  from forebay.generations g cross join lateral (
    with recursive paths (path) as (
      (select d.path from forebay.dirty d where d.generation = g.generation order by d.path limit 1)
      union all
      select (select d.path from forebay.dirty d where d.generation = g.generation and d.path > paths.path order by d.path limit 1)
      from paths where paths.path is not null)
    select path from paths where path is not null) p
  where g.retired_at is null`
const degradedSql = `select g.generation, exists (select from forebay.degraded d where d.generation = g.generation and d.key is null) as every
  from forebay.generations g where retired_at is null and exists (select from forebay.degraded d where d.generation = g.generation)`
/** Those that left quarantine before the earliest bound of all are surely in every view. */
const parkedSql = `select topic, entity, count(*) as count, (array_agg(concat_ws('-', topic, partition, "offset") order by id))[1] as oldest, ${milliseconds('max(settled_at)')} as "settledAt"
  from forebay.quarantine where state in ('PARKED', 'WAITING') or state in ('SUPERSEDED', 'REDRIVEN') and settled_at >= least(
    (select min(frontier) from forebay.positions), (select min(to_timestamp(p.origin / 1000.0)) from pending p))
  group by topic, entity, settled_at is null`
/** More entries than this aren't read for their offsets: then their origins tell. */
const mostOffsets = 1_000
const offsetsSql = `(with entries as materialized (
    select generation, path, offsets from forebay.dirty where offsets is not null and offsets <> '{}' limit ${mostOffsets + 1})
  select case when (select count(*) from entries) <= ${mostOffsets} then ${array(
    'x',
    `select generation, path, t.key as topic, p.key::int as partition, min(p.value::bigint)::text as first
     from entries cross join jsonb_each(offsets) t cross join jsonb_each_text(t.value) p group by 1, 2, 3, 4`,
  )} end)`
const snapshotSql = (offsets: boolean) => `with pending as materialized (${pendingSql}) select json_build_object(
  'pendingOffsets', ${offsets ? offsetsSql : 'null'},
  'partitions', ${array(
    'x',
    `select topic, topic_id as "topicId", partition, epoch,
    (select first_offset::text from forebay.epochs e where e.topic = p.topic and e.partition = p.partition and e.epoch = p.epoch) as "epochStart",
    source_lsn::text as "sourceLsn", next_offset::text as "nextOffset", ${milliseconds('frontier')} as frontier, ${milliseconds('source_frontier')} as "sourceFrontier", source_trouble as "sourceTrouble", state, reason, ${milliseconds('stopped_at')} as "stoppedAt", unasked, ${milliseconds('observed_at')} as "observedAt", observed_end::text as "observedEnd" from forebay.positions p order by topic, partition`,
  )},
  'feeds', ${sequencesSql},
  'pending', ${array('x', 'select * from pending')},
  'parked', ${array('x', parkedSql)},
  'parkedKeys', ${array('x', parkedKeysSql)},
  'degraded', ${array('x', degradedSql)},
  'generations', ${array('x', 'select generation, view, hash, filled_at is not null as filled from forebay.generations where retired_at is null')},
  'registered', ${registeredSql},
  'server', pg_postmaster_start_time()::text,
  'begun', ${milliseconds('statement_timestamp()')},
  'at', ${milliseconds('clock_timestamp()')})::text as snapshot`

const snapshotTexts = { with: snapshotSql(true), without: snapshotSql(false) } as const

/** One statement, so one moment. `offsets`: what is pending is to be told by its offsets too. Throws what Postgres throws. */
export const readSnapshot = async (
  sql: Sql,
  offsets = false,
): Promise<Snapshot & { readonly registered: Registered }> => {
  const text = snapshotTexts[offsets ? 'with' : 'without']
  const [row] = await sql.unsafe<{ snapshot: string }[]>(text, [], { prepare: true })
  type Stored = Omit<Snapshot, 'sources'> & { readonly registered: Registered }
  return { ...(JSON.parse(row!.snapshot) as Stored), sources: new Map() }
}
