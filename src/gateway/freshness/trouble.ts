/** What is out of order with what a view is made of, as answers name it. No key and no value of a row stands in it. */
import { partitionState, type StoredPartition } from './source-state.ts'

export type Trouble = {
  /** A topic, a partition of one, or the view itself. */
  readonly source: string
  readonly state: 'PAUSED' | 'STUCK' | 'PARKED'
  readonly detail: string
  /** ISO; absent where that is not known. */
  readonly since?: string
}
/**
 * Records in quarantine. `entity` is null where even that could not be told. `settledAt`: of those that left it, the latest to do so; what they
 * stood for is in the view for sure once asOf has passed that.
 */
export type Parked = {
  readonly topic: string
  readonly entity: string | null
  readonly count: number
  readonly oldest: string
  readonly settledAt: number | null
}
/**
 * Keys of a view that could not be recomputed; asOf leaves them out. `oldest`: since when the first of them waits, in milliseconds since
 * 1970 by the primary's clock.
 */
export type ParkedKeys = { readonly generation: number; readonly count: number; readonly oldest: number }

export const parkedKeysSql = `select generation, count(*) as count, floor(extract(epoch from min(since)) * 1000)::bigint as oldest
  from forebay.parked_keys group by generation`

type Place = { readonly topic: string; readonly partition: number }

export const missing = (topics: readonly string[], partitions: readonly Place[]): Trouble[] =>
  topics
    .filter((name) => !partitions.some(({ topic }) => topic === name))
    .map((source) => ({ source, state: 'STUCK', detail: 'there is no such topic: nothing has come of it yet' }))

export const stopped = (partitions: readonly (StoredPartition & Place)[], now: number): Trouble[] =>
  partitions.flatMap((partition) => {
    const { state, since, reason } = partitionState(partition, now)
    if (state === 'IDLE' || state === 'RUNNING') return []
    const source = `${partition.topic}-${partition.partition}`
    const trouble = { source, state, detail: reason ?? state.toLowerCase() }
    return since === null ? [trouble] : [{ ...trouble, since: new Date(since).toISOString() }]
  })

export const quarantined = (parked: readonly Parked[]): Trouble[] =>
  parked.map(({ topic, count, oldest, settledAt }) => {
    const [records, them] = count === 1 ? ['record', 'it stood'] : ['records', 'they stood']
    const detail =
      settledAt === null
        ? `${count} ${records} in quarantine, the oldest at ${oldest}`
        : `${count} ${records} left quarantine, and what ${them} for is being worked in`
    return { source: topic, state: 'PARKED', detail }
  })

export const notRecomputed = (view: string, parked: ParkedKeys | undefined): Trouble[] => {
  if (parked === undefined) return []
  const [keys, them] = parked.count === 1 ? ['key', 'is'] : ['keys', 'are']
  const detail = `${parked.count} ${keys} could not be recomputed and ${them} tried again`
  return [{ source: view, state: 'PARKED', detail, since: new Date(parked.oldest).toISOString() }]
}
