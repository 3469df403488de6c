/**
 * The frontier of each partition: the latest moment at which its log's end was asked for and which has since been applied past.
 *
 * An observation is (a lower bound of the primary's clock *before* asking, the end that was answered). Once the position has passed
 * that end, every record that was in the log at that moment is applied, whoever's clock stamped it, and whether or not
 * anything has been written since (C20, C24). Observations wait here until that is so; frontiers only go forward. Because every
 * asking answers with the whole set of partitions, and new ones get their position before anything is stamped, no frontier is later
 * than the set it was true for.
 */
import type { DatabaseClock } from '../../platform/clock.ts'
import { log } from '../../platform/log.ts'
import type { Sql } from '../../platform/postgres.ts'
import { type Extent, type LogSource, type Partition, partitionName } from '../source.ts'
import { type Claimed, claimPositions, columnsOf, markStuck, outsideLog, runningPositions } from './positions.ts'

export type ObserverOptions = {
  readonly sql: Sql
  readonly clock: DatabaseClock
  readonly source: Pick<LogSource, 'kind' | 'extents'>
  /** The smallest promise of any view: ends are asked for at least four times as often. */
  readonly maxLagMs: number
  /** How often frontiers are written while a position is behind (C32). */
  readonly flushMs?: number
}

export type Observer = {
  /** Asks and writes once, now; for tests, and for whoever can't wait for the next round. */
  observe(): Promise<void>
  stop(): Promise<void>
}

/** Ends asked for and not yet passed, oldest first. Milliseconds since 1970. */
type Pending = { readonly partition: Partition; readonly seen: { readonly end: bigint; readonly at: number }[] }
const mostPending = 64
/** Every so many writes wait for rows that an applier holds; the others pass them by, so that appliers never wait long. */
const patientEvery = 10

/** Starts at once. Errors are logged and tried again: a log that can't be asked leaves frontiers where they are. */
export const startObserver = ({ sql, clock, source, maxLagMs, flushMs = 75 }: ObserverOptions): Observer => {
  const everyMs = Math.max(20, Math.min(maxLagMs / 4, source.kind === 'kafka' ? 500 : 250))
  const pending = new Map<string, Pending>()
  const known = new Map<string, Partition>()
  const stopped = Promise.withResolvers<void>()
  let stopping = false
  let rounds = 0

  const observe = async (): Promise<void> => {
    await clock.refresh()
    const before = await runningPositions(sql, [...known.values()])
    const running = new Map(before.map((position) => [partitionName(position), position]))
    const at = clock.lower()
    const extents = await source.extents()
    // A partition that was never seen gets its position, with no frontier, before any other is stamped.
    const fresh = extents.filter((extent) => !known.has(partitionName(extent)))
    for (const position of await claimPositions(sql, fresh)) running.set(partitionName(position), position)
    for (const extent of extents) {
      const name = partitionName(extent)
      known.set(name, extent)
      const position = running.get(name)
      if (position === undefined || (await lost(extent, position))) pending.delete(name)
      else if (extent.seen === undefined) expect(name, extent, at)
      else if (extent.seen) expect(name, { ...extent, end: extent.seen.end }, extent.seen.at)
    }
    await flush()
  }

  const expect = (name: string, { topic, partition, end }: Extent, at: number): void => {
    const entry = pending.get(name) ?? { partition: { topic, partition }, seen: [] }
    pending.set(name, entry)
    entry.seen.push({ end, at })
    if (entry.seen.length > mostPending) thin(entry.seen)
  }

  /** C21. A position read before the end was asked for can't rightly be past it; one read after the start, not before it. */
  const lost = async (extent: Extent, before: Claimed): Promise<boolean> => {
    if (outsideLog(before.offset, extent) === undefined) return false
    const [now] = before.offset > extent.end ? [before] : await runningPositions(sql, [extent])
    const reason = now && outsideLog(now.offset, extent)
    if (reason === undefined) return false
    await markStuck(sql, extent, reason)
    log.error('partition.stuck', { partition: partitionName(extent), reason })
    return true
  }

  const flush = async (): Promise<void> => {
    const entries = [...pending.values()].filter(({ seen }) => seen.length > 0)
    if (entries.length === 0) return
    rounds += 1
    const written = await writeFrontiers(sql, entries, rounds % patientEvery === 0)
    for (const { topic, partition, passed } of written) {
      const seen = pending.get(partitionName({ topic, partition }))?.seen
      while (seen?.length && seen[0]!.end <= passed) seen.shift()
    }
  }

  const every = async (ms: number, act: () => Promise<void>): Promise<void> => {
    let failing = false
    while (!stopping) {
      const due = performance.now() + ms
      try {
        await act()
        if (failing) log.info('observation.resumed', { source: source.kind })
        failing = false
      } catch (error) {
        if (!failing && !stopping) log.warn('observation.failed', { source: source.kind, error })
        failing = true
      }
      await Promise.race([stopped.promise, delay(Math.max(0, due - performance.now()))])
    }
  }
  const running = Promise.all([every(everyMs, observe), every(flushMs, flush)])
  return {
    observe,
    async stop() {
      stopping = true
      stopped.resolve()
      await running
    },
  }
}

/** Keeps the oldest, which is passed first, and every other one after it. */
const thin = <T>(items: T[]): void => {
  const kept = items.filter((_, index) => index % 2 === 0 || index === items.length - 1)
  items.splice(0, items.length, ...kept)
}

/**
 * One statement for all partitions (C32): the latest observation that the position has passed becomes the frontier, the latest of
 * all is kept for whoever asks about lag. Answers with the positions that were compared.
 */
const writeFrontiers = async (
  sql: Sql,
  entries: readonly Pending[],
  patient: boolean,
): Promise<readonly (Partition & { readonly passed: bigint })[]> => {
  const flat = entries.flatMap(({ partition, seen }) => seen.map((one) => ({ ...partition, ...one })))
  const { topics, partitions } = columnsOf(flat)
  const rows = await sql<(Partition & { readonly passed: string })[]>`
    with seen as materialized (
      select topic, partition, "end", to_timestamp(at / 1000) as at
      from unnest(${topics}::text[], ${partitions}::int[], ${flat.map(({ end }) => String(end))}::bigint[], ${flat.map(({ at }) => at)}::float8[])
        as x (topic, partition, "end", at)),
    held as materialized (
      select p.topic, p.partition, p.next_offset
      from forebay.positions p
      where p.state = 'RUNNING' and (p.topic, p.partition) in (select topic, partition from seen)
      order by p.topic, p.partition
      for no key update ${patient ? sql`` : sql`skip locked`}),
    best as (
      select h.topic, h.partition, h.next_offset, max(s.at) filter (where s."end" <= h.next_offset) as passed_at,
        max(s.at) as seen_at, max(s."end") as seen_end
      from held h join seen s using (topic, partition)
      group by 1, 2, 3)
    update forebay.positions p
    set frontier = greatest(p.frontier, best.passed_at), observed_at = greatest(p.observed_at, best.seen_at), observed_end = best.seen_end
    from best
    where p.topic = best.topic and p.partition = best.partition
    returning p.topic, p.partition, best.next_offset as passed`
  return rows.map((row) => ({ ...row, passed: BigInt(row.passed) }))
}

const delay = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms).unref())
