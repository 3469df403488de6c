/** How fresh each view is, at /metrics. Ages grow while Postgres is away. */
import type { DatabaseClock } from '../../platform/clock.ts'
import { gauge } from '../../platform/metrics.ts'
import { type Basis, type ViewBasis, viewFreshness } from './freshness.ts'
import type { Seen, Watch } from './watch.ts'

const labels = ['view'] as const
const freshness = gauge({
  name: 'forebay_view_freshness_seconds',
  help: 'Age of asOf, the bound that answers state. +Inf: none is known.',
  labels,
})
const logFreshness = gauge({
  name: 'forebay_view_log_freshness_seconds',
  help: 'Age of the bound about the log. +Inf: none is known.',
  labels,
})
const promise = gauge({ name: 'forebay_view_max_lag_seconds', help: 'What the view promises.', labels })
const parkedOf = gauge({
  name: 'forebay_view_parked_keys',
  help: 'Keys of the view that could not be recomputed and are tried again.',
  labels,
})
const basisOf = gauge({
  name: 'forebay_view_basis',
  help: '1 where asOf is a bound of that: LOG, or what the sources had committed.',
  labels: ['view', 'basis'],
})
const bases: readonly Basis[] = ['LOG', 'SOURCE']

const everyMs = 1_000

/** Starts at once. */
export const watchViews = (
  watch: Pick<Watch, 'current'>,
  views: Iterable<ViewBasis>,
  clock: Pick<DatabaseClock, 'upper'>,
): { stop(): void } => {
  const all = [...views]
  let last: Seen | undefined
  const tell = (): void => {
    last = watch.current() ?? last
    if (last === undefined) return
    const now = clock.upper()
    for (const own of all) {
      const view = own.view.name
      const one = last.serving.views.get(view)?.basis ?? own
      const { asOf, logAsOf, basis, maxLagMs, parkedKeys } = viewFreshness(last, one, now)
      freshness.set({ view }, age(asOf, now))
      logFreshness.set({ view }, age(logAsOf ?? asOf, now))
      parkedOf.set({ view }, parkedKeys?.count ?? 0)
      promise.set({ view }, maxLagMs / 1_000)
      for (const name of bases) basisOf.set({ view, basis: name }, basis === name ? 1 : 0)
    }
  }
  tell()
  const timer = setInterval(tell, everyMs).unref()
  return { stop: () => clearInterval(timer) }
}

const age = (at: number | null, now: number): number =>
  at === null ? Number.POSITIVE_INFINITY : Math.max(0, now - at) / 1_000
