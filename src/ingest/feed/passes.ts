/** For a source that is read in passes (a poll, a file, an endpoint): when to begin the next one, and what `bound` may then say. */
import { setTimeout as sleep } from 'node:timers/promises'

export type Passes = {
  /** `pass` reads on; true: it came to the end of what there is. Ends with `stop`; a pass that throws ends it too. */
  run(pass: () => Promise<boolean>, stop: AbortSignal): Promise<void>
  /** Resolves once a pass that began after the call has come to the end; rejects when that can't be. */
  reached(): Promise<void>
}

export const passes = (everyMs: number): Passes => {
  let next = Promise.withResolvers<void>()
  let current: PromiseWithResolvers<void> | undefined
  const promise = (): PromiseWithResolvers<void> => {
    const made = Promise.withResolvers<void>()
    made.promise.catch(() => {})
    return made
  }
  next.promise.catch(() => {})
  return {
    reached: () => next.promise,
    async run(pass, stop) {
      try {
        while (!stop.aborted) {
          // Who asks from here on may have committed after this pass has looked.
          current ??= next
          next = next === current ? promise() : next
          if (!(await pass())) continue
          current.resolve()
          current = undefined
          await sleep(everyMs, undefined, { signal: stop }).catch(() => {})
        }
      } finally {
        for (const waiting of [current, next]) waiting?.reject(new Error('the feed has stopped'))
        current = undefined
        next = promise()
      }
    },
  }
}
