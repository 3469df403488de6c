/**
 * One membership in the consumer group, from joining to leaving or crashing: kafkajs's callbacks turned into the port's deliveries.
 *
 * What kafkajs does of itself must not come through. It starts at the group's committed offset, and after an offset out of range at
 * the log's start: both show in a fetch that began elsewhere than asked for, which is dropped and judged. And it calls nobody for a
 * fetch of nothing but control, aborted or compacted records, but emits an event and steps over them: that becomes a batch without
 * records, so that a position gets past the marker that ends a transaction.
 *
 * At a rebalance what stays with this member goes on from where its last delivery ended: what the sink has is neither dropped nor
 * fetched again.
 */
import type { Consumer, EachBatchPayload, Batch as Fetched } from 'kafkajs'
import { log } from '../../platform/log.ts'
import { type Batch, type Claim, mayRead, type Partition, partitionName, type Sink } from '../source.ts'
import { batchOf, faultOf, fetchedFrom } from './kafka-batch.ts'
import type { KafkaLogs } from './kafka-extents.ts'
import { whyOutside } from './positions.ts'

/**
 * A partition being read; after a rewind another one, since what was fetched before it is of no use. `flight`: what the sink has not
 * answered yet; a fetch that comes again waits for it instead of handing the same records over twice. `tail`: batches without records.
 */
type Lane = Claim & { next: bigint; flight: Flight | undefined; tail: Promise<void> }
type Flight = { readonly to: bigint; readonly taken: Promise<'taken'> }

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
/** How long a sink may take: kafkajs fetches nothing more of a broker while any batch of it is out. */
const patienceMs = 1_000
const longestRetryMs = 30_000
/** How soon a topic is asked after again that can't be told from another one. */
const askMs = 100

