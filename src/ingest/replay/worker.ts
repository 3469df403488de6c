/** Offers this process for replays: works those that are open and that nobody else works, one at a time. */
import { setTimeout as delay } from 'node:timers/promises'
import { describeError, log } from '../../platform/log.ts'
import { Gone } from '../source.ts'
import { finishJob, type Job, lockJob, openJobs, unlockJob, waitsFor } from './job.ts'
import { createPace } from './pace.ts'
import { Refused } from './prepare.ts'
import { pressureOn } from './pressure.ts'
import { type RunOptions, runJob } from './run.ts'

export type Replays = { stop(): Promise<void> }

const lookMs = 1_000
const longestRetryMs = 30_000

export const startReplays = (options: Omit<RunOptions, 'signal'>): Replays => {
  const { sql, catalog } = options
  const stop = new AbortController()
  const sleep = (ms: number): Promise<void> => delay(ms, undefined, { signal: stop.signal }).catch(() => {})

  /** True when it has come to its end. */
  const work = async (job: Job): Promise<boolean> => {
    const { id, entity, topic, since } = job
    log.info('replay.working', { id, entity, topic, since })
    try {
      const pressure = pressureOn(sql, catalog, entity)
      const result = await runJob(job, { ...options, signal: stop.signal }, (say) =>
        createPace({ pressure, say, sleep }),
      )
      if (result === 'ended') await finishJob(sql, job, null)
      log.info('replay.left', { id, result })
      return result === 'ended'
    } catch (error) {
      if (!(error instanceof Refused || error instanceof Gone)) {
        await waitsFor(sql, job, String(describeError(error).message)).catch(() => {})
        throw error
      }
      log.error('replay.failed', { id, reason: error.message })
      await finishJob(sql, job, error.message)
      return true
    }
  }
  /** True when one came to its end, and there may be another. Throws what kept one from going on, once the others had their turn. */
  const round = async (): Promise<boolean> => {
    const failures: unknown[] = []
    for (const job of await openJobs(sql)) {
      if (stop.signal.aborted || !(await lockJob(sql, job))) continue
      try {
        if (await work(job)) return true
      } catch (error) {
        failures.push(error)
      } finally {
        await unlockJob(sql, job).catch(() => {})
      }
    }
    if (failures.length > 0) throw failures[0]
    return false
  }
  const loop = async (): Promise<void> => {
    let retryMs = lookMs
    while (!stop.signal.aborted) {
      try {
        if (!(await round())) await sleep(lookMs)
        retryMs = lookMs
      } catch (error) {
        if (stop.signal.aborted) return
        log.warn('replay.interrupted', { error, retryInMs: retryMs })
        await sleep(retryMs)
        retryMs = Math.min(2 * retryMs, longestRetryMs)
      }
    }
  }
  const running = loop()
  return {
    async stop() {
      stop.abort()
      await running
    },
  }
}
