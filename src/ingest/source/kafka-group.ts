/**
 * One membership in the consumer group, from joining to leaving or crashing: kafkajs's callbacks turned into the port's deliveries.
 *
 * What kafkajs does of itself must not come through. It starts at the group's committed offset, and after an offset out of range at
 * the log's start: both show in a fetch that began elsewhere than asked for, which is dropped and judged. And it calls nobody for a
 * fetch of nothing but control, aborted or compacted records, but emits an event and steps over them: that becomes a batch without
 * records, so that a position gets past the marker that ends a transaction.
 */
import type { Consumer, EachBatchPayload, Batch as Fetched, KafkaMessage } from 'kafkajs'
import { log } from '../../platform/log.ts'
import type { LogRecord, Position } from '../change.ts'
import { type Batch, type Extent, type Partition, partitionName, type Sink } from '../source.ts'
import { outsideLog } from './positions.ts'

/**
 * A partition being read. `turn` counts rewinds: what was fetched before one is of no use after it. `flight`: what the sink has not
 * answered yet; a fetch that comes again waits for it instead of handing the same records over twice. `tail`: batches without records.
 */
type Lane = Partition & { next: bigint; turn: number; flight: Flight | undefined; tail: Promise<void> }
type Flight = { readonly to: bigint; readonly taken: Promise<'taken'> }

export type Group = {
  rewind(positions: readonly Position[]): void
  /** Settles when the membership has ended by itself; with the reason. */
  readonly ended: Promise<Error>
  /** Lets go of deliveries in flight and leaves. */
  leave(): Promise<void>
}

const hintMs = 5_000
const beatMs = 1_000
const retryMs = 1_000
const longestRetryMs = 30_000

