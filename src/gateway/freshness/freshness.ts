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
import { present } from '../../platform/present.ts'
import type { Generation, Partition, Pending, Snapshot } from './snapshot.ts'
import { missing, notRecomputed, type Parked, type ParkedKeys, quarantined, stopped, type Trouble } from './trouble.ts'

export type FreshnessState = 'FRESH' | 'LAGGING' | 'STALE' | 'DEGRADED' | 'UNKNOWN'
const worseLast: readonly FreshnessState[] = ['FRESH', 'LAGGING', 'STALE', 'DEGRADED', 'UNKNOWN']
export const worst = (states: readonly FreshnessState[]): FreshnessState =>
  worseLast[Math.max(0, ...states.map((state) => worseLast.indexOf(state)))]!

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
