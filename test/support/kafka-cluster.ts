import type { Child } from './child.ts'
import { freePorts } from './child.ts'
import { found } from './find.ts'
import { answers, brokerSettings, formatBroker, kafkaUuid, localKafka } from './kafka.ts'

export type KafkaCluster = {
  /** Where its nodes listen: node 1 is the first. */
  readonly brokers: string[]
  /** kill -9. */
  kill(node: number): Promise<void>
  /** Starts a node that was killed, on what it had, without waiting for it. */
  restart(node: number): void
  stop(): Promise<void>
}

/**
 * Real brokers of the caller's own (KRaft, each a controller too), whose topics are replicated to all and take a write once two have it.
 * A dead one is told after 3 s, by default it would be 9. Takes Java and Maven's jars.
 */
export async function startKafkaCluster(nodes: number): Promise<KafkaCluster> {
  const local = await localKafka()
  const ports = await freePorts(2 * nodes)
  const listeners = ports.slice(0, nodes)
  const controllers = ports.slice(nodes)
  const brokers = listeners.map((port) => `127.0.0.1:${port}`)
  const cluster = kafkaUuid()
  const formatted = await Promise.all(
    listeners.map((port, index) =>
      formatBroker(
        local,
        () => ({
          ...brokerSettings(port, controllers[index]!, 1),
          'node.id': index + 1,
          'controller.quorum.voters': controllers.map((at, i) => `${i + 1}@127.0.0.1:${at}`).join(),
          'auto.create.topics.enable': 'false',
          'default.replication.factor': nodes,
          'min.insync.replicas': 2,
          'offsets.topic.replication.factor': nodes,
          'broker.session.timeout.ms': 3_000,
          'broker.heartbeat.interval.ms': 500,
        }),
        ['-t', cluster],
      ),
    ),
  )
  const children: Child[] = formatted.map(({ launch }) => launch())
  const stop = async (): Promise<void> => {
    await Promise.all(children.map(({ kill9 }) => kill9()))
    await Promise.all(formatted.map(({ remove }) => remove()))
  }
  await answers(brokers, children[0]!, 120_000).catch(async (error: unknown) => {
    await stop()
    throw error
  })
  found('Kafka', `Java, ${nodes} brokers (${brokers.join()})`)
  return {
    brokers,
    kill: (node) => children[node - 1]!.kill9(),
    restart(node) {
      children[node - 1] = formatted[node - 1]!.launch()
    },
    stop,
  }
}
