/**
 * Works the dirty log until it is stopped: at once when something was applied, on its own pace for what others wrote; while the
 * appliers are far behind it holds back, so that a key changed a hundred times is recomputed once.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { log } from '../../platform/log.ts'
import { codeOf, isDataError, type Sql } from '../../platform/postgres.ts'
import { truncateSpentSlot } from '../dirty-log.ts'
import type { Catalog, Generation } from '../generations.ts'
import { type ChangedRow, type Round, runRound } from './round.ts'
import { balanceShards, releaseShards } from './shards.ts'

/**
 * Keys a round takes when views are caught up (short transactions, so low latency), and when there is more to do than that: the more
 * a round takes, the oftener a key in it stands for many changes.
 */
const liveBudget = 1_000
const bulkBudget = 30_000
/** How long entries gather at most while the appliers are behind, milliseconds. */
const gatherMs = 5_000
const pollMs = 50
const balanceMs = 1_000
const truncateMs = 20_000
const longestRest = 30_000

export type Maintainer = {
  /** Something was written to the dirty log. */
  wake(): void
  /** One round, for tests and for draining; balances shards first if none are owned. */
  round(budget?: number): Promise<Round>
  stop(): Promise<void>
}

/**
 * `sql` must be a pool of exactly one connection to the primary itself (no transaction pooler): shard locks live on it.
 * `published` gets every changed row after the commit that changed it is on disk (C31). `behind`: whether appliers are catching up.
 */
export const startMaintainer = (options: {
  readonly sql: Sql
  readonly catalog: Catalog
  readonly published: (rows: readonly ChangedRow[]) => Promise<void>
  readonly behind?: () => boolean
  /** Another process has registered views that this one doesn't know. Its shards are let go: whoever knows them all takes over. */
  readonly outdated?: (registered: number) => void
  /** Off: rounds run only when asked for. */
  readonly auto?: boolean
}): Maintainer => {
  const { sql, catalog, published, behind = () => false } = options
  const resting = new Map<number, { until: number; forMs: number }>()
  let woken = Promise.withResolvers<void>()
  let stopped = false
  let due = { balance: 0, truncate: Date.now() + truncateMs }

  const able = (): readonly Generation[] =>
    catalog.generations.filter(({ generation }) => (resting.get(generation)?.until ?? 0) <= Date.now())

  const work = async (budget: number): Promise<Round> => {
    const generations = able()
    try {
      return await runRound(sql, generations, budget)
    } catch (error) {
      if (!isDataError(error)) throw error
      return alone(generations, budget)
    }
  }
  /** A view whose own SQL fails stops itself, not the others: it rests and is tried again. */
  const alone = async (generations: readonly Generation[], budget: number): Promise<Round> => {
    const rounds: Round[] = []
    for (const generation of generations) {
      try {
        rounds.push(await runRound(sql, [generation], budget))
        resting.delete(generation.generation)
      } catch (error) {
        if (!isDataError(error)) throw error
        const forMs = Math.min((resting.get(generation.generation)?.forMs ?? 500) * 2, longestRest)
        resting.set(generation.generation, { until: Date.now() + forMs, forMs })
        log.error('view.failed', { view: generation.table.view, sqlstate: codeOf(error), retryInMs: forMs })
      }
    }
    return {
      entries: rounds.reduce((total, { entries }) => total + entries, 0),
      full: rounds.some(({ full }) => full),
      keys: rounds.reduce((total, { keys }) => total + keys, 0),
      changed: rounds.flatMap(({ changed }) => changed),
    }
  }

  const housekeeping = async (): Promise<void> => {
    const now = Date.now()
    if (now >= due.balance) {
      due = { ...due, balance: now + balanceMs }
      const [row] = await sql<{ version: number }[]>`select version from forebay.catalog`
      if (row!.version === catalog.version) await balanceShards(sql)
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

  const round = async (budget = liveBudget): Promise<Round> => {
    await housekeeping()
    const done = await work(budget)
    if (done.changed.length) await published(done.changed)
    return done
  }

  const loop = async (): Promise<void> => {
    let deep = false
    while (!stopped) {
      try {
        for (const since = Date.now(); behind() && !stopped && Date.now() - since < gatherMs; ) await sleep(pollMs)
        const { entries, full } = await round(behind() || deep ? bulkBudget : liveBudget)
        deep = full
        if (entries > 0) continue
        await Promise.race([woken.promise, sleep(pollMs)])
        woken = Promise.withResolvers()
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
    round,
    async stop() {
      stopped = true
      woken.resolve()
      await running
    },
  }
}
