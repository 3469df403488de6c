/**
 * The frontier of each partition: the latest moment at which its log's end was asked for and which has since been applied past.
 *
 * An observation is (a lower bound of the primary's clock *before* asking, the end that was answered). Once the position has passed
 * that end, every record that was in the log at that moment is applied, whoever's clock stamped it, and whether or not
 * anything has been written since (C20, C24). Observations wait here until that is so; frontiers only go forward. Because every
 * asking answers with the whole set of partitions, and new ones get their position before anything is stamped, no frontier is later
 * than the set it was true for.
 *
 * Only the leaders' own answers about their ends count, never what a fetch carries along: after a change of leader a fetch may show an
 * end that is behind what had been committed, while an asking is refused until the new leader knows better (KIP-207).
 */
import type { DatabaseClock } from '../../platform/clock.ts'
import { describeError, log } from '../../platform/log.ts'
import type { Sql } from '../../platform/postgres.ts'
import { type Extent, type LogSource, type Partition, partitionName } from '../source.ts'
import { steadily } from '../steadily.ts'
import { missingFrom, type Observed, type Seen, type Unasked, writeFrontiers, writeUnasked } from './frontiers.ts'
import {
  type Claimed,
  claimPositions,
  knownPositions,
  madeAnew,
  markStuck,
  type PartitionState,
  runningPositions,
  whyOutside,
} from './positions.ts'
import { createPrompted } from './prompted.ts'

/**
 * How far a topic's source is known to have got everything into the log: a moment of the primary's clock, in milliseconds, before which all
 * it had committed is there by now (C23). Null: not known yet. `trouble`: why that is long ago.
 */
export type SourceMoment = {
  readonly at: number | null
  readonly trouble: string | null
  /** Where the source's own log stood then: past all those commits. */
  readonly lsn?: bigint
}
/** By topic. Absent: its source can't be asked. */
export type SourceMoments = () => ReadonlyMap<string, SourceMoment>

export type ObserverOptions = {
  readonly sql: Sql
  readonly clock: DatabaseClock
  readonly source: Pick<LogSource, 'kind' | 'extents' | 'refusals'>
  readonly topics: readonly string[]
  /** The smallest promise of any view: ends are asked for at least four times as often. */
  readonly maxLagMs: number
  /** How often frontiers are written while a position is behind (C32). */
  readonly flushMs?: number
  readonly sources?: SourceMoments
  /** Who reads a topic. */
  readonly entitiesOf?: (topic: string) => readonly string[]
  /** After frontiers were written. */
  readonly written?: () => void
  /** Told of each answer about the log's ends, and why topics were left out of it. */
  readonly heard?: (extents: readonly Extent[], refused: ReadonlyMap<string, string>) => void
  /** How long a position must lie beyond every end that is answered before its log counts as lost. */
  readonly lostAfterMs?: number
}

export type Observer = {
  /** Asks and writes once, now; for tests, and for whoever can't wait for the next round. */
  observe(): Promise<void>
  /**
   * Somebody waits for the logs to be asked after this moment of the primary's clock, in milliseconds (C28), and for what they held then to be
   * applied: both are found out at once, and for all who wait together.
   */
  prompt(after: number): void
  stop(): Promise<void>
}

type Known = Claimed & { readonly state: PartitionState }
type Pending = Observed & { readonly seen: Seen[] }
const mostPending = 64
/** Every so many writes wait for rows that an applier holds; the others pass them by, so that appliers never wait long. */
const patientEvery = 10
/** A leader that was cut off may answer with an old end for as long as it takes the cluster to find another: by default 9 s. */
const deposedMs = 10_000

