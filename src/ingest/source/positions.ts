/** The rows of forebay.positions as sources need them: claimed, judged, stopped. The applier alone moves them on. */
import { log as logger } from '../../platform/log.ts'
import type { Sql } from '../../platform/postgres.ts'
import { type Claim, type Extent, type Partition, partitionName } from '../source.ts'
import { admitPartitions } from './partition-epochs.ts'

/** As stored: RUNNING partitions are read, the others wait for an operator. */
export type PartitionState = 'RUNNING' | 'PAUSED' | 'STUCK'

/** `epoch`: the partition's, part of every version. */
export type Claimed = Claim & { readonly epoch: number }

/**
 * Makes the missing rows, at the log's start, and answers with each partition's next offset. Left out: those that are stuck or
 * paused, which nobody may read until somebody acts. `log`: the extents of all partitions of their topics.
 */
export const claimPositions = async (
  sql: Sql,
  extents: readonly Extent[],
  log: readonly Extent[] = extents,
): Promise<readonly Claimed[]> => {
  if (extents.length === 0) return []
  await admitPartitions(sql, log)
  await identify(sql, log)
  return runningPositions(sql, extents)
}

/** C21: a topic is the one whose records were applied, or its partitions stop. Only the log's id tells: offsets may fit by chance. */
const identify = async (sql: Sql, log: readonly Extent[]): Promise<void> => {
  const named = log.filter(({ topicId }) => topicId !== undefined)
  if (named.length === 0) return
  const { topics, partitions } = columnsOf(named)
  const made = await sql<(Partition & { topicId: string })[]>`
    update forebay.positions p
    set topic_id = coalesce(p.topic_id, asked.id)
    from unnest(${topics}::text[], ${partitions}::int[], ${named.map(({ topicId }) => topicId!)}::text[]) as asked (topic, partition, id)
    where p.topic = asked.topic and p.partition = asked.partition and p.state = 'RUNNING' and p.topic_id is distinct from asked.id
    returning p.topic, p.partition, p.topic_id as "topicId"`
  for (const row of made) {
    const extent = named.find((one) => partitionName(one) === partitionName(row))
    const reason = extent && madeAnew(row.topicId, extent)
    if (reason === undefined) continue
    logger.error('partition.stuck', { partition: partitionName(row), reason })
    await markStuck(sql, row, reason)
  }
}

/** The next offset of each of these partitions that may be read. */
export const runningPositions = async (sql: Sql, asked: readonly Partition[]): Promise<readonly Claimed[]> => {
  const { topics, partitions } = columnsOf(asked)
  const rows = await sql<Row[]>`
    select ${columns(sql)}
    from forebay.positions p
    join unnest(${topics}::text[], ${partitions}::int[]) as asked (topic, partition) using (topic, partition)
    where p.state = 'RUNNING'`
  return rows.map(claimed)
}

/** Every partition of these topics that has a position, whatever its state. */
export const knownPositions = async (
  sql: Sql,
  topics: readonly string[],
): Promise<readonly (Claimed & { readonly state: PartitionState })[]> => {
  const rows = await sql<
    Row[]
  >`select ${columns(sql)} from forebay.positions p where topic = any (${[...topics]}::text[])`
  return rows.map((row) => ({ ...claimed(row), state: row.state }))
}

type Row = Partition & {
  readonly epoch: number
  readonly offset: string
  readonly until: string | null
  readonly topicId: string | null
  readonly state: PartitionState
}
const columns = (sql: Sql) =>
  sql`p.topic, p.partition, p.epoch, p.next_offset as offset, p.waits_for->>'at' as until, p.topic_id as "topicId", p.state`
const claimed = ({ topic, partition, epoch, offset, until, topicId }: Row): Claimed => ({
  topic,
  partition,
  epoch,
  offset: BigInt(offset),
  ...(until === null ? {} : { until: BigInt(until) }),
  ...(topicId === null ? {} : { topicId }),
})

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

const newSnapshot = (topic: string): string =>
  `take a new snapshot, and read the topic from its start by: forebay replay --new-epoch ${topic} --from 0`

/** C21: why a position can't be read from; undefined where it can. Never answered by reading from somewhere else. */
export const outsideLog = (next: bigint, extent: Extent): string | undefined => {
  const { topic, start, end } = extent
  if (next < start) {
    return `the log of ${partitionName(extent)} starts at ${start}, after the next offset ${next}: records are gone; ${newSnapshot(topic)}`
  }
  if (next > end) {
    return `the log of ${partitionName(extent)} ends at ${end}, before the next offset ${next}: the topic was made anew or lost records; ${newSnapshot(topic)}`
  }
  return undefined
}

/** C21: the topic of this name is another one than the position is of. */
export const madeAnew = (topicId: string | undefined, { topic, topicId: found }: Extent): string | undefined =>
  topicId === undefined || found === undefined || topicId === found
    ? undefined
    : `the topic ${topic} was deleted and made anew (its id is ${found}, positions are of ${topicId}); ${newSnapshot(topic)}`

/** Either. */
export const whyOutside = ({ offset, topicId }: Claim, extent: Extent): string | undefined =>
  madeAnew(topicId, extent) ?? outsideLog(offset, extent)

export const columnsOf = (partitions: readonly Partition[]): { topics: string[]; partitions: number[] } => ({
  topics: partitions.map(({ topic }) => topic),
  partitions: partitions.map(({ partition }) => partition),
})