/** Joins with a connected consumer. `sessionMs`: after so long without a heartbeat the group may have given everything away. */
export const joinGroup = async (
  consumer: Consumer,
  topics: readonly string[],
  sink: Sink,
  logs: Pick<KafkaLogs, 'extents' | 'topicId'>,
  sessionMs: number,
): Promise<Group> => {
  let lanes = new Map<string, Lane>()
  /** Names of all partitions of this assignment, read or not. */
  let assigned: ReadonlySet<string> = new Set()
  /** Replaced at each assignment; settles when that one is over. */
  let term = Promise.withResolvers<void>()
  /** Settles when the group calls: kafkajs joins again only once every batch it handed out has come back. */
  let called = Promise.withResolvers<void>()
  /** This membership is over: kafkajs refuses to be told where to read. */
  let left = false
  let confirmed = performance.now()
  const ended = Promise.withResolvers<Error>()

  const seek = ({ topic, partition, next }: Lane): void => consumer.seek({ topic, partition, offset: String(next) })
  const pause = ({ topic, partition }: Partition): void => consumer.pause([{ topic, partitions: [partition] }])
  const resume = ({ topic, partition }: Partition): void => consumer.resume([{ topic, partitions: [partition] }])
  const isRead = (lane: Lane): boolean => !left && lanes.get(partitionName(lane)) === lane

  const assign = async (assignment: Readonly<Record<string, readonly number[]>>): Promise<void> => {
    term.resolve()
    term = Promise.withResolvers()
    const mine = term
    const partitions = Object.entries(assignment).flatMap(([topic, numbers]) =>
      numbers.map((partition) => ({ topic, partition })),
    )
    const names = new Set(partitions.map(partitionName))
    assigned = names
    lanes = new Map([...lanes].filter(([name]) => names.has(name)))
    for (const lane of lanes.values()) goOn(lane)
    const idle = partitions.filter((partition) => !lanes.has(partitionName(partition)))
    for (let wait = retryMs; mine === term && !left; wait = Math.min(2 * wait, longestRetryMs)) {
      // Nothing is fetched until its position is known, or it would be from the group's offset.
      for (const partition of idle) if (!lanes.has(partitionName(partition))) pause(partition)
      const complete = await take(partitions, mine).catch((error: unknown) => {
        log.warn('kafka.assignment.failed', { error })
        return false
      })
      if (complete) return
      await Promise.race([mine.promise, delay(wait)])
    }
  }

  /** Paused until the sink has what it is about to have, the lane goes on after that: kafkajs forgets where it was, or must not wait. */
  const goOn = (lane: Lane): void => {
    const { flight } = lane
    if (flight === undefined) {
      seek(lane)
      return
    }
    pause(lane)
    const settle = (next: bigint): void => {
      if (!isRead(lane) || lane.flight !== flight) return
      lane.next = next
      lane.flight = undefined
      if (!mayRead({ ...lane, offset: next })) stop(lane)
      else begin(lane)
    }
    flight.taken.then(
      () => settle(flight.to),
      () => settle(lane.next),
    )
  }

  /** False where some partition's log could not be asked: those wait. */
  const take = async (partitions: readonly Partition[], mine: typeof term): Promise<boolean> => {
    const names = new Set(partitions.map(partitionName))
    const all = await logs.extents()
    const asked = all.filter((extent) => names.has(partitionName(extent)))
    const known = new Map(asked.map((extent) => [partitionName(extent), extent]))
    if (mine !== term || left) return true
    const claims = await sink.assigned(asked, all)
    if (mine !== term || left) return true
    const readable = new Set(claims.map(partitionName))
    for (const [name, lane] of lanes) if (known.has(name) && !readable.has(name)) stop(lane)
    for (const claim of claims) {
      const name = partitionName(claim)
      if (lanes.has(name)) continue
      const lane = laneOf(claim)
      const extent = known.get(name)
      // Another process may have applied past that end before it let the partition go: only an end asked for afterwards counts.
      if (extent && whyOutside({ ...lane, offset: lane.next }, extent) && !(await judge(lane))) continue
      if (mine !== term || left) return true
      begin(lane)
    }
    return asked.length === partitions.length
  }

  const begin = (lane: Lane): void => {
    lanes.set(partitionName(lane), lane)
    seek(lane)
    resume(lane)
  }

  /** The offset up to which the sink has it; undefined when it was not taken now, and comes again. */
  const hand = async (lane: Lane, batch: Batch): Promise<bigint | undefined> => {
    const mine = term
    const current = () => mine === term && isRead(lane)
    const flight = lane.flight ?? { to: batch.to, taken: sink.deliver(batch).then(() => 'taken' as const) }
    lane.flight = flight
    flight.taken.catch(() => {})
    try {
      const late = delay(patienceMs).then(() => 'late' as const)
      const outcome = await Promise.race([flight.taken, mine.promise, called.promise, late])
      if (outcome === 'late' && current()) goOn(lane)
      if (outcome !== 'taken' || !current()) return undefined
      lane.flight = undefined
      lane.next = flight.to
      if (!mayRead({ ...lane, offset: lane.next })) stop(lane)
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
    const extent = (await logs.extents()).find((one) => partitionName(one) === partitionName(lane))
    const outside = extent && whyOutside({ ...lane, offset: lane.next }, extent)
    if (outside === undefined) return extent !== undefined
    await halt(lane, outside)
    return false
  }
  /** Not read until the sink says so. */
  const stop = (lane: Lane): void => {
    lanes.delete(partitionName(lane))
    pause(lane)
  }
  const halt = async (lane: Lane, reason: string): Promise<void> => {
    stop(lane)
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
      // Who stood still for so long may be a member no more: it hands on nothing before the group has answered.
      if (performance.now() - confirmed > sessionMs) await heartbeat()
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
    if (lane === undefined || !isRead(lane) || isStale()) return undefined
    if (fetchedFrom(batch) !== lane.next) {
      if (await judge(lane)) seek(lane)
      return undefined
    }
    const fault = faultOf(batch, lane)
    if (fault !== undefined) {
      const { topic, partition } = lane
      await halt(
        lane,
        `${fault}: restore it from a replica, or go on after it, without its records, by: forebay replay --new-epoch ${topic} --partition ${partition} --from OFFSET`,
      )
      return undefined
    }
    if (!(await isSameTopic(lane)) || mine !== term) return undefined
    return hand(lane, batchOf(batch, lane, lane.next))
  }

  /** C21. What was fetched before this was asked is of the topic that is answered: ids don't come back. */
  const isSameTopic = async (lane: Lane): Promise<boolean> => {
    if (lane.topicId === undefined) return true
    const found = await logs.topicId(lane).catch(() => undefined)
    if (found === lane.topicId) return isRead(lane)
    if (found !== undefined) await judge(lane)
    if (isRead(lane)) {
      await Promise.race([term.promise, called.promise, delay(askMs)])
      if (isRead(lane)) seek(lane)
    }
    return false
  }

  const skipped = (topic: string, partition: number, first: string | null, last: string): void => {
    const lane = lanes.get(partitionName({ topic, partition }))
    if (lane === undefined) return
    const step = async () => {
      // A gap before it is compaction, or a reset by kafkajs: only the log can tell.
      if (BigInt(first ?? last) !== lane.next && !(await judge(lane))) return
      const end = BigInt(last) + 1n
      const to = lane.until !== undefined && lane.until < end ? lane.until : end
      if (!isRead(lane) || to <= lane.next) {
        if (isRead(lane)) seek(lane)
      } else if (await isSameTopic(lane)) await hand(lane, { topic, partition, from: lane.next, to, records: [] })
    }
    lane.tail = lane.tail.then(step).catch((error: unknown) => {
      log.warn('kafka.batch.refused', { partition: partitionName(lane), error })
      if (isRead(lane)) seek(lane)
    })
  }

  const { GROUP_JOIN, HEARTBEAT, END_BATCH_PROCESS, CRASH } = consumer.events
  consumer.on(HEARTBEAT, () => {
    confirmed = performance.now()
  })
  consumer.on(GROUP_JOIN, ({ payload }) => {
    confirmed = performance.now()
    void assign(payload.memberAssignment)
  })
  consumer.on(END_BATCH_PROCESS, ({ payload: { topic, partition, batchSize, firstOffset, lastOffset } }) => {
    if (batchSize === 0) skipped(topic, partition, firstOffset, lastOffset)
  })
  consumer.on(CRASH, ({ payload: { error } }) => {
    left = true
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
    rewind(positions, stopped = []) {
      if (left) return
      for (const position of positions) if (assigned.has(partitionName(position))) begin(laneOf(position))
      for (const partition of stopped) {
        const lane = lanes.get(partitionName(partition))
        if (lane !== undefined) stop(lane)
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

const laneOf = (claim: Claim): Lane => ({ ...claim, next: claim.offset, flight: undefined, tail: Promise.resolve() })

const delay = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms).unref())
