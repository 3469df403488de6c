import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { type Child, freePorts, ready, startChild } from './child.ts'
import { dockerAnswers, found, run } from './find.ts'
import { classPath, dockerEnvironment, installJava, jvm, propertiesFile, type Settings } from './jars.ts'
import { sharedService } from './services.ts'

export type KafkaService = { readonly brokers: string[]; stop(): Promise<void> }

/**
 * A real Kafka broker (KRaft, one node, topics made on first use). Without `partitions` it is the run's own, shared by
 * every test file: name topics and groups uniquely. With `partitions` (a new topic's default) it is a broker of the
 * caller's, which ends with `stop`. Fails when none can be had, saying what to install.
 */
export async function startKafka(options: { partitions?: number } = {}): Promise<KafkaService> {
  if (options.partitions === undefined) {
    const shared = await sharedService('kafka')
    if (shared !== undefined) return { brokers: shared.split(','), stop: async () => {} }
  }
  return ownKafka(options.partitions ?? 4)
}

/** A broker of the caller's own, found by: TEST_KAFKA_BROKERS, Java and Maven's jars, Docker, Debian's packages. */
export async function ownKafka(partitions: number): Promise<KafkaService> {
  const given = process.env.TEST_KAFKA_BROKERS
  if (given !== undefined && given !== '') {
    found('Kafka', `TEST_KAFKA_BROKERS (${given})`)
    return { brokers: given.split(','), stop: async () => {} }
  }
  const local = await classPath('kafka')
  if (local !== undefined) return javaKafka(local, partitions)
  if (await dockerAnswers()) return dockerKafka(partitions)
  const installed = (await installJava()) ? await classPath('kafka') : undefined
  if (installed !== undefined) return javaKafka(installed, partitions)
  throw new Error("Kafka can't be started: install Java 17 and Maven, start Docker, or set TEST_KAFKA_BROKERS.")
}

async function javaKafka(local: Local, partitions: number): Promise<KafkaService> {
  const { brokers, start, remove } = await restartableKafka(local, partitions)
  // Nothing in a test's log outlives it, so a broker needn't close cleanly.
  const { kill9 } = await start()
  found('Kafka', `Java, jars from Maven (${brokers[0]})`)
  return { brokers, stop: () => kill9().then(remove) }
}

type Local = { readonly java: string; readonly jars: string }
type RestartableKafka = {
  readonly brokers: string[]
  /** Its logs are in `logs` there. */
  readonly folder: string
  /** Starts the broker with what it had when it last ended. */
  start(): Promise<{ kill9(): Promise<void> }>
  /** Throws its folder away; it must have ended. */
  remove(): Promise<void>
}

/** A broker of the caller's own that isn't started yet and may be killed; takes Java and Maven's jars. */
export async function ownRestartableKafka(partitions: number, special?: Special): Promise<RestartableKafka> {
  return restartableKafka(await localKafka(), partitions, special)
}

/** Java and Kafka's jars, installed if need be: what a broker takes that may be killed. */
export async function localKafka(): Promise<Local> {
  const local = (await classPath('kafka')) ?? ((await installJava()) ? await classPath('kafka') : undefined)
  if (local === undefined) throw new Error("Kafka can't be started and killed here: install Java 17 and Maven.")
  return local
}

/** What a broker has beside the usual settings, and arguments of the tool that formats its folder. */
export type Special = {
  readonly settings: (folder: string, usual: Settings) => Promise<Settings>
  readonly format?: readonly string[]
}

async function restartableKafka(local: Local, partitions: number, special?: Special): Promise<RestartableKafka> {
  const [port, controller] = (await freePorts(2)) as [number, number]
  const brokers = [`127.0.0.1:${port}`]
  const usual = brokerSettings(port, controller, partitions)
  const settings = async (folder: string) => ({ ...usual, ...(await special?.settings(folder, usual)) })
  const { launch, ...kept } = await formatBroker(local, settings, ['-t', kafkaUuid(), ...(special?.format ?? [])])
  return {
    ...kept,
    brokers,
    async start() {
      const child = launch()
      await answers(brokers, child)
      return child
    },
  }
}

/** A broker's folder, and the program on it: started as often as it has ended. */
type FormattedBroker = { readonly folder: string; launch(): Child; remove(): Promise<void> }

export async function formatBroker(
  { java, jars }: Local,
  settings: (folder: string) => Settings | Promise<Settings>,
  format: readonly string[],
): Promise<FormattedBroker> {
  const folder = await mkdtemp(join(tmpdir(), 'forebay-kafka-'))
  const properties = await propertiesFile(folder, { 'log.dirs': join(folder, 'logs'), ...(await settings(folder)) })
  const flags = await jvm(jars, '256m', folder)
  await run(java, [...flags, 'kafka.tools.StorageTool', 'format', '-c', properties, ...format], { timeout: 60_000 })
  return {
    folder,
    launch: () => startChild(java, [...flags, 'kafka.Kafka', properties]),
    remove: () => rm(folder, { recursive: true, force: true, maxRetries: 5 }),
  }
}

async function dockerKafka(partitions: number): Promise<KafkaService> {
  const [port, controller] = (await freePorts(2)) as [number, number]
  const name = `forebay-kafka-${randomUUID()}`
  const environment = dockerEnvironment('KAFKA', brokerSettings(port, controller, partitions))
  const options = ['--rm', '--network', 'host', '--name', name, ...environment]
  const child = startChild('docker', ['run', ...options, 'apache/kafka:4.2.0'])
  const brokers = [`127.0.0.1:${port}`]
  await answers(brokers, child, 300_000)
  found('Kafka', `Docker (${brokers[0]})`)
  return {
    brokers,
    async stop() {
      await run('docker', ['rm', '-f', name])
      await child.kill9()
    },
  }
}

export function brokerSettings(port: number, controller: number, partitions: number): Settings {
  return {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controller}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'controller.listener.names': 'CONTROLLER',
    'num.partitions': partitions,
    'auto.create.topics.enable': 'true',
    'offsets.topic.num.partitions': 4,
    'offsets.topic.replication.factor': 1,
    'transaction.state.log.num.partitions': 4,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'group.initial.rebalance.delay.ms': 0,
    'log.segment.bytes': 16 * 1024 * 1024,
    'num.network.threads': 2,
    'num.io.threads': 2,
  }
}

/** Ready means that a group coordinator can be found: listing brokers answers seconds before consumers can join. */
export async function answers(brokers: string[], child: Child, timeoutMs = 60_000): Promise<void> {
  const client = new Kafka({
    brokers,
    logLevel: logLevel.NOTHING,
    connectionTimeout: 1_000,
    retry: { retries: 2, initialRetryTime: 50 },
  })
  const probe = async (): Promise<void> => {
    const admin = client.admin()
    try {
      await admin.connect()
      await admin.fetchOffsets({ groupId: 'ready' })
    } finally {
      await admin.disconnect()
    }
  }
  await ready('Kafka', child, probe, timeoutMs)
}

/** Kafka's form of a UUID: 16 bytes in unpadded base64url, never beginning with `-`, which the tool would take for an option. */
export const kafkaUuid = (): string =>
  Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64url').replace(/^-/, 'A')
