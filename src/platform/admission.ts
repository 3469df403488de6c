/**
 * How much is worked on at once. Beyond that some wait their turn, for a bounded time, and the rest are refused at once: a caller who is
 * told to come back in a second is served better than one whose answer comes after it gave up.
 */
import { HttpError } from './http-problem.ts'
import { counter, gauge, histogram } from './metrics.ts'

const running = gauge({ name: 'forebay_admission_running', help: 'Requests that are worked on.' })
const queued = gauge({ name: 'forebay_admission_waiting', help: 'Requests that wait for their turn.' })
const shed = counter({
  name: 'forebay_admission_refused_total',
  help: 'Requests refused because too much was asked at once.',
  labels: ['reason'],
})
const waited = histogram({ name: 'forebay_admission_wait_seconds', help: 'How long requests waited for their turn.' })

export type AdmissionLimits = {
  /** Worked on at once. */
  readonly running: number
  /** Waiting for their turn. */
  readonly waiting: number
  /** Waiting so long, milliseconds, means that no turn comes. */
  readonly waitMs: number
}
/** Statements go through few connections, so more at once is no faster; what waits beyond a second is worth less than an early no. */
const usualAdmission: AdmissionLimits = { running: 256, waiting: 1_024, waitMs: 1_000 }

type Turn = {
  readonly since: number
  readonly begin: () => void
  readonly refuse: (error: Error) => void
  over: boolean
}

export type Admission = {
  /** Does the work in its turn. Throws HttpError 503 with Retry-After where there is none. `gone`: of whoever asked, looked at only where it must wait. */
  run<T>(work: () => Promise<T>, asker: { readonly gone: AbortSignal }): Promise<T>
}

const overloaded = (reason: 'full' | 'late'): HttpError => {
  shed.inc({ reason })
  return new HttpError(
    503,
    { title: 'Overloaded', detail: 'More is asked than can be answered in time. Try again in a second.' },
    { 'Retry-After': '1' },
  )
}

export const createAdmission = (limits: AdmissionLimits = usualAdmission): Admission => {
  let busy = 0
  let waiting: Turn[] = []
  let timer: NodeJS.Timeout | undefined

  /** The oldest stand first, so it is enough to look at the head. */
  const dropLate = (): void => {
    const now = performance.now()
    while (waiting[0] && (waiting[0].over || now - waiting[0].since >= limits.waitMs)) {
      const turn = waiting.shift()!
      if (!turn.over) turn.refuse(overloaded('late'))
    }
    queued.set(waiting.length)
    clearTimeout(timer)
    timer = waiting[0] && setTimeout(dropLate, Math.max(1, limits.waitMs - (now - waiting[0].since)))
  }
  const next = (): void => {
    busy -= 1
    for (let turn = waiting.shift(); turn; turn = waiting.shift()) {
      if (turn.over) continue
      turn.begin()
      break
    }
    running.set(busy)
    queued.set(waiting.length)
  }
  const turnOf = (gone: AbortSignal): Promise<void> =>
    new Promise((begin, refuse) => {
      const since = performance.now()
      const turn: Turn = {
        since,
        over: false,
        begin: () => {
          busy += 1
          waited.observe((performance.now() - since) / 1_000)
          begin()
        },
        refuse,
      }
      gone.addEventListener(
        'abort',
        () => {
          turn.over = true
          waiting = waiting.filter((one) => one !== turn)
          queued.set(waiting.length)
          refuse(new Error('the caller went away'))
        },
        { once: true },
      )
      waiting.push(turn)
      queued.set(waiting.length)
      if (waiting.length === 1) dropLate()
    })

  return {
    run: async (work, asker) => {
      if (busy < limits.running) busy += 1
      else if (waiting.length < limits.waiting) await turnOf(asker.gone)
      else throw overloaded('full')
      running.set(busy)
      try {
        return await work()
      } finally {
        next()
      }
    },
  }
}
