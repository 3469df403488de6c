/**
 * A record whose key can't be told may be anybody's, so nothing after it may be applied before it: its partition stops right there
 * until an operator has it read again or steps over it (C19).
 */
import type { BadRecord } from '../change.ts'
import { type Partition, partitionName } from '../source.ts'
import type { Tx } from './fence.ts'
import { isHeld, keep, type Shelf, settledAlready } from './quarantine.ts'
import type { Item, Stretch } from './stretch.ts'

/** `stretches`: as far as they may be applied. `stopping`: the records that end them. */
export type Cut = { readonly stretches: readonly Stretch[]; readonly stopping: readonly BadRecord[] }

const untold = ({ bad }: Item): readonly BadRecord[] => bad.filter(({ told }) => told === undefined)

export const cutAtUnknownKeys = async (tx: Tx, stretches: readonly Stretch[]): Promise<Cut> => {
  const unknown = stretches.flatMap(({ items }) => items.flatMap(untold))
  if (unknown.length === 0) return { stretches, stopping: [] }
  const dropped = await settledAlready(
    tx,
    unknown.map(({ record: { topic, partition, offset }, epoch, entity }) => ({
      topic,
      partition,
      offset,
      epoch,
      entity,
    })),
  )
  const stops = new Set(unknown.filter((_, n) => !dropped.has(n)))
  const stopping: BadRecord[] = []
  const cut = stretches.map((stretch): Stretch => {
    const known = stretch.items.map((item) => ({ ...item, bad: item.bad.filter(({ told }) => told !== undefined) }))
    const at = stretch.items.findIndex((item) => untold(item).some((bad) => stops.has(bad)))
    if (at < 0) return { ...stretch, items: known }
    const item = stretch.items[at]!
    stopping.push(...untold(item).filter((bad) => stops.has(bad)))
    return { ...stretch, to: item.record.offset, items: known.slice(0, at) }
  })
  return { stretches: cut, stopping }
}

/**
 * As far as their bad records fill quarantine to one beyond the cap, at which the topic pauses. What waits behind parked records is not
 * known yet and may exceed it, by a batch.
 */
export const cutAtCap = async (tx: Tx, stretches: readonly Stretch[], cap: number): Promise<readonly Stretch[]> => {
  const badOf = ({ items }: Stretch): number => items.reduce((total, { bad }) => total + bad.length, 0)
  const topics = [...new Set(stretches.filter((one) => badOf(one) > 0).map(({ topic }) => topic))]
  if (topics.length === 0 || cap === Number.POSITIVE_INFINITY) return stretches
  const rows = await tx.unsafe<{ topic: string; n: number }[]>(
    `select topic, count(*)::int as n from forebay.quarantine where ${isHeld} and topic = any($1::text[]) group by topic`,
    [topics],
  )
  const held = new Map(rows.map(({ topic, n }) => [topic, n]))
  return stretches.map((stretch): Stretch => {
    const { topic } = stretch
    const at = stretch.items.findIndex(({ bad }) => {
      const before = held.get(topic) ?? 0
      held.set(topic, before + bad.length)
      return bad.length > 0 && before > cap
    })
    if (at < 0) return stretch
    return { ...stretch, to: stretch.items[at]!.record.offset, items: stretch.items.slice(0, at) }
  })
}

/** Stops the partitions of these records, whose positions are at them, and says why. */
export const stopAt = async (
  tx: Tx,
  shelf: Shelf,
  stopping: readonly BadRecord[],
  origin: string | null,
): Promise<readonly (Partition & { readonly reason: string })[]> => {
  const ids = await keep(
    tx,
    shelf,
    stopping.map((bad) => ({ ...bad, key: null, state: 'PARKED' as const })),
    origin,
  )
  const known = stopping.map((bad, n) => ({ ...bad, id: ids[n]! }))
  const stops = [...Map.groupBy(known, ({ record }) => partitionName(record)).values()].map((bad) => {
    const { topic, partition, offset } = bad[0]!.record
    const why = bad.map(({ entity, reason }) => `${entity}: ${reason}`).join('; ')
    const list = bad.map(({ id }) => id).join(' ')
    return {
      topic,
      partition,
      reason: `the key of the record at ${topic}-${partition}-${offset} can't be told (${why}). After a fix: forebay quarantine redrive ${list}. To go on without it: forebay quarantine drop ${list} --reason …`,
    }
  })
  // The row is this transaction's since its fence.
  await tx`
    update forebay.positions p set state = 'PAUSED', reason = s.reason, paused_by = 'RECORD', stopped_at = clock_timestamp()
    from json_to_recordset(${JSON.stringify(stops)}::text::json) as s(topic text, partition int, reason text)
    where p.topic = s.topic and p.partition = s.partition`
  return stops
}
