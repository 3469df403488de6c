/**
 * Offers this process for building generations, one at a time across all processes: fills what isn't whole, proves what was built beside the
 * one that serves, moves the pointer, and takes away what nobody needs any more. Each step stands in the database, so whoever
 * takes over after a crash goes on where it was.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { describeError, log } from '../../platform/log.ts'
import type { Sql } from '../../platform/postgres.ts'
import type { Catalog, Generation } from '../generations.ts'
import { locks } from '../locks.ts'
import { createPace } from '../replay/pace.ts'
import { lagsOf, type Pressure, worse } from '../replay/pressure.ts'
import { fillStep, pendingFill, sayWaiting } from './fill.ts'
import { tellProgress } from './progress.ts'
import { type Prove, proveWhole } from './prove.ts'
import { declareRunning, mayTakeOver } from './running.ts'
import { switchTo, tidy } from './switch.ts'

export type RebuildOptions = {
  /** A pool of one connection, which holds the lock. */
  readonly sql: Sql
  readonly catalog: Catalog
  /** How long what served before is kept up for a way back, milliseconds. */
  readonly windowMs: number
  /** Something was written to the dirty log. */
  readonly logged: () => void
  readonly prove?: Prove
  /** What this process's folder declares, hash → view, and how it is registered again. */
  readonly folder?: { readonly declared: ReadonlyMap<string, string>; readonly register: () => Promise<void> }
  /** For so long no running process has declared what serves, before another's folder takes over, milliseconds. */
  readonly abandonedMs?: number
}
export type Rebuilds = {
  /** One look: what is due is done to its end. For tests, with `auto` off. */
  work(): Promise<void>
  stop(): Promise<void>
}

const lookMs = 500
const longestRetryMs = 15_000
/** A chunk is as large as maintainers work in this time, beside what serves; where nothing else serves, in a second. */
const besideMs = 100
const aloneMs = 1_000
const [leastKeys, firstKeys, mostKeys] = [50, 500, 20_000]
const pollMs = 20
const tellMs = 10_000
/** A view that has no bound yet promises nothing, but may be catching up: beside it filling goes no faster than it began. */
const unknown = 0.5

