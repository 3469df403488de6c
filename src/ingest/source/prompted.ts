/**
 * Logs are asked where they end at a steady pace; who waits for the answer has them asked at once (C28). One asking serves everybody who wants
 * it to be after a moment that has passed when it begins.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { log } from '../../platform/log.ts'
import { observeChannel } from '../../platform/observe-channel.ts'
import type { Sql } from '../../platform/postgres.ts'

export type PromptedOptions = {
  /** Lower bound of the primary's clock, milliseconds. */
  readonly now: () => number
  /** Asks; answers with the moment at which it began to. */
  readonly ask: () => Promise<number>
  /** Whether all that was there then is applied by now, and said to be. */
  readonly settle: (after: number) => Promise<boolean>
}

/** A moment further ahead than this is no request's: clocks are bounded more closely. */
const farthestMs = 1_000
/** How soon what was asked for is looked at again, and for how long; then the steady pace goes on with it. */
const soonMs = 5
const hurryMs = 300
/** Between two askings, however many wait. */
const apartMs = 20

export const createPrompted = ({ now, ask, settle }: PromptedOptions): ((after: number) => void) => {
  let [wanted, asked, begun] = [0, 0, Number.NEGATIVE_INFINITY]
  let busy = false
  const answer = async (): Promise<void> => {
    await sleep(Math.max(0, begun + apartMs - performance.now()))
    const after = wanted
    while (now() < after) await sleep(1)
    begun = performance.now()
    asked = Math.max(asked, await ask())
    const until = performance.now() + hurryMs
    // Who comes meanwhile wants a later asking; it settles what is left of this one too.
    while (!(await settle(after)) && performance.now() < until && wanted <= asked) await sleep(soonMs)
  }
  const run = async (): Promise<void> => {
    busy = true
    while (wanted > asked) {
      try {
        await answer()
      } catch (error) {
        log.warn('observation.prompted.failed', { error })
        break
      }
    }
    busy = false
  }
  return (after) => {
    if (!(after <= now() + farthestMs) || after <= wanted) return
    wanted = after
    if (!busy) void run()
  }
}

/** Where gateways ask. While that can't be listened to, logs are asked at their steady pace. */
export const listenForPrompts = (sql: Sql, observer: { prompt(after: number): void }): { stop(): Promise<void> } => {
  const listening = sql.listen(observeChannel, (after) => observer.prompt(Number(after)))
  listening.catch((error: unknown) => log.warn('prompts not listened to', { error }))
  return {
    async stop() {
      await (await listening.catch(() => undefined))?.unlisten().catch(() => {})
    },
  }
}
