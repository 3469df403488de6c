/**
 * The partitions that a member of the group reads: what kafkajs fetched of each is judged and handed to the sink, one batch at a time.
 *
 * What kafkajs does of itself must not come through. It starts at the group's committed offset, and after an offset out of range at
 * the log's start: both show in a fetch that began elsewhere than asked for, which is dropped and judged. And it calls nobody for a
 * fetch of nothing but control, aborted or compacted records, but emits an event and steps over them: that becomes a batch without
 * records, so that a position gets past the marker that ends a transaction.
 */
import type { Consumer, Batch as Fetched } from 'kafkajs'
import { log } from '../../platform/log.ts'
import { type Batch, type Claim, mayRead, type Partition, partitionName, type Sink } from '../source.ts'
import { interruption } from './interruption.ts'
import { batchOf, faultOf, fetchedFrom } from './kafka-batch.ts'
import type { KafkaLogs } from './kafka-extents.ts'
import { whyOutside } from './positions.ts'

/**
 * One of a partition; after a rewind another one, since what was fetched before it is of no use. `flight`: what the sink has not
 * answered yet; a fetch that comes again waits for it instead of handing the same records over twice. `tail`: batches without records.
 */
type Reading = Claim & { next: bigint; flight: Flight | undefined; tail: Promise<void> }
type Flight = { readonly to: bigint; readonly taken: Promise<'taken'> }
/** What kafkajs stepped over: its words. */
export type Skipped = Partition & { readonly firstOffset: string | null; readonly lastOffset: string }

export type Readings = {
  /** A new assignment: forgets all but these, and goes on with what stays from where its last delivery ended. */
  keep(names: ReadonlySet<string>): void
  has(partition: Partition): boolean
  /** Reads from there on, whatever was read of it before. */
  begin(claim: Claim): void
  /** False where it is outside its log by now, which is stuck then, or where that can't be told. */
  isWithin(claim: Claim): Promise<boolean>
  /** Not read until it is begun again. */
  stop(partition: Partition): void
  /** The offset after which kafkajs may go on; undefined where the same is to come again. */
  pass(batch: Fetched, isStale: () => boolean): Promise<bigint | undefined>
  skipped(what: Skipped): void
  /** Lets go of what waits for the sink: kafkajs joins again only once every batch that it handed out has come back. */
  interrupt(): void
  /** The membership is over: kafkajs refuses to be told where to read. */
  end(): void
  positions(): readonly (Partition & { readonly next: bigint })[]
}

const retryMs = 1_000
/** How long a sink may take: kafkajs fetches nothing more of a broker while any batch of it is out. */
const patienceMs = 1_000
/** How soon a topic is asked after again that can't be told from another one. */
const askMs = 100

