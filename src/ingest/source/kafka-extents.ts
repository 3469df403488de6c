/** What Kafka answers about its logs when asked: which topics exist, and where each partition starts and ends now. */
import type { Admin, Kafka } from 'kafkajs'
import { isLoginRefused } from '../../platform/kafka.ts'
import { log } from '../../platform/log.ts'
import type { Position } from '../change.ts'
import type { Extent } from '../source.ts'

export type KafkaLogs = {
  /** Those of the topics that exist. Asking makes none. */
  existing(): Promise<readonly string[]>
  /** By ListOffsets from the leaders; the end is the last stable offset, so open transactions are not in it. */
  extents(): Promise<readonly Extent[]>
  /** By ListOffsets with a time, milliseconds since 1970: see the port. */
  offsetsAt(topic: string, at: number): Promise<readonly Position[]>
  close(): Promise<void>
}

/** How often topics that were missing are looked for. */
const lookMs = 1_000
const refusedMs = 10_000

export const kafkaLogs = (client: Kafka, topics: readonly string[]): KafkaLogs => {
  let connecting: Promise<Admin> | undefined
  let present: readonly string[] = []
  let looked = Number.NEGATIVE_INFINITY
  const unreadable = new Set<string>()

  const admin = async (): Promise<Admin> => {
    connecting ??= (async () => {
      const made = client.admin()
      await made.connect()
      return made
    })()
    try {
      return await connecting
    } catch (error) {
      // A refused login stands for a while: asking anew at every observation may lock the account.
      const failed = connecting
      const forget = () => {
        if (connecting === failed) connecting = undefined
      }
      if (isLoginRefused(error)) setTimeout(forget, refusedMs).unref()
      else forget()
      throw error
    }
  }

  const existing = async (): Promise<readonly string[]> => {
    // Only while some are missing: the list is of the whole cluster. To ask for a missing topic by name could make it.
    if (present.length < topics.length && performance.now() - looked >= lookMs) {
      const all = new Set(await (await admin()).listTopics())
      looked = performance.now()
      present = topics.filter((topic) => all.has(topic))
    }
    return present
  }

  const extentsOf = async (topic: string): Promise<readonly Extent[]> => {
    const offsets = await (await admin()).fetchTopicOffsets(topic)
    return offsets.map(({ partition, low, high }) => ({ topic, partition, start: BigInt(low), end: BigInt(high) }))
  }

  const extents = async (): Promise<readonly Extent[]> => {
    const asked = await existing()
    const answers = await Promise.allSettled(asked.map(extentsOf))
    answers.forEach((answer, index) => {
      const topic = asked[index]!
      if (answer.status === 'fulfilled') unreadable.delete(topic)
      else if (!unreadable.has(topic)) {
        unreadable.add(topic)
        log.warn('kafka.topic.unasked', { topic, error: answer.reason })
      }
    })
    const [first] = answers
    if (first?.status === 'rejected' && answers.every(({ status }) => status === 'rejected')) throw first.reason
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
  }

  return {
    existing,
    extents,
    async offsetsAt(topic, at) {
      const found = await (await admin()).fetchTopicOffsetsByTimestamp(topic, at)
      return found.map(({ partition, offset }) => ({ topic, partition, offset: BigInt(offset) }))
    },
    async close() {
      const open = await connecting?.catch(() => undefined)
      await open?.disconnect().catch(() => {})
    },
  }
}