export const startRebuilds = (options: RebuildOptions & { readonly auto?: boolean }): Rebuilds => {
  const { sql, catalog, windowMs, prove = proveWhole, folder, abandonedMs = 30_000 } = options
  const stop = new AbortController()
  const sleep = (ms: number): Promise<void> => delay(ms, undefined, { signal: stop.signal }).catch(() => {})

  /** True once all of it is there. */
  const fill = async (generation: Generation): Promise<boolean> => {
    const { generation: number, table } = generation
    const others = () => catalog.generations.filter((one) => one.state === 'ACTIVE' && one.generation !== number)
    const pressure = async (): Promise<Pressure> =>
      [{ load: 0, why: '' }, ...(await lagsOf(sql, others(), unknown))].reduce(worse)
    const say = (why: string | undefined) => void sayWaiting(sql, number, why ?? null).catch(() => {})
    const pace = createPace({ pressure, say, sleep })
    // What nobody can read yet and nothing serves beside is filled as fast as it goes.
    const alone = generation.state === 'ACTIVE' && others().length === 0
    let keys = firstKeys
    let told = Date.now()
    log.info('generation.filling', { view: table.view, generation: number })
    while (!stop.signal.aborted) {
      if (!alone) await pace.turn()
      const began = performance.now()
      const step = await fillStep(sql, generation, keys)
      if (step.kind === 'gone') return false
      if (step.kind === 'filled') {
        log.info('generation.filled', { view: table.view, generation: number })
        await catalog.reload?.()
        return true
      }
      options.logged()
      if (Date.now() - told >= tellMs) {
        told = Date.now()
        await tellProgress(sql, number)
      }
      const enough = step.kind === 'logged' ? step.keys / 4 : 0
      while (!stop.signal.aborted && (await pendingFill(sql, number)) > enough) await sleep(pollMs)
      const tookMs = performance.now() - began
      const wanted = (keys * (alone ? aloneMs : besideMs)) / Math.max(tookMs, 1)
      if (step.kind === 'logged')
        keys = Math.round(Math.min(mostKeys, Math.max(leastKeys, keys / 2, Math.min(2 * keys, wanted))))
    }
    return false
  }

  const proveIt = async (generation: Generation): Promise<void> => {
    const { generation: number, table } = generation
    const say = (why: string | null) => void setReason(sql, number, why).catch(() => {})
    const givenUp = new AbortController()
    const signal = AbortSignal.any([stop.signal, givenUp.signal])
    // Another build may take its place while it is compared.
    const rest = async (ms: number): Promise<void> => {
      await sleep(ms)
      const [row] = await sql`select from forebay.generations where generation = ${number} and retired_at is null`
      if (!row) givenUp.abort()
    }
    const proof = await prove(sql, generation, { signal, say, sleep: rest }).catch((error: unknown) => {
      if (givenUp.signal.aborted) return undefined
      throw error
    })
    if (!proof) return
    const { keys, differing, why } = proof
    if (differing > 0) {
      const reason = `${differing} of ${keys} keys are not what the definition gives${why ? ` ${why}` : ''}: the view goes on as it was`
      log.error('generation.unequal', { view: table.view, generation: number, keys, differing })
      await setReason(sql, number, reason, true)
      return
    }
    log.info('generation.proven', { view: table.view, generation: number, keys })
    await sql`
      update forebay.generations set state = 'PROVEN', proven_at = now(), reason = null
      where generation = ${number} and state = 'BUILDING' and retired_at is null`
  }

  /** What is next of each generation, the ones that serve first. */
  const due = async (): Promise<readonly Due[]> => sql<Due[]>`
    select generation, state, filled_at is not null as filled, failed_at is not null as failed from forebay.generations
    where retired_at is null and (filled_at is null or state in ('BUILDING', 'PROVEN')) order by state <> 'ACTIVE', generation`

  const advance = async ({ generation: number, state, filled, failed }: Due): Promise<void> => {
    const generation = catalog.generations.find((one) => one.generation === number)
    if (!generation) return
    if (!filled && !(await fill(generation))) return
    if (state === 'BUILDING' && !failed) await proveIt(generation)
    if (state !== 'ACTIVE' && (await switchTo(sql, number))) await catalog.reload?.()
  }

  let abandoned: number | undefined
  /** A process that stops and starts, or loses its connection for a moment, gives nothing up. */
  const takeOver = async (): Promise<void> => {
    if (!folder) return
    await declareRunning(sql, folder.declared.keys())
    if (!(await mayTakeOver(sql, folder.declared))) {
      abandoned = undefined
      return
    }
    abandoned ??= performance.now()
    if (performance.now() - abandoned < abandonedMs) return
    abandoned = undefined
    log.warn('generation.taken-over', { reason: `for ${abandonedMs} ms no running process has declared what serves` })
    await folder.register()
    await catalog.reload?.()
  }

  const work = async (): Promise<void> => {
    await takeOver()
    const [row] = await sql<{ mine: boolean; version: number }[]>`
      select pg_try_advisory_lock(${locks.rebuild}, 0) as mine, version from forebay.catalog`
    try {
      if (row!.version !== catalog.version) await catalog.reload?.()
      if (!row!.mine) return
      if ((await tidy(sql, windowMs)).length > 0) await catalog.reload?.()
      const failures: unknown[] = []
      for (const one of await due()) {
        if (stop.signal.aborted) break
        await advance(one).catch(async (error: unknown) => {
          failures.push(error)
          await setReason(sql, one.generation, String(describeError(error).message)).catch(() => {})
        })
      }
      if (failures.length > 0) throw failures[0]
    } finally {
      if (row!.mine) await sql`select pg_advisory_unlock(${locks.rebuild}, 0)`
      await tellProgress(sql)
    }
  }

  const loop = async (): Promise<void> => {
    let retryMs = lookMs
    while (!stop.signal.aborted) {
      try {
        await work()
        retryMs = lookMs
      } catch (error) {
        if (stop.signal.aborted) return
        log.warn('rebuild.interrupted', { error, retryInMs: retryMs })
        retryMs = Math.min(2 * retryMs, longestRetryMs)
      }
      await sleep(retryMs)
    }
  }
  const running = options.auto === false ? Promise.resolve() : loop()
  return {
    work,
    async stop() {
      stop.abort()
      await running
    },
  }
}

type Due = {
  readonly generation: number
  readonly state: 'BUILDING' | 'PROVEN' | 'ACTIVE' | 'STANDBY'
  readonly filled: boolean
  readonly failed: boolean
}

const setReason = (sql: Sql, generation: number, reason: string | null, failed = false): Promise<unknown> => sql`
  update forebay.generations set reason = ${reason}, failed_at = case when ${failed} then now() end
  where generation = ${generation} and retired_at is null`
