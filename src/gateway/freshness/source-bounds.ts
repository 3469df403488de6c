/**
 * The bound about the sources' own commits (C23), in two steps. A partition's source frontier says that all its source had committed by
 * then is applied; whether it is in the view yet, the dirty log can't say, since entries carry frontiers of the log, which know nothing of
 * when a source committed. So what the source frontiers say at a moment T is kept until the bound about the log has reached T: entries of
 * what was applied before T have origins before T, so none of them is left then, and all that was committed before those frontiers is in
 * the view.
 */
import { logBound, type ViewBasis } from './freshness.ts'
import type { Snapshot, SourceBound } from './snapshot.ts'

/** What a bound will be once the log's has reached `from`. */
type Candidate = SourceBound & { readonly from: number }
type Known = { readonly waiting: Candidate[]; ripe?: SourceBound }
const mostWaiting = 64

/** Of snapshots in the order in which they were taken: by view, what its sources say; none where none of them can be asked. */
export const followSources = () => {
  /** A view that is answered from another generation depends on other sources, perhaps. */
  const known = new WeakMap<ViewBasis, Known>()
  return (snapshot: Snapshot, bases: readonly ViewBasis[]): ReadonlyMap<string, SourceBound> => {
    const found = new Map<string, SourceBound>()
    for (const basis of bases) {
      const { name } = basis.view
      const least = leastSourceFrontier(snapshot, basis)
      if (least === undefined) {
        known.delete(basis)
        continue
      }
      const one: Known = known.get(basis) ?? { waiting: [] }
      known.set(basis, one)
      const asOf = logBound(snapshot, basis)
      while (asOf !== null && one.waiting[0] && one.waiting[0].from <= asOf) one.ripe = one.waiting.shift()!
      if (!isSame(one.waiting.at(-1) ?? one.ripe, least)) one.waiting.push({ ...least, from: snapshot.at })
      // The oldest is ripe first; of the others the later ones say more.
      if (one.waiting.length > mostWaiting) one.waiting.splice(1, 1)
      if (one.ripe !== undefined) found.set(name, one.ripe)
    }
    return found
  }
}

const isSame = (one: SourceBound | undefined, other: SourceBound): boolean =>
  one !== undefined && one.at === other.at && one.whole === other.whole

const leastSourceFrontier = (snapshot: Snapshot, { topics }: ViewBasis): SourceBound | undefined => {
  const partitions = snapshot.partitions.filter(({ topic }) => topics.includes(topic))
  const frontiers = partitions.map(({ sourceFrontier }) => sourceFrontier).filter((one) => one !== null)
  if (frontiers.length === 0) return undefined
  const whole =
    frontiers.length === partitions.length && topics.every((topic) => partitions.some((one) => one.topic === topic))
  return { at: Math.min(...frontiers), whole }
}
