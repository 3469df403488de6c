/**
 * What goes wrong on the way from real sources, on demand: a connector that restarts and sends a suffix again, one that lags behind
 * the others (so that changes of different tables arrive out of order), a column that appears in the middle of a topic. Nothing is
 * lost and the order within a topic's first deliveries stays, as with a real connector.
 */
import { isCaptured, type OutRecord } from './debezium.ts'

/** `calm`: ticks between two faults of one kind, on average. */
export type FaultOptions = { readonly random: () => number; readonly calm?: number }

const suffix = 12

export const createFaults = ({ random, calm = 80 }: FaultOptions) => {
  const sent = new Map<string, OutRecord[]>()
  let late: { topic: string; ticksLeft: number; records: OutRecord[] } | undefined
  let widened: string | undefined
  const strikes = (): boolean => random() < 1 / calm
  const anyTopic = (): string | undefined => [...sent.keys()][Math.floor(random() * sent.size)]

  const resend = (): readonly OutRecord[] => {
    const topic = strikes() ? anyTopic() : undefined
    return topic && topic !== late?.topic ? (sent.get(topic) ?? []) : []
  }
  const hold = (records: readonly OutRecord[]): readonly OutRecord[] => {
    const topic = !late && strikes() ? anyTopic() : undefined
    if (topic) late = { topic, ticksLeft: 5 + Math.floor(random() * 20), records: [] }
    if (!late) return records
    const behind = late
    behind.records.push(...records.filter((record) => record.topic === behind.topic))
    const others = records.filter((record) => record.topic !== behind.topic)
    behind.ticksLeft -= 1
    if (behind.ticksLeft >= 0) return others
    late = undefined
    return [...others, ...behind.records]
  }
  const widen = (record: OutRecord): OutRecord => {
    if (record.topic !== widened || !record.value || !isCaptured(record)) return record
    const value = JSON.parse(record.value)
    if (!value.after) return record
    return { ...record, value: JSON.stringify({ ...value, after: { ...value.after, added_later: 'a new column' } }) }
  }
  const remember = (records: readonly OutRecord[]): void => {
    for (const record of records) sent.set(record.topic, [...(sent.get(record.topic) ?? []), record].slice(-suffix))
  }

  return {
    /** What arrives of one tick's records. */
    disturb: (records: readonly OutRecord[]): readonly OutRecord[] => {
      if (strikes()) widened = anyTopic()
      const again = resend()
      const arriving = hold(records).map(widen)
      remember(arriving)
      return [...again, ...arriving]
    },
    /** Sent by their source and not arrived yet: to be kept over a stop. */
    held: (): readonly OutRecord[] => late?.records ?? [],
  }
}
