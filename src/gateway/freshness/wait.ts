/**
 * wait: holds a request back until the store is as fresh as it asks, for as long as it lets, or refuses it (STALE). Requests that wait share the
 * watch's looks: each is judged again when one has come, and none asks Postgres by itself.
 */
import { counter, gauge } from '../../platform/metrics.ts'
import { refusal, type Stale, staleError } from '../errors.ts'
import type { Asked } from './asked.ts'
import { iso, type ViewFreshness } from './freshness.ts'
import type { Judged } from './satisfies.ts'
import type { Seen, Watch } from './watch.ts'

/** Of each view that a request is about, by one snapshot. Throws UNAVAILABLE where nothing keeps one. */
export type JudgeAll = (seen: Seen) => ReadonlyMap<string, Judged & { readonly freshness: ViewFreshness }>
export type Waiting = {
  readonly asked: Asked
  readonly judge: JudgeAll
  /** Calls `left` when whoever asked is gone, unless what is returned was called before. */
  readonly gone: (left: () => void) => () => void
}
/** `seen`: what to answer from. `met`: false where it is older than asked, and that was to be served. */
export type Waited = { readonly seen: Seen; readonly met: boolean; readonly judged: ReturnType<JudgeAll> }

/** Requests that wait at the same time; more are treated as if they had asked to FAIL. */
const mostWaiting = 1_000
/** How long one look may take before a request that must not wait is judged by what is known. */
const patienceMs = 500

const waits = counter({
  name: 'forebay_freshness_waits_total',
  help: 'Requests that asked for more freshness than there was, by what became of them.',
  labels: ['result'],
})
const waitingNow = gauge({ name: 'forebay_freshness_waiting', help: 'Requests that wait for freshness.' })

/** `prompt`: asks ingest to find out where the logs end, after this moment of the primary's clock. */
export const createWait = (
  watch: Pick<Watch, 'look' | 'follow'>,
  prompt: (after: number) => void,
  most = mostWaiting,
) => {
  let waiting = 0

  const looked = async (offsets: boolean): Promise<Seen | undefined> => {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<undefined>((done) => {
      timer = setTimeout(() => done(undefined), patienceMs)
    })
    const seen = await Promise.race([watch.look(offsets), late])
    clearTimeout(timer)
    return seen
  }

  const hurry = ({ judged }: Waited): void => {
    const floor = promptFor(judged)
    if (floor !== undefined) prompt(floor)
  }

  /** The first look by which it is met, or the last before the time is over. */
  const untilMet = ({ judge, gone }: Waiting, known: Waited, ms: number): Promise<Waited> =>
    new Promise((done, fail) => {
      let last = known
      waiting += 1
      waitingNow.set(waiting)
      const end = (settle: () => void): void => {
        clearTimeout(timer)
        unfollow()
        stay()
        waiting -= 1
        waitingNow.set(waiting)
        settle()
      }
      const timer = setTimeout(() => end(() => done(last)), ms)
      const unfollow = watch.follow((seen) => {
        try {
          last = waited(seen, judge)
          if (last.met) end(() => done(last))
          else hurry(last)
        } catch (error) {
          end(() => fail(error))
        }
      })
      const stay = gone(() => end(() => fail(refusal('UNAVAILABLE', 'Whoever asked is gone.'))))
    })

  /** `known`: by which it is not met. Throws STALE, or UNAVAILABLE for who is gone. */
  return async (request: Waiting, known: Waited): Promise<Waited> => {
    const { asked, judge } = request
    const began = performance.now()
    if (asked.onStale === 'SERVE') {
      waits.inc({ result: 'served' })
      return known
    }
    if (asked.onStale === 'WAIT') hurry(known)
    const fresh = await looked(asked.after.length > 0)
    const now = fresh ? waited(fresh, judge) : known
    const ended = asked.onStale === 'FAIL' ? 'at once' : waiting < most ? 'waited' : 'full'
    const left = asked.waitMs - (performance.now() - began)
    const last = now.met || ended !== 'waited' || left <= 0 ? now : await untilMet(request, now, left)
    waits.inc({ result: last.met ? 'met' : ended === 'full' ? 'full' : 'stale' })
    if (last.met) return last
    throw staleError(staleOf(asked, last.judged, ended))
  }
}

/** How a request stands by a snapshot. */
export const waited = (seen: Seen, judge: JudgeAll): Waited => {
  const judged = judge(seen)
  return { seen, judged, met: [...judged.values()].every(({ met }) => met) }
}

/**
 * The latest moment after which logs have to be asked again before what is short can be known to be there. A position that isn't applied yet
 * is no such moment: asking doesn't bring it.
 */
const promptFor = (judged: ReturnType<JudgeAll>): number | undefined => {
  const floors = [...judged.values()].flatMap(({ floor, met }) =>
    met || floor === null || !Number.isFinite(floor) ? [] : [floor],
  )
  return floors.length > 0 ? Math.max(...floors) : undefined
}

const how = {
  waited: ({ waitMs }: Asked) => `after ${waitMs} ms of waiting`,
  'at once': () => 'and was not to be waited for',
  full: () => 'and too many requests wait already',
} as const

const staleOf = (asked: Asked, judged: ReturnType<JudgeAll>, ended: keyof typeof how): Stale => {
  const short = [...judged].filter(([, { met }]) => !met)
  const reasons = short.map(([view, { why }]) => `${view}: ${why.join('; ')}`)
  return {
    message: `This is not as fresh as asked ${how[ended](asked)}. ${reasons.join('. ')}.`,
    asked: {
      ...(typeof asked.maxStalenessMs === 'number' ? { maxStalenessMs: asked.maxStalenessMs } : {}),
      ...(asked.maxStalenessMs === 'PROMISED' ? { maxStaleness: 'PROMISED' } : {}),
      ...(asked.after.length > 0 ? { after: asked.after.length } : {}),
      consistency: asked.strong ? 'STRONG' : 'EVENTUAL',
      onStale: asked.onStale,
      waitMs: asked.waitMs,
    },
    views: Object.fromEntries(
      short.map(
        ([
          view,
          {
            why,
            freshness: { asOf, lagMs, state, sources },
          },
        ]) => [view, { asOf: iso(asOf), lagMs, state, why, sources }],
      ),
    ),
  }
}
