/**
 * What this gateway lets go of: the latest catalog that every request under way was begun under. A generation that is no longer named is kept
 * until every living gateway has acknowledged that (C8).
 */
import { randomUUID } from 'node:crypto'
import { log } from '../platform/log.ts'
import type { Sql } from '../platform/postgres.ts'

export type Lease = {
  /** A request begins under this catalog; what is returned ends it. */
  enter(catalog: number): () => void
  stop(): Promise<void>
}

const everyMs = 1_000

/** `current`: the catalog of the latest snapshot; undefined: none is known, so nothing is said, and the lease lapses. */
export const startLease = (sql: Sql, current: () => number | undefined): Lease => {
  const id = randomUUID()
  const underWay = new Map<number, number>()
  let failing = false
  let stopped = false
  const acknowledge = async (): Promise<void> => {
    const known = current()
    if (known === undefined) return
    const catalog = Math.min(known, ...underWay.keys())
    try {
      await sql`
        insert into forebay.gateways (id, seen_at, catalog) values (${id}, clock_timestamp(), ${catalog})
        on conflict (id) do update set seen_at = excluded.seen_at, catalog = excluded.catalog`
      failing = false
    } catch (error) {
      if (!failing && !stopped) log.warn('lease.not-renewed', { error })
      failing = true
    }
  }
  let renewing = acknowledge()
  const timer = setInterval(() => {
    renewing = renewing.then(acknowledge)
  }, everyMs).unref()
  return {
    enter(catalog) {
      underWay.set(catalog, (underWay.get(catalog) ?? 0) + 1)
      return () => {
        const left = underWay.get(catalog)! - 1
        if (left > 0) underWay.set(catalog, left)
        else underWay.delete(catalog)
      }
    },
    async stop() {
      stopped = true
      clearInterval(timer)
      await renewing
      await sql`delete from forebay.gateways where id = ${id}`.catch(() => {})
    },
  }
}
