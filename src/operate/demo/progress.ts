/** How the demo is doing: one line a second on a terminal, one every ten elsewhere. */
import { log } from '../../platform/log.ts'
import type { Sql } from '../../platform/postgres.ts'

type Progress = { readonly applied: number; readonly lagMs: number | null; readonly quarantined: number }

/** `applied`: records passed since the log began. `lagMs`: age of what is surely visible; null: not known yet. */
const readProgress = async (sql: Sql): Promise<Progress> => {
  const [row] = await sql<{ applied: string; lag: number | null; quarantined: number }[]>`
    select coalesce(sum(next_offset), 0) as applied,
           case when bool_and(frontier is not null)
             then extract(epoch from clock_timestamp() - min(least(frontier, pending)))::float8 * 1000 end as lag,
           (select count(*)::int from forebay.quarantine where state = 'PARKED') as quarantined
    from forebay.positions, (select min(origin) as pending from forebay.dirty) d`
  return { applied: Number(row?.applied ?? 0), lagMs: row?.lag ?? null, quarantined: row?.quarantined ?? 0 }
}

const line = (written: number, applied: number, { lagMs, quarantined }: Progress): string =>
  [
    `${written.toFixed(0)} changes/s written`,
    `${applied.toFixed(0)}/s applied`,
    `lag ${lagMs === null ? 'unknown' : lagMs < 10_000 ? `${Math.max(0, Math.round(lagMs))} ms` : `${(lagMs / 1000).toFixed(0)} s`}`,
    `${quarantined} quarantined`,
  ].join(' · ')

/** Reports until stopped. `written`: records written so far. */
export const reportProgress = (sql: Sql, written: () => number, out: NodeJS.WriteStream): { stop(): void } => {
  const everyMs = out.isTTY ? 1_000 : 10_000
  let before: { at: number; written: number; applied: number } | undefined
  let failing = false
  const report = async (): Promise<void> => {
    try {
      const progress = await readProgress(sql)
      const now = { at: performance.now(), written: written(), applied: progress.applied }
      if (before) {
        const seconds = (now.at - before.at) / 1000
        const text = line((now.written - before.written) / seconds, (now.applied - before.applied) / seconds, progress)
        out.write(out.isTTY ? `\r\x1b[K${text}` : `${text}\n`)
      }
      before = now
      failing = false
    } catch (error) {
      if (!failing) log.warn('the demo can not read its progress', { error })
      failing = true
    }
  }
  void report()
  const timer = setInterval(() => void report(), everyMs)
  return {
    stop: () => {
      clearInterval(timer)
      if (out.isTTY) out.write('\n')
    },
  }
}
