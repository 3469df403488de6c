/**
 * Kafka read once more, beside the group that reads it live: a consumer in a group of its own, which commits nothing and is deleted
 * when it has ended. kafkajs can only fetch as a member of a group; its quirks are those that `kafka-group.ts` tells of.
 */
import { randomUUID } from 'node:crypto'
import type { Kafka } from 'kafkajs'
import { log } from '../../platform/log.ts'
import type { LogRecord } from '../change.ts'
import { type Batch, type Extent, Gone, type Partition, partitionName, type Range } from '../source.ts'
import { faultOf, fetchedFrom, recordOf } from './kafka-batch.ts'

export type RereadOptions = {
  readonly client: Kafka
  /** The live group: the other one is called after it, so that one prefix allows both. */
  readonly groupId: string
  extents(): Promise<readonly Extent[]>
  readonly ranges: readonly Range[]
  readonly signal: AbortSignal
}

/** What is left of a range. */
type Rest = Partition & { next: bigint; readonly until: bigint }
/** Handed over to whoever iterates; `taken` lets the consumer fetch on. */
type Handed = { readonly batch: Batch; taken(): void }

const beatMs = 1_000
/** Without a batch for so long something is wrong that kafkajs doesn't say. */
const patienceMs = 60_000

export async function* rereadKafka(options: RereadOptions): AsyncGenerator<Batch> {
  const { client, groupId, extents, ranges, signal } = options
  const open = new Map<string, Rest>()
  for (const { topic, partition, from, until } of ranges)
    if (from < until) open.set(partitionName({ topic, partition }), { topic, partition, next: from, until })
  if (open.size === 0) return
  await expectThere(await extents(), open)

  const handed: Handed[] = []
  let came = Promise.withResolvers<void>()
  const failed = Promise.withResolvers<never>()
  failed.promise.catch(() => {})
  const over = Promise.withResolvers<void>()
  const hand = (batch: Batch): Promise<void> => {
    const taken = Promise.withResolvers<void>()
    handed.push({ batch, taken: taken.resolve })
    came.resolve()
    return Promise.race([taken.promise, over.promise])
  }

  signal.addEventListener('abort', () => over.resolve(), { once: true })

  const ownGroup = `${groupId}-replay-${randomUUID()}`
  const consumer = client.consumer({
    groupId: ownGroup,
    allowAutoTopicCreation: false,
    maxWaitTimeInMs: 100,
    maxBytesPerPartition: 256 * 1024,
    maxBytes: 1024 * 1024,
    retry: { retries: 5, initialRetryTime: 100, maxRetryTime: 2_000, restartOnFailure: async () => false },
  })
  const seek = ({ topic, partition, next }: Rest): void => consumer.seek({ topic, partition, offset: String(next) })

  const assigned = (assignment: Readonly<Record<string, readonly number[]>>): void => {
    for (const [topic, partitions] of Object.entries(assignment)) {
      for (const partition of partitions) {
        const rest = open.get(partitionName({ topic, partition }))
        if (rest) seek(rest)
        else consumer.pause([{ topic, partitions: [partition] }])
      }
    }
  }
  const pass = async (rest: Rest, from: bigint, to: bigint, records: readonly LogRecord[]): Promise<void> => {
    if (from !== rest.next) {
      // Either it was on its way before a seek, or kafkajs went elsewhere because the log no longer has that offset.
      await expectThere(await extents(), open)
      return seek(rest)
    }
    const end = to < rest.until ? to : rest.until
    const { topic, partition } = rest
    await hand({ topic, partition, from, to: end, records: records.filter(({ offset }) => offset < end) })
    rest.next = end
    if (end < rest.until) return
    open.delete(partitionName(rest))
    consumer.pause([{ topic, partitions: [partition] }])
  }

  const { GROUP_JOIN, END_BATCH_PROCESS, CRASH } = consumer.events
  consumer.on(GROUP_JOIN, ({ payload }) => assigned(payload.memberAssignment))
  consumer.on(CRASH, ({ payload }) => failed.reject(payload.error))
  consumer.on(END_BATCH_PROCESS, ({ payload: { topic, partition, batchSize, lastOffset } }) => {
    const rest = open.get(partitionName({ topic, partition }))
    const to = BigInt(lastOffset) + 1n
    // Nothing but control, aborted or compacted records.
    if (batchSize === 0 && rest && to > rest.next) pass(rest, rest.next, to, []).catch(failed.reject)
  })
  try {
    await consumer.connect()
    await consumer.subscribe({ topics: [...new Set(ranges.map(({ topic }) => topic))], fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      async eachBatch({ batch, heartbeat, resolveOffset, isStale }) {
        const rest = open.get(partitionName(batch))
        if (rest === undefined || isStale()) return
        const beat = setInterval(() => heartbeat().catch(failed.reject), beatMs)
        try {
          const began = fetchedFrom(batch)
          const fault = faultOf(batch, rest)
          if (fault !== undefined && began === rest.next) throw new Gone(`${fault}: replay from behind it`)
          const records = batch.messages.map((message) => recordOf(message, rest))
          await pass(rest, began, BigInt(batch.lastOffset()) + 1n, records)
          if (began < rest.next) resolveOffset(String(rest.next - 1n))
        } catch (error) {
          failed.reject(error as Error)
        } finally {
          clearInterval(beat)
        }
      },
    })
    while (open.size > 0 && !signal.aborted) {
      const next = handed.shift()
      if (next) {
        yield next.batch
        next.taken()
        // Lets the consumer move on before it is asked whether anything is left.
        await new Promise((done) => setImmediate(done))
        continue
      }
      came = Promise.withResolvers()
      if (handed.length > 0) continue
      await soon(Promise.race([came.promise, failed.promise, over.promise]))
    }
  } finally {
    over.resolve()
    await consumer.disconnect().catch(() => {})
    await forget(client, ownGroup)
  }
}

/** A broker forgets a group that is empty by itself too, some minutes later. */
const forget = async (client: Kafka, group: string): Promise<void> => {
  const admin = client.admin()
  try {
    await admin.connect()
    await admin.deleteGroups([group])
  } catch (error) {
    log.debug('kafka.group.kept', { group, error })
  } finally {
    await admin.disconnect().catch(() => {})
  }
}

const expectThere = async (extents: readonly Extent[], open: ReadonlyMap<string, Rest>): Promise<void> => {
  const known = new Map(extents.map((extent) => [partitionName(extent), extent]))
  for (const [name, { next, until }] of open) {
    const extent = known.get(name)
    if (extent === undefined) throw new Error(`the log of ${name} can't be asked`)
    if (next < extent.start)
      throw new Gone(`the log of ${name} starts at ${extent.start}: records from ${next} on are gone`)
    if (until > extent.end) throw new Gone(`the log of ${name} ends at ${extent.end}, before ${until}`)
  }
}

/** Rejects when there was nothing to wait for long enough. */
const soon = async (coming: Promise<unknown>): Promise<void> => {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => late.reject(new Error(`nothing came from Kafka within ${patienceMs / 1_000} s`)),
    patienceMs,
  )
  try {
    await Promise.race([coming, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
