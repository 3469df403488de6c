/** What a replay has done, gathered and written down now and then: figures for people and metrics, nothing depends on them. */
import { counter } from '../../platform/metrics.ts'
import type { Sql } from '../../platform/postgres.ts'
import { type Job, type Progress, report } from './job.ts'

const reportMs = 500

export type Say = (why: string | undefined) => void
type Counts = { -readonly [name in Exclude<keyof Progress, 'rate' | 'waiting'>]: number } & { offsets: number }
export type Tally = { add(counts: Partial<Counts>): void; readonly say: Say; write(now: boolean): Promise<void> }

const recordsTotal = counter({
  name: 'forebay_replay_records_total',
  help: 'Records read by replays.',
  labels: ['entity'],
})
const rowsTotal = counter({
  name: 'forebay_replay_rows_total',
  help: 'Rows written by replays: added where they were missing or older, refreshed where their own record means something else.',
  labels: ['entity', 'how'],
})

export const startTally = (sql: Sql, job: Job): Tally => {
  const none = (): Counts => ({ records: 0, offsets: 0, added: 0, refreshed: 0, partial: 0, parked: 0, unreadable: 0 })
  let counts = none()
  let since = performance.now()
  let rate: number | null = null
  let waiting: string | undefined
  const write = async (now: boolean): Promise<void> => {
    const ms = performance.now() - since
    if (!now && ms < reportMs) return
    const { offsets, ...done } = counts
    const recent = (offsets / ms) * 1_000
    rate = rate === null ? recent : rate + (recent - rate) * Math.min(1, ms / 5_000)
    counts = none()
    since = performance.now()
    try {
      await report(sql, job, { ...done, rate, waiting: waiting ?? null })
    } catch (error) {
      add(done)
      throw error
    }
    recordsTotal.inc({ entity: job.entity }, done.records)
    rowsTotal.inc({ entity: job.entity, how: 'added' }, done.added)
    rowsTotal.inc({ entity: job.entity, how: 'refreshed' }, done.refreshed)
  }
  const add = (more: Partial<Counts>): void => {
    for (const [name, n] of Object.entries(more)) counts[name as keyof Counts] += n
  }
  return {
    add,
    say(why) {
      if (why === waiting) return
      waiting = why
      void write(true).catch(() => {})
    },
    write,
  }
}
