/** The change feed where there is no Redis: over a connection of its own to the primary that listens. */
import { fullJitter } from '../../platform/breaker.ts'
import { connect } from '../../platform/postgres.ts'

export type FeedEvents = {
  readonly message: (text: string) => void
  /** From now on every message comes: of these feeds, where they are named. */
  readonly joined: (feeds?: readonly string[]) => void
  readonly lost: () => void
}
export type FeedSource = {
  /** Which feeds there are. */
  follow(feeds: readonly string[]): void
  stop(): Promise<void>
}

/** A connection that has gone without a word is found by asking. */
const askMs = 2_000
const leastPauseMs = 50
const longestPauseMs = 1_000

export const listenForChanges = (databaseUrl: string, { message, joined, lost }: FeedEvents): FeedSource => {
  const stopped = Promise.withResolvers<void>()
  let over = false
  let failures = 0
  const pause = (ms: number, ...others: readonly Promise<void>[]): Promise<void> => {
    let timer: NodeJS.Timeout | undefined
    const waited = new Promise<void>((done) => {
      timer = setTimeout(done, ms)
    })
    return Promise.race([waited, stopped.promise, ...others]).finally(() => clearTimeout(timer))
  }
  const listen = async (): Promise<void> => {
    const closed = Promise.withResolvers<void>()
    let open = true
    const sql = connect(databaseUrl, {
      max: 1,
      name: 'change feed',
      statementTimeoutMs: askMs,
      notified: message,
      closed: () => {
        // At once: what is kept must not be served for a moment longer.
        if (open) lost()
        open = false
        closed.resolve()
      },
    })
    try {
      await sql`listen forebay_changes`
      failures = 0
      if (open) joined()
      while (open && !over) {
        await pause(askMs, closed.promise)
        if (open && !over) await sql`select 1`
      }
    } finally {
      open = false
      lost()
      await sql.end({ timeout: 0 })
    }
  }
  const run = async (): Promise<void> => {
    while (!over) {
      await listen().catch(() => {})
      failures += 1
      if (!over) await pause(fullJitter(failures, leastPauseMs, longestPauseMs))
    }
  }
  const running = run()
  return {
    follow: () => {},
    stop: async () => {
      over = true
      stopped.resolve()
      await running
    },
  }
}
