/** The environment's words about the built-in journal. */
import { durationMs } from './duration.ts'

/**
 * `retention`: how long what is applied is kept, ISO 8601. `room`: of one topic, what may wait to be applied before writers and feeds are
 * held back. `slotRetained`: bytes of log that a source may keep for a slot before that is an alert.
 */
export type JournalSettings = {
  readonly retention: string
  readonly room: { readonly records: number; readonly bytes: number }
  readonly slotRetained: number
}
export const usualJournal: JournalSettings = {
  retention: 'P7D',
  room: { records: 1_000_000, bytes: 1024 ** 3 },
  slotRetained: 10 * 1024 ** 3,
}

export const readJournalSettings = (text: (name: string) => string | undefined, faults: string[]): JournalSettings => {
  const retention = text('FOREBAY_JOURNAL_RETENTION') ?? usualJournal.retention
  if (durationMs(retention) === undefined)
    faults.push('FOREBAY_JOURNAL_RETENTION is not an ISO 8601 duration of weeks or less; write one like P7D')
  const whole = (name: string, fallback: number): number => {
    const given = text(name)
    if (given === undefined) return fallback
    if (!/^[1-9]\d{0,14}$/.test(given))
      faults.push(`${name} is not a whole number above zero; write one like ${fallback}`)
    return Number(given)
  }
  const { room, slotRetained } = usualJournal
  const { records, bytes } = room
  return {
    retention,
    slotRetained: whole('FOREBAY_SLOT_RETAINED_BYTES', slotRetained),
    room: {
      records: whole('FOREBAY_JOURNAL_ROOM_RECORDS', records),
      bytes: whole('FOREBAY_JOURNAL_ROOM_BYTES', bytes),
    },
  }
}
