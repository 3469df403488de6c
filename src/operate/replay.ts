/**
 * `forebay replay --new-epoch`: what an operator says after a source was restored or replaced, or a topic made anew (C14, C21).
 * Every change from here on is later than all before it, whatever its version; partitions that stopped go on.
 */
import type { Sql } from '../platform/postgres.ts'
import { present } from '../platform/present.ts'
import { withDatabase } from './database.ts'
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
    update forebay.positions
    set epoch = epoch + 1, next_offset = coalesce(${from === undefined ? null : String(from)}::bigint, next_offset),
        state = 'RUNNING', reason = null, frontier = null, observed_end = null, observed_at = null
    where topic = ${topic} and (${partition ?? null}::int is null or partition = ${partition ?? null})
    returning partition, epoch, next_offset::text as "nextOffset", old.state as was`

/** The verb. */
export const runReplay = async (input: Input): Promise<number> => {
  const topic = input.text('new-epoch')
  if (topic === undefined) throw new UsageError('forebay replay runs only with --new-epoch TOPIC so far')
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
