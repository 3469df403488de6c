/** Keeps the latest snapshot of how far the store is, and whether Postgres is there at all. */
import { log } from '../../platform/log.ts'
import type { Sql } from '../../platform/postgres.ts'
import { readSnapshot, type Snapshot } from './freshness.ts'
import type { Registered } from './registered.ts'
import type { Serving } from './serving.ts'
import { followSources } from './source-bounds.ts'

/** With what is answered from at that moment. */
export type Seen = Snapshot & { readonly serving: Serving }
export type Watch = {
  /** The latest snapshot; undefined before the first and while Postgres is away. */
  current(): Seen | undefined
  stop(): Promise<void>
}

const paceMs = 100
const slowestMs = 1_000
/** A snapshot older than this no longer says anything: Postgres is away or overwhelmed. */
const expiryMs = 3_000

/** Asks about every 100 ms, more slowly where an answer takes long, so that watching costs little, and at least every second. */
export const startWatch = async (sql: Sql, servingOf: (registered: Registered) => Promise<Serving>): Promise<Watch> => {
  const sources = followSources()
  let latest: { readonly snapshot: Seen; readonly at: number } | undefined
  let away = false
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  const look = async (): Promise<void> => {
    const begun = performance.now()
    try {
      const snapshot = await readSnapshot(sql)
      const serving = await servingOf(snapshot.registered)
      const bases = [...serving.views.values()].map(({ basis }) => basis)
      latest = { snapshot: { ...snapshot, sources: sources(snapshot, bases), serving }, at: begun }
      if (away) log.info('postgres is back')
      away = false
    } catch (error) {
      if (!away && !stopped) log.warn('freshness unknown', { error })
      away = true
    }
    const pause = Math.min(Math.max(paceMs, (performance.now() - begun) * 4), slowestMs)
    if (!stopped) timer = setTimeout(again, pause).unref()
  }
  const again = (): void => {
    looking = look()
  }
  let looking = look()
  await looking
  return {
    current: () => (latest && performance.now() - latest.at < expiryMs ? latest.snapshot : undefined),
    stop: async () => {
      stopped = true
      clearTimeout(timer)
      await looking
    },
  }
}
