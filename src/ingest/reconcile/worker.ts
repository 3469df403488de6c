/**
 * Reconciles beside live work, in every ingest process: what somebody asked for at once, else one page at a time of every view and every
 * entity in turn, for a share of the time only and not at all while live work is behind what it promises.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { describeError, log } from '../../platform/log.ts'
import { counter } from '../../platform/metrics.ts'
import { codeOf, isDataError, type Sql } from '../../platform/postgres.ts'
import type { Catalog, Generation } from '../generations.ts'
import type { Maintainer } from '../maintain/maintainer.ts'
import { lagsOf } from '../replay/pressure.ts'
import { type Steady, steadily } from '../steadily.ts'
import { anyOpen } from './drift.ts'
import {
  beginPasses,
  dropPasses,
  finishPasses,
  lockPass,
  openPasses,
  type Pass,
  readPass,
  type Subject,
  unlockPass,
  waitsFor,
} from './pass.ts'
import { judgeViews, mayBeTooMuch, stepView } from './views.ts'

/** Keys that one step compares, at most and at least. A step that takes too long is halved. */
const mostKeys = 1_000
const leastKeys = 1
/** Keys that are judged in one of an owner's transactions, at most: live rounds wait for it. */
const mostJudged = 100
const judgeMs = 250
const idleMs = 1_000
/** Between two steps that nobody asked for. */
const leastRestMs = 250
/** Between the end of a pass and the beginning of the next one of the same. */
const restMs = 60_000

const comparedTotal = counter({
  name: 'forebay_reconcile_steps_total',
  help: 'Pages of keys that were compared.',
  labels: ['name'],
})

/** Entities that this process can compare with their source. */
export type EntityWalker = {
  readonly subjects: readonly Subject[]
  /** One step of reading or judging. False: nothing could be done now. */
  step(pass: Pass, size: number): Promise<boolean>
  stop(): Promise<void>
}

export type ReconcilerOptions = {
  /** A pool of one connection. */
  readonly sql: Sql
  readonly catalog: Catalog
  readonly maintainer: Pick<Maintainer, 'owned' | 'prove'>
  readonly entities?: EntityWalker
  /** Of this connection's time; 0: only what is asked for. */
  readonly share: number
  /** Whether appliers are catching up. */
  readonly behind?: () => boolean
  readonly restMs?: number
  /** Off: it works only when asked to. */
  readonly auto?: boolean
}
export type Reconciler = {
  /** One step of one pass; false: there is none to be made. For tests and for draining. */
  step(): Promise<boolean>
  /** Judges what differs and is this process's. */
  judge(): Promise<void>
  stop(): Promise<void>
}

export const startReconciler = (options: ReconcilerOptions): Reconciler => {
  const { sql, catalog, maintainer, entities, share, behind = () => false } = options
  const viewsIn = (generations: readonly Generation[]) =>
    generations.map(({ generation, table }): Subject => ({ kind: 'VIEW', name: table.view, generation }))
  const serving = () => catalog.generations.filter(({ state }) => state === 'ACTIVE')
  const sizes = new Map<string, number>()
  const stop = new AbortController()
  const judging = { sql, maintainer, generations: () => catalog.generations }
  let atOnce = mostJudged
  let turn = 0

  /** Others may be kept up by a process with another schema folder. */
  const mine = ({ kind, name, generation }: Pass): boolean =>
    kind === 'VIEW'
      ? catalog.generations.some((one) => one.generation === generation)
      : (entities?.subjects.some((one) => one.name === name) ?? false)

  /** False where another process is at it, or nothing can be done now. */
  const work = async (listed: Pass): Promise<boolean> => {
    if (!(await lockPass(sql, listed))) return false
    try {
      const pass = await readPass(sql, listed)
      if (pass === undefined) return false
      const size = sizes.get(pass.id) ?? mostKeys
      try {
        const done = await stepOf(pass, size)
        sizes.set(pass.id, Math.min(mostKeys, size * 2))
        if (done) comparedTotal.inc({ name: pass.name })
        return done
      } catch (error) {
        if (!mayBeTooMuch(error) || size === leastKeys) {
          await waitsFor(sql, pass, reasonOf(error)).catch(() => {})
          throw error
        }
        sizes.set(pass.id, Math.max(leastKeys, Math.floor(size / 4)))
        return true
      }
    } finally {
      await unlockPass(sql, listed).catch(() => {})
    }
  }
  const stepOf = async (pass: Pass, size: number): Promise<boolean> => {
    if (pass.kind === 'ENTITY') return entities!.step(pass, size)
    if (pass.state !== 'READING') return false
    const generation = catalog.generations.find((one) => one.generation === pass.generation)
    if (generation === undefined) return false
    await stepView(sql, generation, pass, size)
    return true
  }
  /** What somebody waits for; what is due, in turn. */
  const step = async (asked: boolean): Promise<boolean> => {
    const open = (await openPasses(sql)).filter((pass) => (pass.askedBy !== null) === asked && mine(pass))
    turn += 1
    for (let n = 0; n < open.length; n++) if (await work(open[(turn + n) % open.length]!)) return true
    return false
  }
  const judge = async (): Promise<void> => {
    while (await anyOpen(sql)) {
      try {
        if (!(await judgeViews(judging, atOnce))) break
        atOnce = mostJudged
      } catch (error) {
        if (!mayBeTooMuch(error) || atOnce === 1) throw error
        atOnce = Math.floor(atOnce / 4) || 1
      }
    }
    await finishPasses(sql)
  }
  const due = (): readonly Subject[] => [...viewsIn(serving()), ...(entities?.subjects ?? [])]
  const held = async (): Promise<boolean> => behind() || (await lagsOf(sql, serving())).some(({ load }) => load >= 1)

  const rest = (ms: number): Promise<void> => sleep(ms, undefined, { signal: stop.signal }).catch(() => {})
  const round = async (): Promise<void> => {
    if (await step(true)) return
    if (share > 0 && !(await held())) {
      await dropPasses(sql)
      await beginPasses(sql, due(), options.restMs ?? restMs)
      const began = performance.now()
      if (await step(false)) {
        const took = performance.now() - began
        await rest(Math.max(leastRestMs, took * (1 / share - 1)))
        return
      }
    }
    await rest(idleMs)
  }
  const loop = async (): Promise<void> => {
    for (let failing = false; !stop.signal.aborted; ) {
      try {
        await round()
        failing = false
      } catch (error) {
        if (!failing && !stop.signal.aborted) log.warn('reconcile.failed', { error })
        failing = true
        await rest(idleMs)
      }
    }
  }
  const auto = options.auto !== false
  const running = auto ? loop() : Promise.resolve()
  const judged: Steady | undefined = auto ? steadily('reconcile.judge', judgeMs, judge) : undefined
  return {
    async step() {
      if (await step(true)) return true
      await beginPasses(sql, due(), options.restMs ?? restMs)
      return step(false)
    },
    judge,
    async stop() {
      stop.abort()
      await running
      await judged?.stop()
      await entities?.stop()
    },
  }
}

/** What a server says of a value may hold the value. */
const reasonOf = (error: unknown): string =>
  isDataError(error) ? `a statement fails with SQLSTATE ${codeOf(error)}` : String(describeError(error).message)
