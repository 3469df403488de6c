/**
 * Waiting that can be cut short, again and again. A `Promise.race` against one promise that stands for the interruption leaves its
 * reaction there each time, for as long as that promise lives: here who has waited leaves nothing behind.
 */
export type Interruption = {
  /** Whoever waits now goes on; who comes later waits anew. */
  interrupt(): void
  /** What `work` comes to, unless it is interrupted, or `ms` have passed, before that. */
  first<T>(work: Promise<T>, ms: number): Promise<T | 'interrupted' | 'late'>
  pause(ms: number): Promise<unknown>
}

const never = (): Promise<never> => new Promise(() => {})

export const interruption = (): Interruption => {
  const waiting = new Set<() => void>()
  const first = async <T>(work: Promise<T>, ms: number): Promise<T | 'interrupted' | 'late'> => {
    const cut = Promise.withResolvers<'interrupted' | 'late'>()
    const interrupted = () => cut.resolve('interrupted')
    const timer = setTimeout(() => cut.resolve('late'), ms).unref()
    waiting.add(interrupted)
    try {
      return await Promise.race([work, cut.promise])
    } finally {
      waiting.delete(interrupted)
      clearTimeout(timer)
    }
  }
  return {
    interrupt() {
      for (const go of waiting) go()
    },
    first,
    pause: (ms) => first(never(), ms),
  }
}