export const kafkaReadings = (
  consumer: Pick<Consumer, 'seek' | 'pause' | 'resume'>,
  sink: Sink,
  logs: Pick<KafkaLogs, 'extents' | 'topicId'>,
): Readings => {
  let readings = new Map<string, Reading>()
  /** Replaced at each assignment. */
  let term = {}
  let ended = false
  const { interrupt, first, pause: rest } = interruption()

  const seek = ({ topic, partition, next }: Reading): void => consumer.seek({ topic, partition, offset: String(next) })
  const pause = ({ topic, partition }: Partition): void => consumer.pause([{ topic, partitions: [partition] }])
  const resume = ({ topic, partition }: Partition): void => consumer.resume([{ topic, partitions: [partition] }])
  const isRead = (reading: Reading): boolean => !ended && readings.get(partitionName(reading)) === reading

  const begin = (reading: Reading): void => {
    readings.set(partitionName(reading), reading)
    seek(reading)
    resume(reading)
  }
  const stop = (partition: Partition): void => {
    readings.delete(partitionName(partition))
    pause(partition)
  }
  const halt = async (reading: Reading, reason: string): Promise<void> => {
    stop(reading)
    await sink.stuck(reading, reason)
  }

  /** Paused until the sink has what it is about to have, it goes on after that: kafkajs forgets where it was, or must not wait. */
  const goOn = (reading: Reading): void => {
    const { flight } = reading
    if (flight === undefined) {
      seek(reading)
      return
    }
    pause(reading)
    const settle = (next: bigint): void => {
      if (!isRead(reading) || reading.flight !== flight) return
      reading.next = next
      reading.flight = undefined
      if (!mayRead({ ...reading, offset: next })) stop(reading)
      else begin(reading)
    }
    flight.taken.then(
      () => settle(flight.to),
      () => settle(reading.next),
    )
  }

  /** The offset up to which the sink has it; undefined when it was not taken now, and comes again. */
  const hand = async (reading: Reading, batch: Batch): Promise<bigint | undefined> => {
    const mine = term
    const current = () => mine === term && isRead(reading)
    const flight = reading.flight ?? { to: batch.to, taken: sink.deliver(batch).then(() => 'taken' as const) }
    reading.flight = flight
    flight.taken.catch(() => {})
    try {
      const outcome = await first(flight.taken, patienceMs)
      if (outcome === 'late' && current()) goOn(reading)
      if (outcome !== 'taken' || !current()) return undefined
      reading.flight = undefined
      reading.next = flight.to
      if (!mayRead({ ...reading, offset: reading.next })) stop(reading)
      return flight.to
    } catch (error) {
      log.warn('kafka.batch.refused', { partition: partitionName(reading), offset: String(batch.from), error })
      await rest(retryMs)
      if (current()) {
        reading.flight = undefined
        seek(reading)
      }
      return undefined
    }
  }

  /** C21: a fetch that began elsewhere. Either it was on its way before a seek, or kafkajs reset the offset by itself. */
  const judge = async (reading: Reading): Promise<boolean> => {
    const extent = (await logs.extents()).find((one) => partitionName(one) === partitionName(reading))
    const outside = extent && whyOutside({ ...reading, offset: reading.next }, extent)
    if (outside === undefined) return extent !== undefined
    await halt(reading, outside)
    return false
  }

  /** C21. What was fetched before this was asked is of the topic that is answered: ids don't come back. */
  const isSameTopic = async (reading: Reading): Promise<boolean> => {
    if (reading.topicId === undefined) return true
    const found = await logs.topicId(reading).catch(() => undefined)
    if (found === reading.topicId) return isRead(reading)
    if (found !== undefined) await judge(reading)
    if (isRead(reading)) {
      await rest(askMs)
      if (isRead(reading)) seek(reading)
    }
    return false
  }

  return {
    keep(names) {
      term = {}
      interrupt()
      readings = new Map([...readings].filter(([name]) => names.has(name)))
      for (const reading of readings.values()) goOn(reading)
    },
    has: (partition) => readings.has(partitionName(partition)),
    begin: (claim) => begin(readingOf(claim)),
    isWithin: (claim) => judge(readingOf(claim)),
    stop,
    async pass(batch, isStale) {
      const mine = term
      const reading = readings.get(partitionName(batch))
      await reading?.tail
      if (reading === undefined || !isRead(reading) || isStale()) return undefined
      if (fetchedFrom(batch) !== reading.next) {
        if (await judge(reading)) seek(reading)
        return undefined
      }
      const fault = faultOf(batch, reading)
      if (fault !== undefined) {
        const { topic, partition } = reading
        await halt(
          reading,
          `${fault}: restore it from a replica, or go on after it, without its records, by: forebay replay --new-epoch ${topic} --partition ${partition} --from OFFSET`,
        )
        return undefined
      }
      if (!(await isSameTopic(reading)) || mine !== term) return undefined
      return hand(reading, batchOf(batch, reading, reading.next))
    },
    skipped({ topic, partition, firstOffset, lastOffset }) {
      const reading = readings.get(partitionName({ topic, partition }))
      if (reading === undefined) return
      const step = async () => {
        // A gap before it is compaction, or a reset by kafkajs: only the log can tell.
        if (BigInt(firstOffset ?? lastOffset) !== reading.next && !(await judge(reading))) return
        const end = BigInt(lastOffset) + 1n
        const to = reading.until !== undefined && reading.until < end ? reading.until : end
        if (!isRead(reading) || to <= reading.next) {
          if (isRead(reading)) seek(reading)
        } else if (await isSameTopic(reading))
          await hand(reading, { topic, partition, from: reading.next, to, records: [] })
      }
      reading.tail = reading.tail.then(step).catch((error: unknown) => {
        log.warn('kafka.batch.refused', { partition: partitionName(reading), error })
        if (isRead(reading)) seek(reading)
      })
    },
    interrupt,
    end() {
      ended = true
      interrupt()
    },
    positions: () => [...readings.values()],
  }
}

const readingOf = (claim: Claim): Reading => ({
  ...claim,
  next: claim.offset,
  flight: undefined,
  tail: Promise.resolve(),
})
