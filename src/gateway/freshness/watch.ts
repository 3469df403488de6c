/** Keeps the latest snapshot of how far the store is, and whether Postgres is there at all. */
import { log } from '../../platform/log.ts'
import type { Sql } from '../../platform/postgres.ts'
import { readSnapshot, type Snapshot, type ViewBasis } from './freshness.ts'
import { followSources } from './source-bounds.ts'

export type Watch = {
  /** The latest snapshot; undefined before the first and while Postgres is away. */
  current(): Snapshot | undefined
  stop(): Promise<void>
}

const paceMs = 100
const slowestMs = 1_000
/** A snapshot older than this no longer says anything: Postgres is away or overwhelmed. */
const expiryMs = 3_000

/** Asks about every 100 ms, more slowly where an answer takes long, so that watching costs little, and at least every second. */
export const startWatch = async (sql: Sql, bases: Iterable<ViewBasis>): Promise<Watch> => {
  const sources = followSources(bases)
  let latest: { readonly snapshot: Snapshot; readonly at: number } | undefined
  let away = false
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  const look = async (): Promise<void> => {
    const begun = performance.now()
    try {
      const snapshot = await readSnapshot(sql)
      latest = { snapshot: { ...snapshot, sources: sources(snapshot) }, at: begun }
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
