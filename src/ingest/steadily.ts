/** Does something at a steady pace until stopped. What fails is said once, tried again at the next turn, and said to be over. */
import { setTimeout as sleep } from 'node:timers/promises'
import { log } from '../platform/log.ts'

export type Steady = { stop(): Promise<void> }

/** `name`: `<name>.failed` and `<name>.resumed` are logged. */
export const steadily = (name: string, everyMs: number, act: () => Promise<unknown>): Steady => {
  const stopped = new AbortController()
  const { signal } = stopped
  const loop = async (): Promise<void> => {
    let failing = false
    while (!signal.aborted) {
      const due = performance.now() + everyMs
      try {
        await act()
        if (failing) log.info(`${name}.resumed`)
        failing = false
      } catch (error) {
        if (!failing && !signal.aborted) log.warn(`${name}.failed`, { error })
        failing = true
      }
      await sleep(Math.max(0, due - performance.now()), undefined, { signal, ref: false }).catch(() => {})
    }
  }
  const running = loop()
  return {
    async stop() {
      stopped.abort()
      await running
    },
  }
}
