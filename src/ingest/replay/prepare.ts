/** From what was asked to what is to be read: the offsets of each partition, or why that can't be. */
import type { Sql } from '../../platform/postgres.ts'
import { type Extent, type LogSource, type Partition, partitionName } from '../source.ts'
import { type From, readFrom } from './from.ts'
import type { Job, JobRange } from './job.ts'

/** It can't be done as asked; the message says what can. */
export class Refused extends Error {}

/** `floor`: below it, tombstones have been collected. */
type Live = Partition & { readonly epoch: number; readonly next: bigint; readonly floor: bigint }
type Log = { readonly live: Live; readonly extent: Extent }

/** Up to where live is now: what comes after is live's. Throws Refused, or what the log or Postgres throws. */
export const prepareJob = async (
  sql: Sql,
  source: Pick<LogSource, 'extents' | 'offsetsAt'>,
  { topic, since }: Job,
): Promise<readonly JobRange[]> => {
  const rows = await sql<{ partition: number; epoch: number; next: string; floor: string }[]>`
    select partition, epoch, next_offset as next, coalesce(collected_below, 0) as floor from forebay.positions where topic = ${topic} order by partition`
  if (rows.length === 0) throw new Refused(`nothing has been read of ${topic} yet, so there is nothing to replay`)
  const extents = new Map((await source.extents()).map((extent) => [partitionName(extent), extent]))
  const logs = rows.map(({ partition, epoch, next, floor }): Log => {
    const live = { topic, partition, epoch, next: BigInt(next), floor: BigInt(floor) }
    const extent = extents.get(partitionName(live))
    if (!extent) throw new Error(`the log of ${partitionName(live)} can't be asked`)
    return { live, extent }
  })
  const starts = await startsOf(source, since, topic, logs)
  return logs.flatMap(({ live: { next, floor, ...partition } }) => {
    const from = starts.get(partitionName(partition))
    if (from === undefined || from >= next) return []
    // C18: nothing would keep what was deleted before there from coming back.
    if (from < floor)
      throw new Refused(
        `tombstones of what was deleted before ${partitionName(partition)}-${floor} are gone, so replaying from ${from} could bring deleted rows back. Replay --from ${partitionName(partition)}-${floor}, or re-snapshot with --snapshot`,
      )
    return [{ ...partition, from, until: next }]
  })
}

const wished = (since: string): From => {
  try {
    return readFrom(since)
  } catch (error) {
    throw new Refused(error instanceof Error ? error.message : String(error))
  }
}

const startsOf = async (
  source: Pick<LogSource, 'offsetsAt'>,
  since: string,
  topic: string,
  logs: readonly Log[],
): Promise<ReadonlyMap<string, bigint>> => {
  const from = wished(since)
  switch (from.kind) {
    case 'earliest':
      return new Map(logs.map(({ extent }) => [partitionName(extent), extent.start]))
    case 'time': {
      const found = await source.offsetsAt(topic, from.at)
      const starts = new Map(found.map(({ offset, ...at }) => [partitionName(at), offset]))
      for (const { extent } of logs) {
        const offset = starts.get(partitionName(extent)) ?? extent.end
        // The first record that is left is later than asked for, and whether one was there in between nobody can tell.
        if (extent.start > 0n && offset === extent.start && extent.start < extent.end)
          throw new Refused(
            `the log of ${partitionName(extent)} may not go back to ${since}: its first record is at ${extent.start}. Replay --from earliest for all there is, or re-snapshot with --snapshot`,
          )
      }
      return starts
    }
    case 'positions': {
      const starts = new Map<string, bigint>()
      for (const { offset, ...at } of from.positions) {
        const name = partitionName(at)
        const log = at.topic === topic ? logs.find(({ extent }) => partitionName(extent) === name) : undefined
        if (!log)
          throw new Refused(
            `${name} has not been read: the partitions are ${logs.map(({ live }) => partitionName(live)).join(', ')}`,
          )
        if (offset < log.extent.start)
          throw new Refused(
            `the log of ${name} starts at ${log.extent.start}: records from ${offset} on are gone. Replay --from ${name}-${log.extent.start}, or re-snapshot with --snapshot`,
          )
        if (offset > log.live.next)
          throw new Refused(
            `${name} is applied up to ${log.live.next}, before ${offset}: there is nothing to replay yet`,
          )
        starts.set(name, offset)
      }
      return starts
    }
  }
}
