/**
 * A circuit breaker: what all callers of one dependency know of it together. CLOSED: everybody may try. After some failures in a row
 * OPEN: nobody does until a delay with full jitter is over. Then HALF_OPEN: one caller tries for all.
 */
import { log } from './log.ts'
import { gauge } from './metrics.ts'

export type BreakerState = 'CLOSED' | 'HALF_OPEN' | 'OPEN'
export type Breaker = {
  state(): BreakerState
  /**
   * Runs `work` once it may be tried, and takes its outcome for the dependency's. Errors come through; one that `blames` says is not the
   * dependency's fault shows that it answers. Answers with undefined, `work` not run, when `over` settles first.
   */
  attempt<T>(
    work: () => Promise<T>,
    over: Promise<unknown>,
    blames?: (error: unknown) => boolean,
  ): Promise<T | undefined>
  /** For who is refused rather than waits: to be told of each outcome while CLOSED. */
  succeeded(): void
  failed(error: unknown): void
}
export type BreakerOptions = {
  /** As metrics and logs name it: `postgres`, `redis`, `kafka`. */
  readonly dependency: string
  /** Where it is, for the log; nothing secret. */
  readonly place?: string
  /** Failures in a row that open it. */
  readonly tolerated?: number
  readonly leastMs?: number
  readonly longestMs?: number
  /** Called each time it opens. */
  readonly opened?: () => void
}

const states = gauge({
  name: 'forebay_breaker_state',
  help: 'Of each dependency: 0 closed (used), 1 half-open (one try is under way), 2 open (not tried).',
  labels: ['dependency'],
})
const levels: Record<BreakerState, number> = { CLOSED: 0, HALF_OPEN: 1, OPEN: 2 }

/** Anything from 0 to the whole delay, so that who failed together doesn't come back together. `tries`: failures so far, from 1 on. */
export const fullJitter = (tries: number, leastMs: number, longestMs: number): number =>
  Math.random() * Math.min(longestMs, leastMs * 2 ** Math.min(tries, 20))

export const createBreaker = (options: BreakerOptions): Breaker => {
  const { dependency, tolerated = 3, leastMs = 100, longestMs = 5_000, opened } = options
  const named = { dependency, ...(options.place === undefined ? {} : { place: options.place }) }
  let state: BreakerState = 'CLOSED'
  let failures = 0
  let due = 0
  let moved = Promise.withResolvers<void>()
  const move = (to: BreakerState): void => {
    state = to
    states.set({ dependency }, levels[to])
    moved.resolve()
    moved = Promise.withResolvers()
  }
  move('CLOSED')

  const succeeded = (): void => {
    failures = 0
    if (state === 'CLOSED') return
    log.info('dependency.back', named)
    move('CLOSED')
  }
  const failed = (error: unknown): void => {
    // What was under way when it opened says nothing new.
    if (state === 'OPEN') return
    failures += 1
    if (failures < tolerated) return
    if (state === 'CLOSED') log.warn('dependency.away', { ...named, error })
    due = performance.now() + fullJitter(failures - tolerated + 1, leastMs, longestMs)
    move('OPEN')
    opened?.()
  }
  /** Whether the caller may try now; what it waits for otherwise. */
  const admitted = async (over: Promise<'over'>): Promise<boolean> => {
    for (;;) {
      if (state === 'CLOSED') return true
      const left = due - performance.now()
      if (state === 'OPEN' && left <= 0) {
        move('HALF_OPEN')
        return true
      }
      let timer: NodeJS.Timeout | undefined
      const waited = new Promise<void>((done) => {
        if (state === 'OPEN') timer = setTimeout(done, left)
      })
      const first = await Promise.race([over, moved.promise, waited])
      clearTimeout(timer)
      if (first === 'over') return false
    }
  }
  return {
    state: () => state,
    succeeded,
    failed,
    async attempt(work, over, blames = () => true) {
      if (state !== 'CLOSED' && !(await admitted(over.then(() => 'over' as const)))) return undefined
      try {
        const value = await work()
        succeeded()
        return value
      } catch (error) {
        if (blames(error)) failed(error)
        else succeeded()
        throw error
      }
    },
  }
}
