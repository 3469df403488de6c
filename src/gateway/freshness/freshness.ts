/**
 * How far the store is known to be, seen from one snapshot at a time.
 *
 *   asOf(view) = min(frontier of every partition of every topic it depends on, origin of each of its pending entries)
 *
 * That is the bound about the log (C22). Where each of the view's sources can be asked itself, asOf is the bound about what they had
 * committed (C23); where some can, it is no later than theirs: with a connector that is dead it holds still, though the log is read to its
 * end. A bound that is missing makes asOf unknown. A snapshot is taken before the rows of an answer are read, so it is a lower bound for them; ages are measured to the upper
 * bound of the primary's clock (C24).
 */

import type { Model, View } from '../../model/model.ts'
import type { Touched } from '../../model/reads.ts'
import { compileView } from '../../model/sql/compile-view.ts'
import type { ViewTable } from '../../model/view-table.ts'
import type { Sql } from '../../platform/postgres.ts'
import { present } from '../../platform/present.ts'
import { type Sequences, sequencesSql } from '../feed/sequences.ts'
import { type Registered, registeredSql } from './registered.ts'
import type { StoredPartition } from './source-state.ts'
import {
  missing,
  notRecomputed,
  type Parked,
  type ParkedKeys,
  parkedKeysSql,
  quarantined,
  stopped,
  type Trouble,
} from './trouble.ts'

