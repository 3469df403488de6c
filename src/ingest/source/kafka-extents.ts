/** What Kafka answers about its logs when asked: which topics exist, and where each partition starts and ends now. */
import type { Admin, Kafka } from 'kafkajs'
import { isLoginRefused } from '../../platform/kafka.ts'
import { describeError, log } from '../../platform/log.ts'
import type { Position } from '../change.ts'
import type { Extent, Partition } from '../source.ts'
import { clusterOf, describeTopics, type Topics } from './kafka-topic-ids.ts'

export type KafkaLogs = {
  /** Those of the topics that exist. Asking makes none. */
  existing(): Promise<readonly string[]>
  /**
   * By ListOffsets from the leaders; the end is the last stable offset, so open transactions are not in it. An admin of kafkajs believes no
   * metadata it had before, so partitions and leaders are asked for anew each time.
   */
  extents(): Promise<readonly Extent[]>
  /** The id that the partition's topic has, asked for after the call; undefined where brokers tell none. */
  topicId(of: Partition): Promise<string | undefined>
  /** Why topics were left out of the last answer. */
  refusals(): ReadonlyMap<string, string>
  /** By ListOffsets with a time, milliseconds since 1970: see the port. */
  offsetsAt(topic: string, at: number): Promise<readonly Position[]>
  close(): Promise<void>
}

/** How often topics that were missing are looked for. */
const lookMs = 1_000
const refusedMs = 10_000
/** A connection that is replaced stays for as long as an answer to what was asked of it may take. */
const lingerMs = 30_000

export const kafkaLogs = (client: Kafka, topics: readonly string[]): KafkaLogs => {
  let connecting: Promise<Admin> | undefined
  let present: readonly string[] = []
  let looked = Number.NEGATIVE_INFINITY
  let failing = false
  let refused: ReadonlyMap<string, string> = new Map()

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

  /** kafkajs asks for every topic that it was ever asked for at once, so one that is gone fails all: another client asks for the rest. */
  const replaceAdmin = (): void => {
    const old = connecting
    connecting = undefined
    setTimeout(() => old?.then((made) => made.disconnect()).catch(() => {}), lingerMs).unref()
  }

  const existing = async (): Promise<readonly string[]> => {
    // Only while some are missing or fail: the list is of the whole cluster. To ask for a missing topic by name could make it.
    if ((present.length < topics.length || failing) && performance.now() - looked >= lookMs) {
      const all = new Set(await (await admin()).listTopics())
      looked = performance.now()
      const now = topics.filter((topic) => all.has(topic))
      if (present.some((topic) => !all.has(topic))) replaceAdmin()
      present = now
    }
    return present
  }

  const extentsOf = async (topic: string, known: Topics): Promise<readonly Extent[]> => {
    const offsets = await (await admin()).fetchTopicOffsets(topic)
    const topicId = known.get(topic)
    return offsets.map(({ partition, low, high }) => ({
      topic,
      partition,
      start: BigInt(low),
      end: BigInt(high),
      ...(topicId === undefined ? {} : { topicId }),
    }))
  }

  /** One asking of a broker at a time: who comes meanwhile shares the next. */
  const last = new Map<string, Promise<unknown>>()
  const next = new Map<string, { readonly names: Set<string>; readonly answer: Promise<Topics> }>()
  const topicId = async ({ topic, partition }: Partition): Promise<string | undefined> => {
    const cluster = clusterOf(await admin())
    const [leader = ''] = Object.keys(cluster.findLeaderForPartitions(topic, [partition]))
    let asking = next.get(leader)
    if (asking === undefined) {
      const names = new Set<string>()
      const answer = (last.get(leader) ?? Promise.resolve())
        .catch(() => {})
        .then(() => {
          next.delete(leader)
          return describeTopics(cluster, [...names], leader || undefined)
        })
      asking = { names, answer }
      next.set(leader, asking)
      last.set(leader, answer)
    }
    asking.names.add(topic)
    return (await asking.answer).get(topic)
  }

  const extents = async (): Promise<readonly Extent[]> => {
    const asked = await existing()
    // Each on its own, they would overwrite what kafkajs has just heard of another. What is wrong with one its own asking tells.
    if (asked.length > 0)
      await clusterOf(await admin())
        .addMultipleTargetTopics(asked)
        .catch(() => {})
    // Before the offsets: of a topic made anew in between, its predecessor's id with its own offsets is found out, the reverse is not.
    const known: Topics = asked.length > 0 ? await describeTopics(clusterOf(await admin()), asked) : new Map()
    const answers = await Promise.allSettled(asked.map((topic) => extentsOf(topic, known)))
    const failed = answers.flatMap((answer, index) =>
      answer.status === 'rejected' ? [{ topic: asked[index]!, error: answer.reason as unknown }] : [],
    )
    for (const { topic, error } of failed) if (!refused.has(topic)) log.warn('kafka.topic.unasked', { topic, error })
    refused = new Map([
      ...topics.filter((topic) => !asked.includes(topic)).map((topic) => [topic, 'the topic does not exist'] as const),
      ...failed.map(({ topic, error }) => [topic, String(describeError(error).message)] as const),
    ])
    failing = failed.length > 0
    if (failing && failed.length === asked.length) throw failed[0]!.error
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
  }

  return {
    existing,
    extents,
    topicId,
    refusals: () => refused,
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