/** Starts at once. Errors are logged and tried again: a log that can't be asked leaves frontiers where they are, and its partitions say so. */
export const startObserver = ({
  sql,
  clock,
  source,
  topics,
  maxLagMs,
  flushMs = 75,
  sources = () => new Map(),
  entitiesOf = () => [],
  written = () => {},
  heard = () => {},
  lostAfterMs = source.kind === 'kafka' ? deposedMs : 0,
}: ObserverOptions): Observer => {
  const everyMs = Math.max(20, Math.min(maxLagMs / 4, source.kind === 'kafka' ? 500 : 250))
  const pending = new Map<string, Pending>()
  /** Since when a position has lain beyond its log's end. */
  const beyond = new Map<string, number>()
  /** When the source of a partition that a feed fills was asked, as it was last heard. */
  const last = new Map<string, number>()
  let rounds = 0

  const ask = async (): Promise<readonly Extent[]> => {
    try {
      return await source.extents()
    } catch (error) {
      const reason = `the log can't be asked: ${describeError(error).message}`
      await writeUnasked(
        sql,
        topics.map((topic) => ({ topic, reason })),
      ).catch(() => {})
      throw error
    }
  }

  /** One asking at a time, whoever wants it. Answers with the moment it was begun. */
  let asking: Promise<unknown> = Promise.resolve()
  const observe = (): Promise<number> => {
    const next = asking.then(round, round)
    asking = next
    return next
  }
  const round = async (): Promise<number> => {
    await clock.refresh()
    const positions = new Map<string, Known>(
      (await knownPositions(sql, topics)).map((one) => [partitionName(one), one]),
    )
    const moments = sources()
    const at = clock.lower()
    const extents = await ask()
    heard(extents, source.refusals?.() ?? new Map())
    // A partition that was never seen gets its position, with no frontier, before any other is stamped.
    // It is read after the end was asked for, and an applier may have moved it past that end: the next round judges it.
    const fresh = extents.filter((extent) => !positions.has(partitionName(extent)))
    const claimed = new Set((await claimPositions(sql, fresh, extents)).map(partitionName))
    // C16: lets go on what has waited for long enough.
    const waiting = extents.filter((extent) => positions.get(partitionName(extent))?.until !== undefined)
    await claimPositions(sql, waiting, extents)
    for (const extent of extents) {
      const name = partitionName(extent)
      const position = positions.get(name)
      const isRead = position ? position.state !== 'STUCK' && !(await outside(extent, position)) : claimed.has(name)
      if (isRead) expect(extent, at, moments.get(extent.topic))
      else pending.delete(name)
    }
    const missing = missingFrom(positions.values(), extents)
    if (missing.length > 0) await writeUnasked(sql, missing.map(reasonOf))
    await flush()
    return at
  }

  const reasonOf = ({ topic, partition }: Partition): Unasked => {
    const reason = source.refusals?.().get(topic) ?? 'the log has no such partition, or could not be asked for it'
    return { topic, partition, reason }
  }

  const expect = ({ topic, partition, end, seen: fed }: Extent, at: number, moment: SourceMoment | undefined): void => {
    const name = partitionName({ topic, partition })
    const seen = pending.get(name)?.seen ?? []
    pending.set(name, {
      partition: { topic, partition },
      sourced: fed?.basis === 'SOURCE' || moment !== undefined,
      trouble: moment?.trouble ?? null,
      entities: entitiesOf(topic),
      seen,
    })
    if (fed === undefined) seen.push({ end, at, sourceAt: moment?.at ?? null, sourceLsn: moment?.lsn ?? null })
    else if (fed !== null && fed.at > (last.get(name) ?? 0)) {
      last.set(name, fed.at)
      const sourced = fed.basis === 'SOURCE'
      seen.push({
        end: fed.end,
        at: fed.at,
        sourceAt: sourced ? fed.at : null,
        sourceLsn: (sourced && fed.lsn) || null,
      })
    }
    if (seen.length > mostPending) thin(seen)
  }

  /**
   * C21. A position read after the start was asked for can't rightly be before it. One read before the end was asked for can't rightly
   * be past it; but a leader that was deposed without knowing may say so for a while, so that has to last.
   */
  const outside = async (extent: Extent, before: Known): Promise<boolean> => {
    const name = partitionName(extent)
    if (before.offset <= extent.end) beyond.delete(name)
    if (whyOutside(before, extent) === undefined) return false
    const [now] = before.offset > extent.end ? [before] : await runningPositions(sql, [extent])
    const reason = now && whyOutside(now, extent)
    if (reason === undefined) return false
    const since = beyond.get(name) ?? performance.now()
    if (before.offset > extent.end) beyond.set(name, since)
    const another = madeAnew(before.topicId, extent) !== undefined
    const lasting = another || before.offset < extent.start || performance.now() - since >= lostAfterMs
    if (lasting && before.state === 'RUNNING') {
      await markStuck(sql, extent, reason)
      log.error('partition.stuck', { partition: name, reason })
    }
    return true
  }

  const flush = async (): Promise<void> => {
    const observed = [...pending.values()].filter(({ seen }) => seen.length > 0)
    if (observed.length === 0) return
    rounds += 1
    for (const { topic, partition, passed } of await writeFrontiers(sql, observed, rounds % patientEvery === 0)) {
      const seen = pending.get(partitionName({ topic, partition }))?.seen
      while (seen?.length && seen[0]!.end <= passed) seen.shift()
    }
    written()
  }

  const isAppliedPast = (after: number): boolean =>
    [...pending.values()].every(({ seen }) => seen.every(({ at }) => at < after))
  const prompt = createPrompted({
    now: () => clock.lower(),
    ask: observe,
    settle: async (after) => {
      if (!isAppliedPast(after)) await flush()
      return isAppliedPast(after)
    },
  })

  const loops = [steadily('observation', everyMs, observe), steadily('frontiers', flushMs, flush)]
  return {
    observe: async () => void (await observe()),
    prompt,
    async stop() {
      await Promise.all(loops.map((loop) => loop.stop()))
    },
  }
}

/** Keeps the oldest, which is passed first, and every other one after it. */
const thin = <T>(items: T[]): void => {
  const kept = items.filter((_, index) => index % 2 === 0 || index === items.length - 1)
  items.splice(0, items.length, ...kept)
}