/** Joins with a connected consumer. `extents` asks the log anew. */
export const joinGroup = async (
  consumer: Consumer,
  topics: readonly string[],
  sink: Sink,
  extents: () => Promise<readonly Extent[]>,
): Promise<Group> => {
  let lanes = new Map<string, Lane>()
  /** Names of all partitions of this assignment, read or not. */
  let assigned: ReadonlySet<string> = new Set()
  /** Replaced at each assignment; settles when that one is over, and with it every delivery of it. */
  let term = Promise.withResolvers<void>()
  /** Settles when the group calls: kafkajs joins again only once every batch it handed out has come back. */
  let called = Promise.withResolvers<void>()
  let left = false
  const ended = Promise.withResolvers<Error>()

  const seek = ({ topic, partition, next }: Lane): void => consumer.seek({ topic, partition, offset: String(next) })
  const pause = ({ topic, partition }: Partition): void => consumer.pause([{ topic, partitions: [partition] }])
  const resume = ({ topic, partition }: Partition): void => consumer.resume([{ topic, partitions: [partition] }])

  const assign = async (assignment: Readonly<Record<string, readonly number[]>>): Promise<void> => {
    term.resolve()
    term = Promise.withResolvers()
    const mine = term
    const partitions = Object.entries(assignment).flatMap(([topic, numbers]) =>
      numbers.map((partition) => ({ topic, partition })),
    )
    for (let wait = retryMs; mine === term && !left; wait = Math.min(2 * wait, longestRetryMs)) {
      // Nothing is fetched until its position is known, or it would be from the group's offset.
      lanes = new Map()
      assigned = new Set(partitions.map(partitionName))
      for (const partition of partitions) pause(partition)
      const complete = await take(partitions, mine).catch((error: unknown) => {
        log.warn('kafka.assignment.failed', { error })
        return false
      })
      if (complete) return
      await Promise.race([mine.promise, delay(wait)])
    }
  }

  /** False where some partition's log could not be asked: those wait. */
  const take = async (partitions: readonly Partition[], mine: typeof term): Promise<boolean> => {
    const names = new Set(partitions.map(partitionName))
    const asked = (await extents()).filter((extent) => names.has(partitionName(extent)))
    const known = new Map(asked.map((extent) => [partitionName(extent), extent]))
    const positions = await sink.assigned(asked)
    if (mine !== term || left) return true
    for (const { topic, partition, offset } of positions) {
      const name = partitionName({ topic, partition })
      const lane = { topic, partition, next: offset, turn: 0, flight: undefined, tail: Promise.resolve() }
      const extent = known.get(name)
      // Another process may have applied past that end before it let the partition go: only an end asked for afterwards counts.
      if (extent && outsideLog(offset, extent) && !(await judge(lane))) continue
      if (mine !== term || left) return true
      lanes.set(name, lane)
      seek(lane)
      resume(lane)
    }
    return asked.length === partitions.length
  }

  /** A partition of this assignment that nobody might read when it was made, or from some time on. */
  const adopt = ({ topic, partition, offset }: Position): void => {
    const name = partitionName({ topic, partition })
    if (!assigned.has(name)) return
    const lane = { topic, partition, next: offset, turn: 0, flight: undefined, tail: Promise.resolve() }
    lanes.set(name, lane)
    seek(lane)
    resume(lane)
  }

  /** The offset up to which the sink has it; undefined when it was not taken now, and comes again. */
  const hand = async (lane: Lane, batch: Batch, mine: typeof term): Promise<bigint | undefined> => {
    const { turn } = lane
    const current = () => mine === term && lane.turn === turn
    const flight = lane.flight ?? { to: batch.to, taken: sink.deliver(batch).then(() => 'taken' as const) }
    lane.flight = flight
    flight.taken.catch(() => {})
    try {
      const outcome = await Promise.race([flight.taken, mine.promise, called.promise])
      if (outcome !== 'taken' || !current()) return undefined
      lane.flight = undefined
      lane.next = flight.to
      return flight.to
    } catch (error) {
      log.warn('kafka.batch.refused', { partition: partitionName(lane), offset: String(batch.from), error })
      await Promise.race([mine.promise, called.promise, delay(retryMs)])
      if (current()) {
        lane.flight = undefined
        seek(lane)
      }
      return undefined
    }
  }

  /** C21: a fetch that began elsewhere. Either it was on its way before a seek, or kafkajs reset the offset by itself. */
  const judge = async (lane: Lane): Promise<boolean> => {
    const extent = (await extents()).find((one) => partitionName(one) === partitionName(lane))
    const outside = extent && outsideLog(lane.next, extent)
    if (outside === undefined) return extent !== undefined
    await halt(lane, outside)
    return false
  }

  const halt = async (lane: Lane, reason: string): Promise<void> => {
    lanes.delete(partitionName(lane))
    pause(lane)
    await sink.stuck(lane, reason)
  }

  const eachBatch = async ({ batch, heartbeat, resolveOffset, isStale }: EachBatchPayload): Promise<void> => {
    let failure: unknown
    const beat = setInterval(() => {
      heartbeat().catch((error: unknown) => {
        failure = error
        called.resolve()
        called = Promise.withResolvers()
      })
    }, beatMs)
    try {
      const to = await pass(batch, isStale)
      if (to !== undefined) resolveOffset(String(to - 1n))
    } finally {
      clearInterval(beat)
    }
    if (failure !== undefined) throw failure
  }

  const pass = async (batch: Fetched, isStale: () => boolean): Promise<bigint | undefined> => {
    const mine = term
    const lane = lanes.get(partitionName(batch))
    await lane?.tail
    if (lane === undefined || lanes.get(partitionName(batch)) !== lane || isStale()) return undefined
    // Not in its types, but on every batch: where the fetch began, compacted away or not.
    const began = BigInt((batch as Fetched & { readonly fetchedOffset: string }).fetchedOffset)
    if (began !== lane.next) {
      if (await judge(lane)) seek(lane)
      return undefined
    }
    const { topic, partition } = lane
    const { undecodable } = (batch.messages[0] ?? {}) as Undecodable
    if (undecodable) {
      await halt(lane, undecodableReason(lane, undecodable))
      return undefined
    }
    const records = batch.messages.map((message) => recordOf(message, lane))
    return hand(lane, { topic, partition, from: began, to: BigInt(batch.lastOffset()) + 1n, records }, mine)
  }

  const skipped = (topic: string, partition: number, first: string | null, last: string): void => {
    const mine = term
    const lane = lanes.get(partitionName({ topic, partition }))
    if (lane === undefined) return
    const step = async () => {
      // A gap before it is compaction, or a reset by kafkajs: only the log can tell.
      if (BigInt(first ?? last) !== lane.next && !(await judge(lane))) return
      const to = BigInt(last) + 1n
      if (to <= lane.next) seek(lane)
      else await hand(lane, { topic, partition, from: lane.next, to, records: [] }, mine)
    }
    lane.tail = lane.tail.then(step).catch((error: unknown) => {
      log.warn('kafka.batch.refused', { partition: partitionName(lane), error })
      if (mine === term) seek(lane)
    })
  }

  const { GROUP_JOIN, END_BATCH_PROCESS, CRASH } = consumer.events
  consumer.on(GROUP_JOIN, ({ payload }) => void assign(payload.memberAssignment))
  consumer.on(END_BATCH_PROCESS, ({ payload: { topic, partition, batchSize, firstOffset, lastOffset } }) => {
    if (batchSize === 0) skipped(topic, partition, firstOffset, lastOffset)
  })
  consumer.on(CRASH, ({ payload: { error } }) => {
    term.resolve()
    ended.resolve(error)
  })
  const hint = setInterval(() => {
    const offsets = [...lanes.values()].map(({ topic, partition, next }) => ({
      topic,
      partition,
      offset: String(next),
    }))
    if (offsets.length > 0) consumer.commitOffsets(offsets).catch(() => {})
  }, hintMs)
  ended.promise.then(() => clearInterval(hint))

  await consumer.subscribe({ topics: [...topics], fromBeginning: true })
  await consumer.run({ autoCommit: false, eachBatchAutoResolve: false, partitionsConsumedConcurrently: 64, eachBatch })
  return {
    ended: ended.promise,
    rewind(positions) {
      for (const position of positions) {
        const lane = lanes.get(partitionName(position))
        if (lane === undefined) {
          adopt(position)
          continue
        }
        lane.next = position.offset
        lane.turn += 1
        lane.flight = undefined
        seek(lane)
      }
    },
    async leave() {
      left = true
      term.resolve()
      clearInterval(hint)
      await consumer.disconnect().catch(() => {})
    },
  }
}

/** As the patch of kafkajs answers a batch whose checksum, compression or records are broken: alone, in place of its records. */
export type Undecodable = { readonly undecodable?: { readonly firstOffset: string; readonly error: Error } }

const undecodableReason = (at: Partition, { firstOffset, error }: NonNullable<Undecodable['undecodable']>): string =>
  `${partitionName(at)} holds a batch at offset ${firstOffset} that can't be read (${error.message}): restore it from a replica, or go on after it, without its records, by: forebay replay --new-epoch ${at.topic} --partition ${at.partition} --from OFFSET`

export const recordOf = (message: KafkaMessage, { topic, partition }: Partition): LogRecord => ({
  topic,
  partition,
  offset: BigInt(message.offset),
  timestamp: Number(message.timestamp),
  key: message.key,
  value: message.value,
  headers: message.headers ?? {},
})

const delay = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms).unref())
