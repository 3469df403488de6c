/** How a long-running verb begins and ends: everything it opened is closed in the reverse order, whatever ends it. */
import { setTimeout as sleep } from 'node:timers/promises'
import { log } from './log.ts'

export type Lifetime = {
  /** What to close at the end; `defer` each thing as soon as it is open. */
  readonly resources: AsyncDisposableStack
  /** Closing may take so much longer than usual, milliseconds. */
  allow(ms: number): void
  /** Ends the run as failed: something it can't live without is gone. */
  fail(error: Error): void
}

const patienceMs = 5_000

/**
 * Runs `start`, then waits for Ctrl-C, SIGTERM or `fail`, and closes the resources, at most for 5 s and what was allowed. A second Ctrl-C doesn't wait.
 * Returns the exit code: 0 when it was asked to stop. Throws what `start` or `fail` was given, once all is closed.
 */
export const supervise = async (start: (lifetime: Lifetime) => Promise<void>): Promise<number> => {
  const resources = new AsyncDisposableStack()
  const asked = Promise.withResolvers<void>()
  let signals = 0
  let allowed = patienceMs
  const allow = (ms: number): void => {
    allowed += ms
  }
  const stop = (): void => {
    signals++
    if (signals > 1) process.exit(130)
    process.stderr.write('\nStopping … (Ctrl-C again: at once)\n')
    asked.resolve()
  }
  process.on('SIGINT', stop).on('SIGTERM', stop)
  const never = new Promise<never>(() => {})
  try {
    const running = start({ resources, allow, fail: asked.reject }).then(() => never)
    // Asked to stop while still starting: what comes of the start is of no interest any more.
    running.catch(() => {})
    await Promise.race([running, asked.promise])
    return 0
  } finally {
    await closeWithin(resources, allowed)
    process.off('SIGINT', stop).off('SIGTERM', stop)
  }
}

const closeWithin = async (resources: AsyncDisposableStack, ms: number): Promise<void> => {
  const closed = resources.disposeAsync().catch((error: unknown) => log.error('closing failed', { error }))
  const late = sleep(ms, 'late', { ref: false })
  if ((await Promise.race([closed, late])) !== 'late') return
  process.stderr.write(
    `Not everything closed within ${ms / 1_000} s; leaving it. Nothing applied is lost: positions move with the rows.\n`,
  )
  process.exit(1)
}

/** A fault that nothing caught: said once, without values, and the process ends, since nobody knows what state it is in. */
export const dieOnUncaught = (): void => {
  const die = (error: unknown): void => {
    log.error('uncaught', { error })
    process.exit(1)
  }
  process.on('uncaughtException', die).on('unhandledRejection', die)
}