export type FreshnessState = 'FRESH' | 'LAGGING' | 'STALE' | 'DEGRADED' | 'UNKNOWN'
const worseLast: readonly FreshnessState[] = ['FRESH', 'LAGGING', 'STALE', 'DEGRADED', 'UNKNOWN']
export const worst = (states: readonly FreshnessState[]): FreshnessState =>
  worseLast[Math.max(0, ...states.map((state) => worseLast.indexOf(state)))]!

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
type Pending = {
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
type Generation = {
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

/** What asOf is a bound of: the log, or what the sources themselves had committed. */
export type Basis = 'LOG' | 'SOURCE'
export type ViewFreshness = {
  readonly asOf: number | null
  /** Of rows with all their fields, and so never later. */
  readonly rowAsOf: number | null
  readonly lagMs: number | null
  readonly maxLagMs: number
  readonly state: FreshnessState
  readonly basis: Basis
  /** The bound about the logs alone, where sources were asked too: asOf is never later. */
  readonly logAsOf?: number
  /** Only what is out of order. */
  readonly sources: readonly Trouble[]
  readonly partitions: readonly Partition[]
  readonly held: Held
  readonly parkedKeys?: ParkedKeys
}
/**
 * Which of a view's rows depend on records in quarantine or on parked keys. A generation: those that forebay.degraded names, which is asked together with the
 * rows, since a record may be parked or settled after the snapshot.
 */
export type Held = 'none' | 'every' | { readonly generation: number }

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

/** What a view's freshness depends on; fixed by its declaration. */
export type ViewBasis = {
  readonly view: View
  readonly table: ViewTable
  readonly topics: readonly string[]
  readonly entities: readonly string[]
  /** By path: the fields that what it leads to can alter. */
  readonly touched: readonly Touched[]
}
export const viewBasis = (model: Model, view: View): ViewBasis => {
  const { table, paths, touched } = compileView(model, view)
  const entities = [...new Set(paths.map(({ entity }) => entity))]
  const topics = [...new Set(entities.map((name) => model.entities.get(name)!.source.topic))]
  return { view, table, topics, entities, touched }
}

/** The view's generation, or undefined while no maintainer has registered its table. */
export const generationOf = (snapshot: Snapshot, basis: ViewBasis): number | undefined =>
  keptOf(snapshot, basis)?.generation
const keptOf = ({ generations }: Snapshot, { view, table }: ViewBasis): Generation | undefined =>
  generations.find((one) => one.view === view.name && one.hash === table.hash)

/** The fields that an answer shows of rows whose place in it they don't decide; undefined: any. */
export type Shown = ReadonlySet<string> | undefined

/** What a snapshot says of a view at whatever time: worked out once, since a snapshot serves many requests. */
type Bound = Pick<ViewFreshness, 'asOf' | 'rowAsOf' | 'basis' | 'logAsOf' | 'partitions' | 'held' | 'parkedKeys'> & {
  readonly parked: readonly Parked[]
}
const bounds = new WeakMap<Snapshot, Map<ViewBasis, Map<Shown, Bound>>>()

const boundOf = (snapshot: Snapshot, basis: ViewBasis, asked: Shown): Bound => {
  const known = bounds.get(snapshot) ?? new Map<ViewBasis, Map<Shown, Bound>>()
  bounds.set(snapshot, known)
  const ofView = known.get(basis) ?? new Map<Shown, Bound>()
  known.set(basis, ofView)
  const shown = pendingOf(snapshot, basis).length > 0 ? asked : undefined
  let bound = ofView.get(shown)
  if (!bound) {
    bound = findBound(snapshot, basis, shown)
    ofView.set(shown, bound)
  }
  return bound
}

const pendingOf = (snapshot: Snapshot, basis: ViewBasis): readonly Pending[] => {
  const generation = generationOf(snapshot, basis)
  return snapshot.pending.filter((one) => one.generation === generation)
}

/** Whether what a path of the log leads to can alter what is shown. Below 0: keys that a path has led to. */
const touches = ({ touched }: ViewBasis, { path }: Pick<Pending, 'path'>, shown: Shown): boolean => {
  const fields = touched[path < 0 ? -path - 1 : path]
  return shown === undefined || fields === undefined || fields === 'ROW' || [...fields].some((one) => shown.has(one))
}

/**
 * Whether anything that stems from these changes still has to be worked into what is shown (C27): by offset, `next` being the one after the last
 * that matters; ANY: from whichever. Undefined: the snapshot doesn't say.
 */
export const isPendingUpTo = (
  snapshot: Snapshot,
  basis: ViewBasis,
  shown: Shown,
  upTo: readonly { readonly topic: string; readonly partition: number; readonly next: bigint }[] | 'ANY',
): boolean | undefined => {
  if (keptOf(snapshot, basis)?.filled !== true) return undefined
  if (!pendingOf(snapshot, basis).some((one) => touches(basis, one, shown))) return false
  if (upTo === 'ANY') return true
  const generation = generationOf(snapshot, basis)
  const offsets = snapshot.pendingOffsets
    ?.filter((one) => one.generation === generation && touches(basis, one, shown))
    .map(({ topic, partition, first }) => ({ topic, partition, first: BigInt(first) }))
  return offsets?.some(({ topic, partition, first }) =>
    upTo.some((one) => one.topic === topic && one.partition === partition && first < one.next),
  )
}

/** Milliseconds; null where it is not known. */
export const logBound = (snapshot: Snapshot, basis: ViewBasis, shown?: Shown): number | null => {
  const { topics } = basis
  const partitions = snapshot.partitions.filter(({ topic }) => topics.includes(topic))
  const pending = pendingOf(snapshot, basis).filter((one) => touches(basis, one, shown))
  const frontiers = partitions.map(({ frontier }) => frontier)
  const origins = pending.flatMap(({ origin }) => (origin === null ? [] : [origin]))
  const whole = topics.every((topic) => partitions.some((one) => one.topic === topic))
  const known = whole && keptOf(snapshot, basis)?.filled === true && !pending.some(({ unknown }) => unknown)
  if (!known || frontiers.includes(null)) return null
  return Math.min(...(frontiers as number[]), ...origins)
}

const findBound = (snapshot: Snapshot, basis: ViewBasis, shown: Shown): Bound => {
  const { topics, entities } = basis
  const partitions =
    shown === undefined
      ? snapshot.partitions.filter(({ topic }) => topics.includes(topic))
      : boundOf(snapshot, basis, undefined).partitions
  const logAsOf = logBound(snapshot, basis, shown)
  const source = snapshot.sources.get(basis.view.name)
  const sourced = logAsOf !== null && source !== undefined
  const asOf = sourced ? Math.min(logAsOf, source.at) : logAsOf
  const parked = snapshot.parked.filter(
    ({ entity, topic, settledAt }) =>
      (entity === null ? topics.includes(topic) : entities.includes(entity)) &&
      (settledAt === null || logAsOf === null || settledAt >= logAsOf),
  )
  return {
    asOf,
    rowAsOf: shown === undefined ? asOf : boundOf(snapshot, basis, undefined).asOf,
    basis: sourced && source.whole ? 'SOURCE' : 'LOG',
    ...(sourced ? { logAsOf } : {}),
    parked,
    partitions,
    held: heldOf(snapshot, basis),
    ...present({ parkedKeys: snapshot.parkedKeys.find((one) => one.generation === generationOf(snapshot, basis)) }),
  }
}

const heldOf = (snapshot: Snapshot, basis: ViewBasis): Held => {
  const generation = generationOf(snapshot, basis)
  const found = snapshot.degraded.find((one) => one.generation === generation)
  if (found === undefined) return 'none'
  return found.every ? 'every' : { generation: found.generation }
}

/** `now`: the upper bound of the primary's clock, in milliseconds. `shown`: where an answer is about these fields alone. */
export const viewFreshness = (snapshot: Snapshot, basis: ViewBasis, now: number, shown?: Shown): ViewFreshness => {
  const { parked, ...bound } = boundOf(snapshot, basis, shown)
  const { maxLagMs } = basis.view
  const lagMs = bound.asOf === null ? null : Math.max(0, now - bound.asOf)
  const sources = [
    ...missing(basis.topics, bound.partitions),
    ...stopped(bound.partitions, now),
    ...quarantined(parked),
    ...notRecomputed(basis.view.name, bound.parkedKeys),
  ]
  const degraded = parked.length > 0 || bound.parkedKeys !== undefined
  return { ...bound, lagMs, maxLagMs, state: stateOf(lagMs, maxLagMs, degraded), sources }
}

/** Of one row: what another depends on is not its trouble. */
export const rowState = ({ maxLagMs }: ViewFreshness, lagMs: number | null, degraded: boolean): FreshnessState =>
  stateOf(lagMs, maxLagMs, degraded)

const stateOf = (lagMs: number | null, maxLagMs: number, degraded: boolean): FreshnessState => {
  if (lagMs === null) return 'UNKNOWN'
  if (degraded) return 'DEGRADED'
  if (lagMs > maxLagMs) return 'STALE'
  return lagMs > maxLagMs / 2 ? 'LAGGING' : 'FRESH'
}

/** The same view at a later moment, or as an answer sees it that holds a row read at `asOf`, earlier than the snapshot. */
export const aged = (view: ViewFreshness, now: number, asOf = view.asOf): ViewFreshness => {
  if (view.asOf === null || asOf === null) return view
  const bound = Math.min(view.asOf, asOf)
  const lagMs = Math.max(0, now - bound)
  return { ...view, asOf: bound, lagMs, state: stateOf(lagMs, view.maxLagMs, view.state === 'DEGRADED') }
}

export const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString())
