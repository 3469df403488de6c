/**
 * Whether what could be answered is as fresh as a request asks. One rule for the store, its replicas and every cache: a request has a floor for
 * each view, a moment of the primary's clock, and what is known to hold all that was in the log before that moment satisfies it. Tokens come
 * down to a moment too: once a snapshot taken at T shows their positions applied, whatever has asOf ≥ T holds them, since what was applied
 * before T has origins before T while it is pending.
 *
 * Rows read from Postgres have one more way: where the snapshot itself shows the positions applied and nothing pending at or below them.
 */
import type { Asked } from './asked.ts'
import { iso, isPendingUpTo, type Shown, type ViewBasis, type ViewFreshness } from './freshness.ts'
import { hasPassed } from './passed.ts'
import { type Required, type RequiredOffset, requiredName } from './position-token.ts'
import type { Snapshot } from './snapshot.ts'

/** `floor`: what a request needs, null where anything will do. `asOf`: of what could be answered; null: no bound is known. */
export const satisfies = (floor: number | null, asOf: number | null): boolean =>
  floor === null || (asOf !== null && asOf >= floor)

/**
 * Whether what is known to be as new as the snapshot is as good for a request as rows that are read now, where the snapshot is as fresh as asked:
 * unless it has had an answer whose rows may have been read after it.
 */
export const snapshotServes = (asked: Asked | undefined, { begun }: Pick<Snapshot, 'begun'>): boolean =>
  asked === undefined || asked.readAt === null || begun >= asked.readAt

/** `met`: rows that are read from here on, where the snapshot was taken, are as fresh as asked. */
export type Judged = {
  readonly met: boolean
  /** For what comes from elsewhere than those rows: infinite where nothing else can be known to do. */
  readonly floor: number | null
  /** What is missing; nothing where it is met. */
  readonly why: readonly string[]
}
const nothingAsked: Judged = { met: true, floor: null, why: [] }

/** The moment of the earliest known snapshot in which something held; undefined: in none yet. */
export type FirstSeen = (holds: (snapshot: Pick<Snapshot, 'partitions'>) => boolean) => number | undefined

export type Standing = {
  readonly snapshot: Snapshot
  readonly basis: ViewBasis
  readonly freshness: ViewFreshness
  readonly shown: Shown
  readonly firstSeen: FirstSeen
  /** The snapshot is of a replica: what has been read from the primary meanwhile may be further. */
  readonly replica?: boolean
}

export const judge = (asked: Asked | undefined, standing: Standing): Judged => {
  if (asked === undefined) return nothingAsked
  const { snapshot, basis, freshness, firstSeen } = standing
  const { asOf } = freshness
  const logAsOf = freshness.logAsOf ?? asOf
  const why: string[] = []
  const floors: number[] = []
  const need = (floor: number, bound: number | null, what: (behind: string) => string): void => {
    floors.push(floor)
    if (!satisfies(floor, bound))
      why.push(what(bound === null ? 'no bound is known' : `it is as of ${iso(bound)}, ${floor - bound} ms short`))
  }
  if (asked.maxStalenessMs !== null) {
    const promised = asked.maxStalenessMs === 'PROMISED'
    const most = asked.maxStalenessMs === 'PROMISED' ? basis.view.maxLagMs : asked.maxStalenessMs
    need(
      asked.arrived - most,
      asOf,
      (behind) => `at most ${most} ms stale was ${promised ? 'promised' : 'asked'}: ${behind}`,
    )
  }
  if (asked.strong)
    need(asked.arrived, logAsOf, (behind) => `all that was in the log when the request arrived was asked: ${behind}`)
  const own = asked.after.filter((one) => one.kind === 'LSN' || basis.topics.includes(one.topic))
  if (own.length > 0) {
    const at = firstSeen(({ partitions }) => own.every((one) => hasPassed(one, partitions, basis.topics)))
    floors.push(at ?? Number.POSITIVE_INFINITY)
    const missing = own.filter((one) => !hasPassed(one, snapshot.partitions, basis.topics))
    if (missing.length > 0) why.push(`not applied yet: ${named(missing)}`)
    else if (!isWorkedIn(own, standing) && !satisfies(at ?? Number.POSITIVE_INFINITY, logAsOf))
      why.push(`applied and not yet worked in: ${named(own)}`)
  }
  if (asked.readAt !== null) {
    floors.push(asked.readAt)
    if (standing.replica && !satisfies(asked.readAt, logAsOf)) why.push('an earlier answer may hold what is newer')
  }
  return { met: why.length === 0, floor: floors.length === 0 ? null : Math.max(...floors), why }
}

const isWorkedIn = (own: readonly Required[], { snapshot, basis, shown }: Standing): boolean => {
  const offsets = own.filter((one): one is RequiredOffset => one.kind === 'OFFSET')
  // Entries don't say which commit of their source they are of: then none at all may be left.
  const all = offsets.length < own.length
  return isPendingUpTo(snapshot, basis, shown, all ? 'ANY' : offsets) === false
}

const mostNamed = 5
const named = (some: readonly Required[]): string => {
  const names = some.slice(0, mostNamed).map(requiredName).join(', ')
  return some.length > mostNamed ? `${names} and ${some.length - mostNamed} more` : names
}
