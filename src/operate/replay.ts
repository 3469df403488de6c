/**
 * `forebay replay`. `--entity` and what belongs to it: see `replay/verb.ts`. `--new-epoch`: what an operator says after a source was restored or replaced, or a topic made anew (C14, C21).
 * Every change from here on is later than all before it, whatever its version; partitions that stopped go on.
 */
import type { Sql } from '../platform/postgres.ts'
import { present } from '../platform/present.ts'
import { withDatabase } from './database.ts'
import { runReplayJobs } from './replay/verb.ts'
import { type Input, print, UsageError, whole } from './verb.ts'

export type EpochOptions = {
  /** Absent: every partition. */
  readonly partition?: number
  /** Where to go on reading; absent: where each stands. */
  readonly from?: bigint
}
export type Epoch = {
  readonly partition: number
  readonly epoch: number
  readonly nextOffset: string
  readonly was: string
}

/** Starts the next epoch of a topic's partitions and returns them; none when the topic has never been read. */
export const startEpoch = async (
  sql: Sql,
  topic: string,
  { partition, from }: EpochOptions,
): Promise<readonly Epoch[]> =>
  sql<Epoch[]>`
    with begun as (
      update forebay.positions
      set epoch = epoch + 1, next_offset = coalesce(${from === undefined ? null : String(from)}::bigint, next_offset),
          state = 'RUNNING', reason = null, stopped_at = null, topic_id = null, waits_for = null, paused_by = null,
          frontier = null, source_frontier = null, source_trouble = null, observed_end = null, observed_at = null
      where topic = ${topic} and (${partition ?? null}::int is null or partition = ${partition ?? null})
      returning topic, partition, epoch, next_offset, old.state as was),
    kept as (
      insert into forebay.epochs (topic, partition, epoch, first_offset) select topic, partition, epoch, next_offset from begun)
    select partition, epoch, next_offset::text as "nextOffset", was from begun order by partition`

/** The verb: exactly one of the things it can do. */
export const runReplay = async (input: Input): Promise<number> => {
  const named = ['entity', 'new-epoch', 'status', 'cancel'].filter((name) => input.text(name) !== undefined)
  if (input.flag('list')) named.push('list')
  if (named.length !== 1)
    throw new UsageError(
      'write one of: --entity ENTITY --from WHERE, --entity ENTITY --snapshot, --list, --status ID, --cancel ID, --new-epoch TOPIC',
    )
  const topic = input.text('new-epoch')
  if (topic === undefined) return runReplayJobs(input)
  return newEpoch(input, topic)
}

const newEpoch = async (input: Input, topic: string): Promise<number> => {
  const [partition, from] = [whole(input, 'partition'), whole(input, 'from')]
  const options = present({ partition, from: from === undefined ? undefined : BigInt(from) })
  const epochs = await withDatabase(input.config, 'replay', (sql) => startEpoch(sql, topic, options))
  if (epochs.length === 0)
    throw new Error(
      `Nothing has been read of ${topic}${partition === undefined ? '' : `, partition ${partition}`}, so there is no epoch to follow. See the topics with: select distinct topic from forebay.positions`,
    )
  if (input.flag('json')) print(JSON.stringify({ topic, partitions: epochs }))
  else
    for (const { partition, epoch, nextOffset, was } of epochs)
      print(`${topic}-${partition}: epoch ${epoch}, from offset ${nextOffset} (was ${was})`)
  return 0
}
