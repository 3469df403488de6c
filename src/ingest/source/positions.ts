/** The rows of forebay.positions as sources need them: claimed, judged, stopped. The applier alone moves them on. */
import type { Sql } from '../../platform/postgres.ts'
import type { Position } from '../change.ts'
import { type Extent, type Partition, partitionName } from '../source.ts'

/** As stored: RUNNING partitions are read, the others wait for an operator. */
export type PartitionState = 'RUNNING' | 'PAUSED' | 'STUCK'

/** `epoch`: the partition's, part of every version. */
export type Claimed = Position & { readonly epoch: number }

/**
 * Makes the missing rows, at the log's start, and answers with each partition's next offset. Left out: those that are stuck or
 * paused, which nobody may read until somebody acts.
 */
export const claimPositions = async (sql: Sql, extents: readonly Extent[]): Promise<readonly Claimed[]> => {
  if (extents.length === 0) return []
  const { topics, partitions } = columnsOf(extents)
  await sql`
    insert into forebay.positions (topic, partition, next_offset)
    select * from unnest(${topics}::text[], ${partitions}::int[], ${extents.map(({ start }) => String(start))}::bigint[])
    on conflict do nothing`
  return runningPositions(sql, extents)
}

/** The next offset of each of these partitions that may be read. */
export const runningPositions = async (sql: Sql, asked: readonly Partition[]): Promise<readonly Claimed[]> => {
  const { topics, partitions } = columnsOf(asked)
  const rows = await sql<{ topic: string; partition: number; epoch: number; offset: string }[]>`
    select p.topic, p.partition, p.epoch, p.next_offset as offset
    from forebay.positions p
    join unnest(${topics}::text[], ${partitions}::int[]) as asked (topic, partition) using (topic, partition)
    where p.state = 'RUNNING'`
  return rows.map((row) => ({ ...row, offset: BigInt(row.offset) }))
}

/** Every partition of these topics that has a position, whatever its state. */
export const knownPositions = async (
  sql: Sql,
  topics: readonly string[],
): Promise<readonly (Claimed & { readonly state: PartitionState })[]> => {
  const rows = await sql<{ topic: string; partition: number; epoch: number; offset: string; state: PartitionState }[]>`
    select topic, partition, epoch, next_offset as offset, state from forebay.positions where topic = any (${[...topics]}::text[])`
  return rows.map((row) => ({ ...row, offset: BigInt(row.offset) }))
}

/** Stops a partition until an operator sets it RUNNING again, once what the reason says is seen to. */
export const markStuck = async (sql: Sql, { topic, partition }: Partition, reason: string): Promise<void> => {
  await sql`
    update forebay.positions set state = 'STUCK', reason = ${reason}, stopped_at = clock_timestamp()
    where topic = ${topic} and partition = ${partition} and state <> 'STUCK'`
}

/** Why this process waits at the position, though the partition may be read. */
export const describeHold = async (sql: Sql, { topic, partition }: Partition, reason: string): Promise<void> => {
  await sql`
    update forebay.positions set reason = ${reason}
    where topic = ${topic} and partition = ${partition} and state = 'RUNNING'`
}

/** Nobody waits there any more: another process, or a former life of this one, did. */
export const endHold = async (sql: Sql, partitions: readonly Partition[]): Promise<void> => {
  const { topics, partitions: numbers } = columnsOf(partitions)
  await sql`
    update forebay.positions p set reason = null
    from unnest(${topics}::text[], ${numbers}::int[]) as asked (topic, partition)
    where p.topic = asked.topic and p.partition = asked.partition and p.state = 'RUNNING' and p.reason is not null`
}

/** C21: why a position can't be read from; undefined where it can. Never answered by reading from somewhere else. */
export const outsideLog = (next: bigint, extent: Extent): string | undefined => {
  const { start, end } = extent
  if (next < start) {
    return `the log of ${partitionName(extent)} starts at ${start}, after the next offset ${next}: records are gone; take a new snapshot`
  }
  if (next > end) {
    return `the log of ${partitionName(extent)} ends at ${end}, before the next offset ${next}: the topic was made anew or lost records; take a new snapshot`
  }
  return undefined
}

export const columnsOf = (partitions: readonly Partition[]): { topics: string[]; partitions: number[] } => ({
  topics: partitions.map(({ topic }) => topic),
  partitions: partitions.map(({ partition }) => partition),
})
