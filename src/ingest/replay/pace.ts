/**
 * How fast a replay may go. It works for a share of the time only (its duty), measured by how long its last batch took, so that it is
 * as gentle on a slow machine as on a fast one. The share grows while live work is far from what it promises and halves when that
 * comes near; while it has come too near, nothing is replayed at all, but for one batch now and then, so that a replay ends.
 */
import type { Pressure } from './pressure.ts'

export type PaceOptions = {
  readonly pressure: () => Promise<Pressure>
  /** What it waits for, each time that changes; undefined: it goes on. */
  readonly say: (why: string | undefined) => void
  readonly now?: () => number
  readonly sleep: (ms: number) => Promise<void>
}
export type Pace = {
  /** Settles when the next batch may be worked. */
  turn(): Promise<void>
  /** The share of the time that is worked, 0 to 1. */
  duty(): number
}

const leastDuty = 0.05
const mostDuty = 0.8
const firstDuty = 0.2
/** Under pressure, one batch in so long. */
const leastEveryMs = 5_000
const lookMs = 250
const askEveryMs = 100

export const createPace = ({ pressure, say, now = () => performance.now(), sleep }: PaceOptions): Pace => {
  let duty = firstDuty
  let began: number | undefined
  let last: { readonly at: number; readonly pressure: Pressure } | undefined

  const look = async (): Promise<Pressure> => {
    if (last && now() - last.at < askEveryMs) return last.pressure
    last = { at: now(), pressure: await pressure() }
    duty = adapted(duty, last.pressure.load)
    return last.pressure
  }

  return {
    duty: () => duty,
    async turn() {
      const ended = now()
      const worked = began === undefined ? 0 : ended - began
      let { load, why } = await look()
      const rest = worked * (1 / duty - 1) - (now() - ended)
      if (rest > 0) await sleep(Math.min(rest, leastEveryMs))
      if (load >= 1) {
        while (load >= 1 && now() - ended < leastEveryMs) {
          say(why)
          await sleep(lookMs)
          ;({ load, why } = await look())
        }
        if (load < 1) say(undefined)
      }
      began = now()
    },
  }
}

const adapted = (duty: number, load: number): number => {
  if (load >= 1) return Math.max(leastDuty, duty / 2)
  return load < 0.5 ? Math.min(mostDuty, duty * 1.05) : duty
}
