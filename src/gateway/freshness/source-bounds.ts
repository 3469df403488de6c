/**
 * The bound about the sources' own commits (C23), in two steps. A partition's source frontier says that all its source had committed by
 * then is applied; whether it is in the view yet, the dirty log can't say, since entries carry frontiers of the log, which know nothing of
 * when a source committed. So what the source frontiers say at a moment T is kept until the bound about the log has reached T: entries of
 * what was applied before T have origins before T, so none of them is left then, and all that was committed before those frontiers is in
 * the view.
 */
import { logBound, type Snapshot, type ViewBasis } from './freshness.ts'

/** Milliseconds since 1970 by the primary's clock. `floor`: the least source frontier, as it was before `at`. */
type Candidate = { readonly floor: number; readonly at: number }
type Known = { readonly waiting: Candidate[]; ripe?: number }
const mostWaiting = 64

/** Of snapshots in the order in which they were taken: by view, its bound about its sources; none where one of them can't be asked. */
export const followSources = (bases: Iterable<ViewBasis>): ((snapshot: Snapshot) => ReadonlyMap<string, number>) => {
  const all = [...bases]
  const known = new Map<string, Known>()
  return (snapshot) => {
    const found = new Map<string, number>()
    for (const basis of all) {
      const { name } = basis.view
      const floor = leastSourceFrontier(snapshot, basis)
      if (floor === null) {
        known.delete(name)
        continue
      }
      const one: Known = known.get(name) ?? { waiting: [] }
      known.set(name, one)
      const asOf = logBound(snapshot, basis)
      while (asOf !== null && one.waiting[0] && one.waiting[0].at <= asOf) one.ripe = one.waiting.shift()!.floor
      if (one.waiting.at(-1)?.floor !== floor && one.ripe !== floor) one.waiting.push({ floor, at: snapshot.at })
      // The oldest is ripe first; of the others the later ones say more.
      if (one.waiting.length > mostWaiting) one.waiting.splice(1, 1)
      if (one.ripe !== undefined) found.set(name, one.ripe)
    }
    return found
  }
}

const leastSourceFrontier = (snapshot: Snapshot, { topics }: ViewBasis): number | null => {
  const partitions = snapshot.partitions.filter(({ topic }) => topics.includes(topic))
  const frontiers = partitions.map(({ sourceFrontier }) => sourceFrontier)
  const whole = topics.every((topic) => partitions.some((one) => one.topic === topic))
  return whole && frontiers.every((one) => one !== null) ? Math.min(...frontiers) : null
}
