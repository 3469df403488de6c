/** Does something at a steady pace until stopped. What fails is said once, tried again at the next turn, and said to be over. */
import { log } from '../platform/log.ts'

export type Steady = { stop(): Promise<void> }

/** `name`: `<name>.failed` and `<name>.resumed` are logged. */
export const steadily = (name: string, everyMs: number, act: () => Promise<unknown>): Steady => {
  const stopped = Promise.withResolvers<void>()
  let stopping = false
  const loop = async (): Promise<void> => {
    let failing = false
    while (!stopping) {
      const due = performance.now() + everyMs
      try {
        await act()
        if (failing) log.info(`${name}.resumed`)
        failing = false
      } catch (error) {
        if (!failing && !stopping) log.warn(`${name}.failed`, { error })
        failing = true
      }
      await Promise.race([stopped.promise, delay(Math.max(0, due - performance.now()))])
    }
  }
  const running = loop()
  return {
    async stop() {
      stopping = true
      stopped.resolve()
      await running
    },
  }
}

const delay = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms).unref())
