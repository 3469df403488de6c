/**
 * One membership in the consumer group, from joining to leaving or crashing: what is assigned, heartbeats while batches are being
 * taken, and kafkajs's callbacks turned into what `kafka-readings.ts` hands on.
 *
 * At a rebalance what stays with this member goes on from where its last delivery ended: what the sink has is neither dropped nor
 * fetched again.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Consumer, EachBatchPayload } from 'kafkajs'
import { log } from '../../platform/log.ts'
import { type Claim, type Partition, partitionName, type Sink } from '../source.ts'
import type { KafkaLogs } from './kafka-extents.ts'
import { kafkaReadings } from './kafka-readings.ts'
import { whyOutside } from './positions.ts'

export type Group = {
  rewind(positions: readonly Claim[], stopped?: readonly Partition[]): void
  /** Settles when the membership has ended by itself; with the reason. */
  readonly ended: Promise<Error>
  /** Lets go of deliveries in flight and leaves. */
  leave(): Promise<void>
}

const hintMs = 5_000
const beatMs = 500
const retryMs = 1_000
const longestRetryMs = 30_000

/** Joins with a connected consumer. `sessionMs`: after so long without a heartbeat the group may have given everything away. */
export const joinGroup = async (
  consumer: Consumer,
  topics: readonly string[],
  sink: Sink,
  logs: Pick<KafkaLogs, 'extents' | 'topicId'>,
  sessionMs: number,
): Promise<Group> => {
  const readings = kafkaReadings(consumer, sink, logs)
  /** Names of all partitions of this assignment, read or not. */
  let assigned: ReadonlySet<string> = new Set()
  /** Of this assignment; the next one has another. */
  let term = new AbortController()
  let left = false
  let confirmed = performance.now()
  const ended = Promise.withResolvers<Error>()

  const assign = async (assignment: Readonly<Record<string, readonly number[]>>): Promise<void> => {
    term.abort()
    term = new AbortController()
    const { signal } = term
    const partitions = Object.entries(assignment).flatMap(([topic, numbers]) =>
      numbers.map((partition) => ({ topic, partition })),
    )
    assigned = new Set(partitions.map(partitionName))
    readings.keep(assigned)
    for (let wait = retryMs; !signal.aborted; wait = Math.min(2 * wait, longestRetryMs)) {
      // Nothing is fetched until its position is known, or it would be from the group's offset.
      for (const partition of partitions) if (!readings.has(partition)) readings.stop(partition)
      const complete = await take(partitions, signal).catch((error: unknown) => {
        log.warn('kafka.assignment.failed', { error })
        return false
      })
      if (complete) return
      await sleep(wait, undefined, { signal, ref: false }).catch(() => {})
    }
  }

  /** False where some partition's log could not be asked: those wait. */
  const take = async (partitions: readonly Partition[], over: AbortSignal): Promise<boolean> => {
    const names = new Set(partitions.map(partitionName))
    const all = await logs.extents()
    const asked = all.filter((extent) => names.has(partitionName(extent)))
    const known = new Map(asked.map((extent) => [partitionName(extent), extent]))
    if (over.aborted) return true
    const claims = await sink.assigned(asked, all)
    if (over.aborted) return true
    const readable = new Set(claims.map(partitionName))
    for (const extent of asked) if (readings.has(extent) && !readable.has(partitionName(extent))) readings.stop(extent)
    for (const claim of claims) {
      if (readings.has(claim)) continue
      const extent = known.get(partitionName(claim))
      // Another process may have applied past that end before it let the partition go: only an end asked for afterwards counts.
      if (extent && whyOutside(claim, extent) && !(await readings.isWithin(claim))) continue
      if (over.aborted) return true
      readings.begin(claim)
    }
    return asked.length === partitions.length
  }

  const eachBatch = async ({ batch, heartbeat, resolveOffset, isStale }: EachBatchPayload): Promise<void> => {
    let failure: unknown
    const beat = setInterval(() => {
      heartbeat().catch((error: unknown) => {
        failure = error
        readings.interrupt()
      })
    }, beatMs)
    try {
      // Who stood still for so long may be a member no more: it hands on nothing before the group has answered.
      if (performance.now() - confirmed > sessionMs) await heartbeat()
      const to = await readings.pass(batch, isStale)
      if (to !== undefined) resolveOffset(String(to - 1n))
    } finally {
      clearInterval(beat)
    }
    if (failure !== undefined) throw failure
  }

  const { GROUP_JOIN, HEARTBEAT, END_BATCH_PROCESS, CRASH } = consumer.events
  consumer.on(HEARTBEAT, () => {
    confirmed = performance.now()
  })
  consumer.on(GROUP_JOIN, ({ payload }) => {
    confirmed = performance.now()
    void assign(payload.memberAssignment)
  })
  consumer.on(END_BATCH_PROCESS, ({ payload }) => {
    if (payload.batchSize === 0) readings.skipped(payload)
  })
  const over = (): void => {
    left = true
    term.abort()
    readings.end()
    clearInterval(hint)
  }
  consumer.on(CRASH, ({ payload: { error } }) => {
    over()
    ended.resolve(error)
  })
  const hint = setInterval(() => {
    const offsets = readings.positions().map(({ topic, partition, next }) => ({
      topic,
      partition,
      offset: String(next),
    }))
    if (offsets.length > 0) consumer.commitOffsets(offsets).catch(() => {})
  }, hintMs)

  await consumer.subscribe({ topics: [...topics], fromBeginning: true })
  await consumer.run({ autoCommit: false, eachBatchAutoResolve: false, partitionsConsumedConcurrently: 64, eachBatch })
  return {
    ended: ended.promise,
    rewind(positions, stopped = []) {
      if (left) return
      for (const position of positions) if (assigned.has(partitionName(position))) readings.begin(position)
      for (const partition of stopped) if (readings.has(partition)) readings.stop(partition)
    },
    async leave() {
      over()
      await consumer.disconnect().catch(() => {})
    },
  }
}
