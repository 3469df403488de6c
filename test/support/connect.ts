import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Child, freePorts, ready, startChild } from './child.ts'
import { dockerAnswers, found, run } from './find.ts'
import { classPath, dockerEnvironment, fastJvm, installJava, jvm, propertiesFile, type Settings } from './jars.ts'

export type ConnectorConfig = Readonly<Record<string, string>>
export type ConnectService = {
  readonly url: string
  /** Creates or changes a connector; resolves when it and its tasks run, fails with the trace of one that doesn't. */
  createConnector(name: string, config: ConnectorConfig): Promise<void>
  /** Resolves when a connector made earlier runs again, as after a restart of the worker. */
  running(name: string): Promise<void>
  stop(): Promise<void>
  /** As a machine that loses power: start again with the same `group` and it goes on from its last committed offsets. */
  kill9(): Promise<void>
}

/**
 * One Kafka Connect worker (distributed mode) with Debezium's Postgres connector, found by: TEST_CONNECT_URL, Java and
 * Maven's jars, Docker, Debian's packages. `group` names the worker's group and storage topics; by default it is new.
 */
export async function startConnect(options: { brokers: readonly string[]; group?: string }): Promise<ConnectService> {
  const given = process.env.TEST_CONNECT_URL
  if (given) {
    found('Kafka Connect', `TEST_CONNECT_URL (${given})`)
    return service(given, { stop: async () => {}, kill9: async () => {} })
  }
  const worker = { brokers: options.brokers, group: options.group ?? `connect-${randomUUID()}` }
  const local = await classPath('connect')
  if (local !== undefined) return javaConnect(local, worker)
  if (await dockerAnswers()) return dockerConnect(worker)
  const installed = (await installJava()) ? await classPath('connect') : undefined
  if (installed !== undefined) return javaConnect(installed, worker)
  throw new Error("Kafka Connect can't be started: install Java 17 and Maven, start Docker, or set TEST_CONNECT_URL.")
}

/** A worker with Debezium's JDBC sink, for what is measured: a JVM that compiles all it can, and offsets committed twice a second. */
export async function startSinkConnect(brokers: readonly string[]): Promise<ConnectService> {
  const local = (await classPath('jdbc-sink')) ?? ((await installJava()) ? await classPath('jdbc-sink') : undefined)
  if (local === undefined) throw new Error("Debezium's JDBC sink can't be started: install Java 17 and Maven.")
  return javaConnect(local, { brokers, group: `connect-${randomUUID()}`, measured: true })
}

type Worker = { readonly brokers: readonly string[]; readonly group: string; readonly measured?: boolean }

async function javaConnect({ java, jars }: { java: string; jars: string }, worker: Worker): Promise<ConnectService> {
  const folder = await mkdtemp(join(tmpdir(), 'forebay-connect-'))
  const [port] = (await freePorts(1)) as [number]
  const settings = {
    ...workerSettings(worker, port),
    'plugin.discovery': 'service_load',
    ...(worker.measured ? { 'offset.flush.interval.ms': 500 } : {}),
  }
  const properties = await propertiesFile(folder, settings)
  const flags = await (worker.measured ? fastJvm(jars, '2g', folder) : jvm(jars, '512m', folder))
  const child = startChild(java, [...flags, 'org.apache.kafka.connect.cli.ConnectDistributed', properties])
  const url = `http://127.0.0.1:${port}`
  await answers(url, child)
  found('Kafka Connect', `Java, jars from Maven (${url})`)
  const ended = (): Promise<void> => rm(folder, { recursive: true, force: true })
  return service(url, { stop: () => child.stop().then(ended), kill9: () => child.kill9().then(ended) })
}

async function dockerConnect(worker: Worker): Promise<ConnectService> {
  const [port] = (await freePorts(1)) as [number]
  const name = `forebay-connect-${randomUUID()}`
  const environment = dockerEnvironment('CONNECT', workerSettings(worker, port))
  const options = ['--rm', '--network', 'host', '--name', name, ...environment]
  const child = startChild('docker', ['run', ...options, 'quay.io/debezium/connect:3.4'])
  const url = `http://127.0.0.1:${port}`
  await answers(url, child, 300_000)
  found('Kafka Connect', `Docker (${url})`)
  const end = async (signal: string): Promise<void> => {
    await run('docker', ['kill', `--signal=${signal}`, name])
    await child.stop()
    await run('docker', ['rm', '-f', name]).catch(() => undefined)
  }
  return service(url, { stop: () => end('TERM'), kill9: () => end('KILL') })
}

function workerSettings({ brokers, group }: Worker, port: number): Settings {
  const json = 'org.apache.kafka.connect.json.JsonConverter'
  return {
    'bootstrap.servers': brokers.join(','),
    'group.id': group,
    listeners: `http://127.0.0.1:${port}`,
    'key.converter': json,
    'key.converter.schemas.enable': 'false',
    'value.converter': json,
    'value.converter.schemas.enable': 'false',
    'config.storage.topic': `${group}.configs`,
    'config.storage.replication.factor': 1,
    'offset.storage.topic': `${group}.offsets`,
    'offset.storage.replication.factor': 1,
    'offset.storage.partitions': 1,
    'status.storage.topic': `${group}.status`,
    'status.storage.replication.factor': 1,
    'status.storage.partitions': 1,
    // A killed worker repeats what it sent since its last flush: this leaves it something to repeat.
    'offset.flush.interval.ms': 2_000,
    // A worker killed outright still owns its tasks for this long.
    'session.timeout.ms': 6_000,
    'heartbeat.interval.ms': 1_000,
    'scheduled.rebalance.max.delay.ms': 0,
  }
}

/** The REST server answers before the worker has read its storage topics: only then does the list of connectors come. */
const answers = (url: string, child: Child, timeoutMs = 90_000): Promise<void> =>
  ready('Kafka Connect', child, () => call(`${url}/connectors`), timeoutMs)

function service(url: string, end: Pick<ConnectService, 'stop' | 'kill9'>): ConnectService {
  const running = (name: string): Promise<void> => runs(url, name)
  return {
    url,
    running,
    async createConnector(name, config) {
      const body = JSON.stringify(config)
      const headers = { 'content-type': 'application/json' }
      await call(`${url}/connectors/${name}/config`, { method: 'PUT', headers, body })
      await running(name)
    },
    ...end,
  }
}

type Status = { connector: { state: string }; tasks: { state: string; trace?: string }[] }

async function runs(url: string, name: string): Promise<void> {
  const deadline = Date.now() + 60_000
  for (;;) {
    const status = await call(`${url}/connectors/${name}/status`).catch((error: unknown) => String(error))
    if (typeof status === 'object') {
      const { connector, tasks } = status as Status
      const failed = tasks.find(({ state }) => state === 'FAILED')
      if (failed) throw new Error(`The task of connector ${name} failed: ${failed.trace ?? 'no trace'}`)
      if (connector.state === 'RUNNING' && tasks.length > 0 && tasks.every(({ state }) => state === 'RUNNING')) return
    }
    if (Date.now() > deadline) throw new Error(`Connector ${name} doesn't run: ${JSON.stringify(status)}`)
    await sleep(200)
  }
}

async function call(url: string, init: RequestInit = {}): Promise<unknown> {
  const response = await fetch(url, { ...init, signal: AbortSignal.timeout(30_000) })
  const text = await response.text()
  if (!response.ok) throw new Error(`Kafka Connect answered ${response.status} to ${url}: ${text}`)
  return text === '' ? undefined : JSON.parse(text)
}
