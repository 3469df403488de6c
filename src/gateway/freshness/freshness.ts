/**
 * How far the store is known to be, seen from one snapshot at a time.
 *
 *   asOf(view) = min(frontier of every partition of every topic it depends on, origin of each of its pending entries)
 *
 * A bound that is missing makes asOf unknown. A snapshot is taken before the rows of an answer are read, so it is a lower bound
 * for them; ages are measured to the upper bound of the primary's clock (C24).
 */

import type { Model, View } from '../../model/model.ts'
import { compileView } from '../../model/sql/compile-view.ts'
import type { ViewTable } from '../../model/view-table.ts'
import type { Sql } from '../../platform/postgres.ts'

export type FreshnessState = 'FRESH' | 'LAGGING' | 'STALE' | 'DEGRADED' | 'UNKNOWN'
const worseLast: readonly FreshnessState[] = ['FRESH', 'LAGGING', 'STALE', 'DEGRADED', 'UNKNOWN']
export const worst = (states: readonly FreshnessState[]): FreshnessState =>
  worseLast[Math.max(0, ...states.map((state) => worseLast.indexOf(state)))]!

/** Times are milliseconds since 1970 by the primary's clock, rounded down. Offsets are text. */
export type Partition = {
  readonly topic: string
  readonly partition: number
  readonly epoch: number
  readonly nextOffset: string
  readonly frontier: number | null
  readonly state: 'RUNNING' | 'PAUSED' | 'STUCK'
  readonly reason: string | null
}
type Pending = {
  readonly generation: number
  readonly origin: number | null
  readonly unknown: number
  readonly entries: number
}
/** Records in quarantine. `entity` is null where even that could not be told. */
export type Parked = {
  readonly topic: string
  readonly entity: string | null
  readonly count: number
  readonly oldest: string
}
type Generation = { readonly generation: number; readonly view: string; readonly hash: string }
export type Snapshot = {
  readonly partitions: readonly Partition[]
  readonly pending: readonly Pending[]
  readonly parked: readonly Parked[]
  readonly generations: readonly Generation[]
}

export type Trouble = {
  readonly source: string
  readonly state: 'PAUSED' | 'STUCK' | 'PARKED'
  readonly detail: string
}
export type ViewFreshness = {
  readonly asOf: number | null
  readonly lagMs: number | null
  readonly maxLagMs: number
  readonly state: FreshnessState
  /** Only what is out of order. */
  readonly sources: readonly Trouble[]
  readonly partitions: readonly Partition[]
}

const milliseconds = (sql: string): string => `floor(extract(epoch from ${sql}) * 1000)::bigint`
const array = (item: string, from: string): string => `(select coalesce(json_agg(${item}), '[]') from (${from}) x)`
/** Where its reader waits at a record that it can't read yet, a partition is paused, though it may be read. */
const stateSql = `case when state = 'RUNNING' and reason is not null then 'PAUSED' else state end`
const snapshotSql = `select json_build_object(
  'partitions', ${array('x', `select topic, partition, epoch, next_offset::text as "nextOffset", ${milliseconds('frontier')} as frontier, ${stateSql} as state, reason from forebay.positions order by topic, partition`)},
  'pending', ${array('x', `select generation, ${milliseconds('min(origin)')} as origin, count(*) filter (where origin is null) as unknown, count(*) as entries from forebay.dirty group by generation`)},
  'parked', ${array('x', `select topic, entity, count(*) as count, (array_agg(concat_ws('-', topic, partition, "offset") order by id))[1] as oldest from forebay.quarantine where state = 'PARKED' group by topic, entity`)},
  'generations', ${array('x', 'select generation, view, hash from forebay.generations where retired_at is null')})::text as snapshot`

/** One statement, so one moment. Throws what Postgres throws. */
export const readSnapshot = async (sql: Sql): Promise<Snapshot> => {
  const [row] = await sql.unsafe<{ snapshot: string }[]>(snapshotSql, [], { prepare: true })
  return JSON.parse(row!.snapshot) as Snapshot
}

/** What a view's freshness depends on; fixed by its declaration. */
export type ViewBasis = {
  readonly view: View
  readonly table: ViewTable
  readonly topics: readonly string[]
  readonly entities: readonly string[]
}
export const viewBasis = (model: Model, view: View): ViewBasis => {
  const { table, paths } = compileView(model, view)
  const entities = [...new Set(paths.map(({ entity }) => entity))]
  const topics = [...new Set(entities.map((name) => model.entities.get(name)!.source.topic))]
  return { view, table, topics, entities }
}

/** The view's generation, or undefined while no maintainer has registered its table. */
export const generationOf = (snapshot: Snapshot, { view, table }: ViewBasis): number | undefined =>
  snapshot.generations.find((one) => one.view === view.name && one.hash === table.hash)?.generation

/** What a snapshot says of a view at whatever time: worked out once, since a snapshot serves many requests. */
type Bound = Pick<ViewFreshness, 'asOf' | 'sources' | 'partitions'> & { readonly degraded: boolean }
const bounds = new WeakMap<Snapshot, Map<ViewBasis, Bound>>()

const boundOf = (snapshot: Snapshot, basis: ViewBasis): Bound => {
  let known = bounds.get(snapshot)
  if (!known) {
    known = new Map()
    bounds.set(snapshot, known)
  }
  let bound = known.get(basis)
  if (!bound) {
    bound = findBound(snapshot, basis)
    known.set(basis, bound)
  }
  return bound
}

const findBound = (snapshot: Snapshot, basis: ViewBasis): Bound => {
  const { topics, entities } = basis
  const partitions = snapshot.partitions.filter(({ topic }) => topics.includes(topic))
  const generation = generationOf(snapshot, basis)
  const pending = snapshot.pending.filter((one) => one.generation === generation)
  const known =
    generation !== undefined &&
    topics.every((topic) => partitions.some((one) => one.topic === topic)) &&
    pending.every(({ unknown }) => unknown === 0)
  const limits = [...partitions.map(({ frontier }) => frontier), ...pending.map(({ origin }) => origin)]
  const asOf = known && limits.every((limit) => limit !== null) ? Math.min(...limits) : null
  const parked = snapshot.parked.filter(({ entity, topic }) =>
    entity === null ? topics.includes(topic) : entities.includes(entity),
  )
  return { asOf, degraded: parked.length > 0, sources: [...stopped(partitions), ...quarantined(parked)], partitions }
}

/** `now`: the upper bound of the primary's clock, in milliseconds. */
export const viewFreshness = (snapshot: Snapshot, basis: ViewBasis, now: number): ViewFreshness => {
  const { asOf, degraded, sources, partitions } = boundOf(snapshot, basis)
  const { maxLagMs } = basis.view
  const lagMs = asOf === null ? null : Math.max(0, now - asOf)
  return { asOf, lagMs, maxLagMs, state: stateOf(lagMs, maxLagMs, degraded), sources, partitions }
}

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

const stopped = (partitions: readonly Partition[]): Trouble[] =>
  partitions.flatMap(({ topic, partition, state, reason }) =>
    state === 'RUNNING' ? [] : [{ source: `${topic}-${partition}`, state, detail: reason ?? state.toLowerCase() }],
  )
const quarantined = (parked: readonly Parked[]): Trouble[] =>
  parked.map(({ topic, count, oldest }) => ({
    source: topic,
    state: 'PARKED',
    detail: `${count} ${count === 1 ? 'record' : 'records'} in quarantine, the oldest at ${oldest}`,
  }))

export const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString())
