/**
 * Kafka, by kafkajs. The consumer group only shares partitions out between processes: where each is read from, the positions say, and
 * the group's committed offsets are a hint for people and tools.
 */
import './kafka-codecs.ts'
import { createBreaker } from '../../platform/breaker.ts'
import { areBrokersAway, brokerTrouble, isLoginRefused } from '../../platform/kafka.ts'
import { log } from '../../platform/log.ts'
import type { LogSource, Sink } from '../source.ts'
import { type Holding, stickyAssigner } from './kafka-assigner.ts'
import { type Brokers, kafkaClient } from './kafka-client.ts'
import { kafkaLogs } from './kafka-extents.ts'
import { type Group, joinGroup } from './kafka-group.ts'
import { rereadKafka } from './kafka-read.ts'

export type KafkaOptions = Brokers & {
  readonly topics: readonly string[]
  readonly groupId: string
  /** The smallest promise of any view: partitions added to a topic are noticed within half of it. */
  readonly maxLagMs: number
}

const retryMs = 1_000
export const sessionMs = 10_000
const refusedRetryMs = 10_000
const lookMs = 2_000
const leaveMs = 1_500

export const kafkaSource = ({ topics, groupId, maxLagMs, ...brokers }: KafkaOptions): LogSource => {
  const client = kafkaClient(brokers)
  // Each failure comes after kafkajs's own five tries, whose pauses grow: here it is only said, and the pause between two memberships.
  const breaker = createBreaker({
    dependency: 'kafka',
    place: brokers.brokers.join(),
    tolerated: 1,
    leastMs: retryMs / 2,
    longestMs: 2 * retryMs,
  })
  const logs = kafkaLogs(client, topics)
  const stopped = Promise.withResolvers<void>()
  let stopping = false
  let trouble: string | undefined = 'not connected to Kafka yet'
  let group: Group | undefined
  let holding: Holding = { since: 0, partitions: [] }
  let running: Promise<void> | undefined

  const say = (reason: string | undefined): void => {
    if (reason !== trouble && reason !== undefined) log.warn('kafka.waiting', { reason })
    trouble = reason
  }

  const join = async (present: readonly string[], sink: Sink): Promise<Group> => {
    const consumer = client.consumer({
      groupId,
      partitionAssigners: [stickyAssigner(() => holding)],
      allowAutoTopicCreation: false,
      minBytes: 1,
      // A broker answers as soon as there is a byte, so this delays nothing: it is how often an idle log is asked again.
      maxWaitTimeInMs: 50,
      maxBytesPerPartition: 1024 * 1024,
      maxBytes: 8 * 1024 * 1024,
      // How long a killed process, or a broker's memory of one, keeps others from its partitions.
      sessionTimeout: sessionMs,
      // A rebalance begins for each member with its next heartbeat, and none reads before all have come.
      heartbeatInterval: 500,
      metadataMaxAge: Math.max(500, maxLagMs / 2),
      // A crash ends the membership; the loop below begins another.
      retry: { retries: 5, initialRetryTime: 100, maxRetryTime: 2_000, restartOnFailure: async () => false },
    })
    consumer.on(consumer.events.GROUP_JOIN, ({ payload: { memberAssignment } }) => {
      const partitions = Object.entries(memberAssignment).flatMap(([topic, numbers]) =>
        numbers.map((partition) => ({ topic, partition })),
      )
      holding = { since: Date.now(), partitions }
    })
    try {
      await consumer.connect()
      return await joinGroup(consumer, present, sink, logs, sessionMs)
    } catch (error) {
      await consumer.disconnect().catch(() => {})
      throw error
    }
  }

  /** Settles when topics that were missing have come. */
  const grown = async (present: readonly string[], isOver: () => boolean): Promise<'grown'> => {
    while (present.length < topics.length && !isOver()) {
      await Promise.race([stopped.promise, delay(lookMs)])
      const now = await logs.existing().catch(() => present)
      if (now.length > present.length) return 'grown'
    }
    return new Promise(() => {})
  }

  const enter = async (sink: Sink) => {
    const present = await logs.existing()
    if (present.length === 0) throw new Error(`none of the topics exist yet: ${topics.join(', ')}`)
    return { present, joined: await join(present, sink) }
  }

  const membership = async (sink: Sink): Promise<void> => {
    const entered = await breaker.attempt(() => enter(sink), stopped.promise, areBrokersAway)
    if (entered === undefined) return
    const { present, joined } = entered
    group = joined
    const missing = topics.filter((topic) => !present.includes(topic))
    say(missing.length > 0 ? `topics that don't exist yet: ${missing.join(', ')}` : undefined)
    let over = false
    const outcome = await Promise.race([joined.ended, grown(present, () => over), stopped.promise])
    over = true
    group = undefined
    await Promise.race([joined.leave(), delay(leaveMs)])
    if (!(outcome instanceof Error)) return
    if (areBrokersAway(outcome)) breaker.failed(outcome)
    throw outcome
  }

  const run = async (sink: Sink): Promise<void> => {
    while (!stopping) {
      try {
        await membership(sink)
      } catch (error) {
        if (stopping) return
        const isAway = breaker.state() !== 'CLOSED'
        say(isAway ? `no broker answers: ${brokerTrouble(error)}; they are tried again` : brokerTrouble(error))
        // The breaker lets nobody try before its pause is over.
        if (!isAway) await Promise.race([stopped.promise, delay(isLoginRefused(error) ? refusedRetryMs : retryMs)])
      }
    }
  }

  return {
    kind: 'kafka',
    extents: logs.extents,
    refusals: logs.refusals,
    offsetsAt: logs.offsetsAt,
    reread: (ranges, signal) => rereadKafka({ client, groupId, extents: logs.extents, ranges, signal }),
    status: () => trouble,
    rewind: (positions, stopped) => group?.rewind(positions, stopped),
    async start(sink) {
      running = run(sink)
    },
    async stop() {
      stopping = true
      stopped.resolve()
      await running
      await Promise.race([logs.close(), delay(leaveMs)])
    },
  }
}

const delay = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms).unref())
