/**
 * Keeps the latest snapshot of how far a server is, and whether it is there at all. Everybody looks through the same eyes: who can't go on
 * without something newer waits for the next look, and while somebody does, looks follow each other closely.
 */
import { log } from '../../platform/log.ts'
import type { Sql } from '../../platform/postgres.ts'
import type { Registered } from './registered.ts'
import type { FirstSeen } from './satisfies.ts'
import type { Serving } from './serving.ts'
import { readSnapshot, type Snapshot } from './snapshot.ts'
import { followSources } from './source-bounds.ts'

/** With what is answered from at that moment. */
export type Seen = Snapshot & { readonly serving: Serving }
export type Watch = {
  /** The latest snapshot; undefined before the first and while the server is away. */
  current(): Seen | undefined
  /** A look that begins after this call, shared with all who ask meanwhile. `offsets`: at what is pending by its offsets too. */
  look(offsets: boolean): Promise<Seen | undefined>
  /** Calls `told` with each look that comes, soon after another, until what is returned is called. */
  follow(told: (seen: Seen) => void): () => void
  firstSeen: FirstSeen
  /** How long ago the server last answered, milliseconds. */
  silentMs(): number
  stop(): Promise<void>
}
export type WatchOptions = {
  readonly sql: Sql
  readonly servingOf: (registered: Registered) => Promise<Serving>
  /** As logs name it. */
  readonly server?: string
  /**
   * Of a server with a clock of its own: the upper bound of the primary's. Absent: it is the primary, and says itself when it was looked at.
   */
  readonly now?: () => number
  /** Told of each look that failed. */
  readonly failed?: (error: unknown) => void
  /** Called with each snapshot before anybody else sees it; `begun`: when it was asked for, by performance.now(). */
  readonly told?: (seen: Seen, begun: number) => void
  /** Whether what is kept answers for a snapshot by now. One for which it doesn't yet waits a moment behind the one before, which is as true. */
  readonly covered?: (seen: Seen) => boolean
}

const paceMs = 100
const slowestMs = 1_000
/** While somebody waits. */
const closelyMs = 5
/** A snapshot older than this no longer says anything: Postgres is away or overwhelmed. */
const expiryMs = 3_000
/** So long at most one that isn't covered yet is passed by: what it has and was not told yet is on its way. */
const uncoveredMs = 50
/** So long after somebody wanted to know, offsets of what is pending are still looked at: who asks by token once does so again. */
const offsetsMs = 10_000
/** Snapshots that are remembered: some seconds of them. */
const remembered = 64

/** Asks about every 100 ms, more slowly where an answer takes long, so that watching costs little, and at least every second. */
export const startWatch = async ({
  sql,
  servingOf,
  server = 'postgres',
  now,
  failed = () => {},
  told,
  covered = () => true,
}: WatchOptions): Promise<Watch> => {
  const sources = followSources()
  let latest: { readonly snapshot: Seen; readonly at: number; readonly arrived: number } | undefined
  let before: Seen | undefined
  let answered = Number.NEGATIVE_INFINITY
  const past: Pick<Snapshot, 'at' | 'partitions'>[] = []
  const followers = new Set<(seen: Seen) => void>()
  let next: PromiseWithResolvers<Seen | undefined> | undefined
  let offsetsUntil = 0
  let wake = Promise.withResolvers<void>()
  let away = false
  let stopped = false

  const remember = (snapshot: Seen): void => {
    const last = past.at(-1)
    if (last && snapshot.at - last.at < paceMs) return
    past.push({ at: snapshot.at, partitions: snapshot.partitions })
    if (past.length > remembered) past.shift()
  }
  const see = async (): Promise<Seen | undefined> => {
    const begun = performance.now()
    try {
      const stored = await readSnapshot(sql, begun < offsetsUntil)
      // What a replica has replayed by now, the primary had written; since when, is not known.
      const read = now ? { ...stored, begun: 0, at: now() } : stored
      const serving = await servingOf(read.registered)
      const bases = [...serving.views.values()].map(({ basis }) => basis)
      const snapshot = { ...read, sources: sources(read, bases), serving }
      told?.(snapshot, begun)
      before = latest?.snapshot
      latest = { snapshot, at: begun, arrived: performance.now() }
      answered = performance.now()
      remember(snapshot)
      if (away) log.info(`${server} is back`)
      away = false
      return snapshot
    } catch (error) {
      failed(error)
      if (!away && !stopped) log.warn('freshness unknown', { server, error })
      away = true
      return undefined
    }
  }
  const run = async (): Promise<void> => {
    while (!stopped) {
      const begun = performance.now()
      const asked = next
      next = undefined
      const seen = await see()
      asked?.resolve(seen)
      if (seen) for (const follower of [...followers]) follower(seen)
      const took = performance.now() - begun
      await pause(took)
    }
  }
  /** Short while somebody waits, and ended when somebody begins to. */
  const pause = async (took: number): Promise<void> => {
    const until = performance.now() + Math.min(Math.max(paceMs, took * 4), slowestMs)
    const close = Math.min(Math.max(closelyMs, took * 2), slowestMs)
    const least = performance.now() + (away ? paceMs : close)
    while (!stopped) {
      const due = next || followers.size > 0 ? least : until
      const left = due - performance.now()
      if (left <= 0) return
      wake = Promise.withResolvers()
      let timer: NodeJS.Timeout | undefined
      const over = new Promise<void>((done) => {
        timer = setTimeout(done, left).unref()
      })
      await Promise.race([over, wake.promise])
      clearTimeout(timer)
    }
  }

  await see()
  const running = run()
  return {
    current: () => {
      const now = performance.now()
      if (latest === undefined || now - latest.at >= expiryMs) return undefined
      if (before === undefined || now - latest.arrived >= uncoveredMs || covered(latest.snapshot))
        return latest.snapshot
      return covered(before) ? before : latest.snapshot
    },
    look: (offsets) => {
      if (offsets) offsetsUntil = performance.now() + offsetsMs
      next ??= Promise.withResolvers()
      wake.resolve()
      return next.promise
    },
    follow: (told) => {
      followers.add(told)
      wake.resolve()
      return () => followers.delete(told)
    },
    firstSeen: (holds) => {
      // What holds of positions goes on to hold, so the first is found by halves.
      let [low, high] = [0, past.length]
      while (low < high) {
        const middle = (low + high) >> 1
        if (holds(past[middle]!)) high = middle
        else low = middle + 1
      }
      return past[low]?.at
    },
    silentMs: () => performance.now() - answered,
    stop: async () => {
      stopped = true
      wake.resolve()
      await running
      next?.resolve(undefined)
    },
  }
}
