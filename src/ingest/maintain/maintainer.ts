/**
 * Works the dirty log until it is stopped: at once when something was applied, on its own pace for what others wrote; while the
 * appliers are far behind it holds back, so that a key changed a hundred times is recomputed once.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { log } from '../../platform/log.ts'
import { codeOf, type Sql } from '../../platform/postgres.ts'
import { truncateSpentSlot } from '../dirty-log.ts'
import type { Catalog } from '../generations.ts'
import { type Announced, createAnnounce, type FeedTransport } from './change-feed.ts'
import { wide } from './fanout-entry.ts'
import { createFanoutPace } from './fanout-pace.ts'
import { prove, type Question, type Settle, type Verdict } from './prove.ts'
import type { Round } from './round.ts'
import { balanceShards, ownedShards, releaseShards } from './shards.ts'
import { createWorker } from './worker.ts'

/**
 * Keys a round takes when views are caught up (short transactions, so low latency), and when there is more to do than that: the more
 * a round takes, the oftener a key in it stands for many changes.
 */
const liveBudget = 1_000
const bulkBudget = 30_000
/** How long entries gather at most while the appliers are behind, milliseconds; and where what is applied is old anyway. */
const gatherMs = 5_000
const gatherLongMs = 20_000
/** So old: no reader is promised that much, and all are told. */
const old = '30 seconds'
/** How soon what other processes wrote is looked for, and while there is work. */
const pollMs = 50
const busyPollMs = 5
const balanceMs = 1_000
const truncateMs = 20_000

export type Maintainer = {
  /** Something was written to the dirty log. */
  wake(): void
  /** One round, for tests and for draining, or a stretch of a fan-out; balances shards first if none are owned. */
  round(budget?: number): Promise<Round>
  /** The shards that are its own by now. */
  owned(): Promise<readonly number[]>
  /** Between two rounds, see `prove`. Undefined: too much is pending; ask later. */
  prove(question: Question, settle: Settle): Promise<Verdict | undefined>
  stop(): Promise<void>
}

/**
 * `sql` must be a pool of exactly one connection to the primary itself (no transaction pooler): shard locks live on it.
 * `published` gets what each transaction changed once that has committed: on disk, where `transport` is LATER (C31). `behind`: whether appliers are catching up.
 */
export const startMaintainer = (options: {
  readonly sql: Sql
  readonly catalog: Catalog
  readonly published: (announced: Announced) => Promise<void>
  /** NOTIFY unless said. */
  readonly transport?: FeedTransport
  readonly behind?: () => boolean
  /** Another process has registered views that this one doesn't know. Its shards are let go: whoever knows them all takes over. */
  readonly outdated?: (registered: number) => void
  readonly wide?: number
  /** Off: rounds run only when asked for. */
  readonly auto?: boolean
}): Maintainer => {
  const { sql, catalog, published, behind = () => false } = options
  const announce = createAnnounce(options.transport ?? 'NOTIFY')
  const worker = createWorker(sql, catalog, options.wide ?? wide, announce)
  const pace = createFanoutPace()
  let woken = Promise.withResolvers<void>()
  let stopped = false
  let due = { balance: 0, truncate: Date.now() + truncateMs }

  const housekeeping = async (): Promise<void> => {
    const now = Date.now()
    if (now >= due.balance) {
      due = { ...due, balance: now + balanceMs }
      const [row] = await sql<{ version: number }[]>`select version from forebay.catalog`
      if (row!.version === catalog.version || (await catalog.reload?.())) await balanceShards(sql)
      else {
        await releaseShards(sql)
        options.outdated?.(row!.version)
      }
    }
    if (now >= due.truncate) {
      due = { ...due, truncate: now + truncateMs }
      await truncateSpentSlot(sql).catch((error: unknown) => {
        if (codeOf(error) !== '55P03') throw error
      })
    }
  }

  const publish = async (announced: readonly Announced[]): Promise<void> => {
    for (const one of announced) await published(one)
  }
  const round = async (budget = liveBudget): Promise<Round> => {
    await housekeeping()
    const done = await worker.live(budget)
    await publish(done.announced)
    return done
  }
  const stretch = async (keys: number): Promise<Round> => {
    const done = await worker.fanout(keys)
    await publish(done.announced)
    return done
  }
  /** Live work first; a fan-out where there is none. */
  const step = async (budget = liveBudget): Promise<Round> => {
    const done = await round(budget)
    return done.entries > 0 || !done.fanouts ? done : stretch(budget)
  }

  /** Until the appliers have caught up, or it has been long enough. */
  const gather = async (): Promise<void> => {
    const since = Date.now()
    let longest = gatherMs
    while (behind() && !stopped && Date.now() - since < longest) {
      await sleep(pollMs)
      if (longest === gatherMs && Date.now() - since >= gatherMs && (await isOld(sql))) longest = gatherLongMs
    }
  }

  const loop = async (): Promise<void> => {
    let deep = false
    while (!stopped) {
      try {
        await gather()
        const budget: number = behind() || deep ? bulkBudget : liveBudget
        woken = Promise.withResolvers()
        const [worked, ms] = await timed(() => round(budget))
        const { entries, full, keys, fanouts } = worked
        deep = full
        pace.live(worked, ms)
        const wait = fanouts ? pace.wait() : pollMs
        if (wait === 0) {
          const [{ keys }, ms] = await timed(() => stretch(pace.keys()))
          pace.worked(keys, ms)
          continue
        }
        if (full || keys >= budget) continue
        await Promise.race([woken.promise, sleep(Math.min(wait, entries > 0 ? busyPollMs : pollMs))])
      } catch (error) {
        if (stopped) return
        log.error('maintain.failed', { error })
        due = { ...due, balance: 0 }
        await sleep(500)
      }
    }
  }
  const running = options.auto === false ? Promise.resolve() : loop()

  return {
    wake: () => woken.resolve(),
    round: step,
    async owned() {
      return (await sql.unsafe<{ shard: number }[]>(ownedShards)).map(({ shard }) => shard)
    },
    // The pool has one connection, so transactions on it queue by themselves.
    async prove(question, settle) {
      const means = { sql, announce, live: () => worker.live(liveBudget) }
      const { verdict, logged, announced } = await prove(means, question, settle)
      await publish(announced)
      if (logged) woken.resolve()
      return verdict
    },
    async stop() {
      stopped = true
      woken.resolve()
      await running
    },
  }
}

/** Whether some partition is applied only up to long ago, or it isn't known up to when. */
const isOld = async (sql: Sql): Promise<boolean> => {
  const [row] = await sql.unsafe<{ old: boolean }[]>(
    `select coalesce(bool_or(frontier is null or frontier < clock_timestamp() - interval '${old}'), false) as old
    from forebay.positions where state = 'RUNNING'`,
    [],
    { prepare: true },
  )
  return row!.old
}

const timed = async <T>(work: () => Promise<T>): Promise<[T, number]> => {
  const begun = performance.now()
  return [await work(), performance.now() - begun]
}
