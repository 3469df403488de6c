/**
 * Follows the topic in which Kafka Connect keeps its connectors' offsets, from its start: by a consumer in a group of its own, which commits
 * nothing and is deleted when it has ended.
 */
import { randomUUID } from 'node:crypto'
import type { Admin, Consumer } from 'kafkajs'
import { brokerTrouble } from '../../platform/kafka.ts'
import { log } from '../../platform/log.ts'
import { type Brokers, kafkaClient } from '../source/kafka-client.ts'
import { type Account, type Committed, readAccount } from './committed.ts'

/** The end of each partition. */
export type Ends = ReadonlyMap<number, bigint>
/** `at`: where it is written. */
export type Written = Committed & {
  readonly connector: string
  readonly at: { readonly partition: number; readonly offset: bigint }
}

export type Offsets = {
  readonly topic: string
  /** Asks the brokers, now; empty partitions are left out. Throws when they don't say. */
  ends(): Promise<Ends>
  /** Whether all before these is known here. */
  hasRead(ends: Ends): boolean
  /** What connectors with that prefix have committed last. */
  of(server: string): readonly Written[]
  /** What keeps it from being read; undefined: nothing. */
  trouble(): string | undefined
  stop(): Promise<void>
}

const retryMs = 1_000
const leaveMs = 1_500

/** Starts at once; a topic or a broker that isn't there is waited for. */
export const followOffsets = (options: Brokers & { readonly topic: string; readonly groupId: string }): Offsets => {
  const { topic } = options
  const client = kafkaClient(options)
  const known = new Map<string, Account & { readonly at: Written['at'] }>()
  const read = new Map<number, bigint>()
  const stopped = Promise.withResolvers<void>()
  let stopping = false
  let trouble: string | undefined = `${topic} has not been read yet`
  let connecting: Promise<Admin> | undefined

  const admin = (): Promise<Admin> => {
    connecting ??= (async () => {
      const made = client.admin()
      await made.connect()
      return made
    })().catch((error: unknown) => {
      connecting = undefined
      throw error
    })
    return connecting
  }

  const take = (partition: number, offset: bigint, account: Account | undefined): void => {
    if (account === undefined) return
    const name = JSON.stringify([account.connector, account.server])
    // A consumer that begins anew reads what is older than that.
    if ((known.get(name)?.at.offset ?? -1n) < offset) known.set(name, { ...account, at: { partition, offset } })
  }

  const consume = async (consumer: Consumer): Promise<void> => {
    const crashed = Promise.withResolvers<never>()
    crashed.promise.catch(() => {})
    consumer.on(consumer.events.CRASH, ({ payload }) => crashed.reject(payload.error))
    // Of every fetch, also of one that holds nothing but control records.
    consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload: { partition, lastOffset } }) => {
      const next = BigInt(lastOffset) + 1n
      if ((read.get(partition) ?? -1n) < next) read.set(partition, next)
    })
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      async eachBatch({ batch }) {
        for (const { offset, key, value } of batch.messages)
          take(batch.partition, BigInt(offset), readAccount(key, value))
      },
    })
    trouble = undefined
    await Promise.race([stopped.promise, crashed.promise])
  }

  const run = async (): Promise<void> => {
    while (!stopping) {
      const groupId = `${options.groupId}-connect-offsets-${randomUUID()}`
      const consumer = client.consumer({
        groupId,
        allowAutoTopicCreation: false,
        maxWaitTimeInMs: 200,
        retry: { retries: 5, initialRetryTime: 100, maxRetryTime: 2_000, restartOnFailure: async () => false },
      })
      try {
        await consume(consumer)
      } catch (error) {
        trouble = `${topic} can't be read: ${brokerTrouble(error)}`
        log.warn('connect-offsets.waiting', { reason: trouble })
      }
      await Promise.race([leave(consumer, groupId), delay(leaveMs)])
      if (!stopping) await Promise.race([stopped.promise, delay(retryMs)])
    }
  }
  const leave = async (consumer: Consumer, groupId: string): Promise<void> => {
    await consumer.disconnect().catch(() => {})
    await (await admin()).deleteGroups([groupId]).catch(() => {})
  }
  const running = run()

  return {
    topic,
    async ends() {
      const found = await (await admin()).fetchTopicOffsets(topic)
      // Made anew: what was read is another topic's.
      for (const { partition, high } of found) {
        if (BigInt(high) >= (read.get(partition) ?? 0n)) continue
        read.delete(partition)
        for (const [name, { at }] of known) if (at.partition === partition) known.delete(name)
      }
      return new Map(found.flatMap(({ partition, low, high }) => (low === high ? [] : [[partition, BigInt(high)]])))
    },
    hasRead: (ends) => [...ends].every(([partition, end]) => (read.get(partition) ?? 0n) >= end),
    of: (server) =>
      [...known.values()].flatMap(({ connector, server: of, committed, at }) =>
        of === server && committed !== 'GONE' ? [{ connector, ...committed, at }] : [],
      ),
    trouble: () => trouble,
    async stop() {
      stopping = true
      stopped.resolve()
      await running
      const open = await connecting?.catch(() => undefined)
      await Promise.race([open?.disconnect().catch(() => {}), delay(leaveMs)])
    },
  }
}

const delay = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms).unref())
