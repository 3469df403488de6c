/** respond: what an answer says of its own freshness, in `extensions.freshness` and in headers. */
import { aged, type Basis, type FreshnessState, iso, type ViewFreshness, worst } from './freshness.ts'
import { positionToken } from './position-token.ts'
import type { Partition } from './snapshot.ts'
import type { Trouble } from './trouble.ts'

export type AnswerFreshness = {
  readonly asOf: string | null
  readonly lagMs: number | null
  readonly maxLagMs: number | null
  readonly state: FreshnessState
  /** What asOf is a bound of: the log, as far as it was written; SOURCE only where that is so of every view. */
  readonly basis: Basis
  readonly views: Readonly<Record<string, ViewAnswer>>
  /** How far the sources had been applied: for reading one's own writes. */
  readonly position: string
}
type ViewAnswer = {
  readonly asOf: string | null
  readonly lagMs: number | null
  readonly maxLagMs: number
  readonly state: FreshnessState
  readonly basis: Basis
  /** About the logs alone, where sources were asked too. */
  readonly logAsOf?: string
  readonly sources: readonly Trouble[]
}

const oldest = (bounds: readonly (number | null)[]): number | null =>
  bounds.length === 0 || bounds.includes(null) ? null : Math.min(...(bounds as number[]))

/** Of one view's partitions, which are the same array for as long as a snapshot lasts; for a while, since each costs a signature. */
const tokens = new WeakMap<readonly Partition[], { readonly at: number; readonly token: string }>()
const tokenMs = 100
/** `now` is rounded up: a later moment than that of the read is as true. */
const positionOf = (views: readonly ViewFreshness[], now: number, key: Buffer): string => {
  const at = Math.ceil(now / tokenMs) * tokenMs
  const [first, ...others] = views
  if (!first || others.length > 0) {
    const all = new Map(views.flatMap((view) => view.partitions).map((one) => [`${one.topic}-${one.partition}`, one]))
    return positionToken([...all.values()], at, key)
  }
  const known = tokens.get(first.partitions)
  if (known?.at === at) return known.token
  const token = positionToken(first.partitions, at, key)
  tokens.set(first.partitions, { at, token })
  return token
}

/** `views`: those that the answer speaks of; undefined for an answer without rows. `now`: the upper bound of the primary's clock. */
export const answerFreshness = (
  views: ReadonlyMap<string, ViewFreshness>,
  now: number,
  key: Buffer,
): AnswerFreshness | undefined => {
  if (views.size === 0) return undefined
  const named = [...views].map(([name, view]) => [name, aged(view, now)] as const)
  const all = named.map(([, view]) => view)
  const asOf = oldest(all.map((view) => view.asOf))
  return {
    asOf: iso(asOf),
    lagMs: asOf === null ? null : Math.max(0, now - asOf),
    maxLagMs: Math.min(...all.map((view) => view.maxLagMs)),
    state: worst(all.map((view) => view.state)),
    // A bound about sources is never later than the one about the log, so among others it counts as one of those.
    basis: all.every(({ basis }) => basis === 'SOURCE') ? 'SOURCE' : 'LOG',
    views: Object.fromEntries(named.map(([name, view]) => [name, viewAnswer(view)])),
    position: positionOf(all, now, key),
  }
}
const viewAnswer = ({ asOf, lagMs, maxLagMs, state, basis, logAsOf, sources }: ViewFreshness): ViewAnswer => ({
  asOf: iso(asOf),
  lagMs,
  maxLagMs,
  state,
  basis,
  ...(logAsOf === undefined ? {} : { logAsOf: new Date(logAsOf).toISOString() }),
  sources,
})

export const freshnessHeaders = (freshness: AnswerFreshness): readonly (readonly [string, string])[] => [
  ...(freshness.asOf === null ? [] : [['forebay-as-of', freshness.asOf] as const]),
  ['forebay-position', freshness.position],
  ['forebay-state', freshness.state],
]
