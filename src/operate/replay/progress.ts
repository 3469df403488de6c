/** What is said of a replay while it runs, in one line. */
import type { Replay } from './jobs.ts'

const count = (n: number): string => n.toLocaleString('en')

/** `1 h 5 min`, `2 min 3 s`, `40 s`. */
export const span = (seconds: number): string => {
  const s = Math.max(1, Math.round(seconds))
  if (s < 60) return `${s} s`
  if (s < 3_600) return `${Math.floor(s / 60)} min ${s % 60} s`
  return `${Math.floor(s / 3_600)} h ${Math.floor((s % 3_600) / 60)} min`
}

/** Seconds until its end at the present rate; undefined where that can't be told. */
export const secondsLeft = ({ state, done, total, rate }: Replay): number | undefined =>
  state !== 'RUNNING' || total === null || rate === null || rate <= 0 ? undefined : (total - done) / rate

export const progressLine = (replay: Replay): string => {
  const { state, done, total, rate, waiting, worked, behind, added, refreshed, parked, error } = replay
  const share = total === null ? '' : `${total === 0 ? 100 : Math.floor((100 * done) / total)}% of ${count(total)}`
  const rows = `rows: ${count(added)} added, ${count(refreshed)} refreshed${parked > 0 ? `; ${count(parked)} records in quarantine` : ''}`
  switch (state) {
    case 'RUNNING': {
      if (!worked) {
        const what =
          behind === null ? 'an ingest process (forebay ingest, forebay start) to take it' : `replay ${behind}`
        const why = waiting === null ? '' : ` (it could not go on: ${waiting})`
        return `${share ? `${share}, ` : ''}waiting for ${what}${why}`
      }
      if (total === null) return 'working out where it begins'
      const left = secondsLeft(replay)
      return [
        share,
        ...(rate === null ? [] : [`${count(Math.round(rate))}/s`]),
        ...(left === undefined ? [] : [`ETA ${span(left)}`]),
        rows,
        ...(waiting === null ? [] : [`waiting: ${waiting}`]),
      ].join('  ')
    }
    case 'DONE':
      return `done: ${count(total ?? 0)} offsets, ${rows}`
    case 'FAILED':
      return `failed: ${error ?? 'no reason is known'}`
    case 'CANCELLED':
      return `cancelled at ${share || '0%'}; what was written stays. ${rows}`
  }
}
