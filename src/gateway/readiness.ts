/** Whether a gateway should get traffic: every view is kept and has a bound. */
import type { Readiness } from '../platform/health.ts'
import { type ViewBasis, viewFreshness } from './freshness/freshness.ts'
import type { Seen } from './freshness/watch.ts'

/** `now`: the upper bound of the primary's clock. */
export const readinessOf = (snapshot: Seen | undefined, bases: Iterable<ViewBasis>, now: number): Readiness => {
  if (!snapshot) return { ready: false, reason: 'Postgres does not answer' }
  // One that waits for somebody to act keeps no other view from being asked for.
  const { views, outdated } = snapshot.serving
  if (outdated.length > 0)
    return {
      ready: false,
      reason: `${outdated.join(', ')}: another definition has taken the place of this folder's, which is not kept any more; start with the folder that ingest has`,
    }
  const waiting = [...bases].filter((own) => {
    const basis = views.get(own.view.name)?.basis ?? own
    const { asOf, sources } = viewFreshness(snapshot, basis, now)
    return asOf === null && !sources.some(({ state }) => state === 'PAUSED')
  })
  const names = waiting.map(({ view }) => view.name).join(', ')
  return waiting.length === 0 ? { ready: true } : { ready: false, reason: `not caught up yet: ${names}` }
}
