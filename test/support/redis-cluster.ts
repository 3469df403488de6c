/** A Redis Cluster of the caller's own: three primaries, each with a replica, from the redis-server that is on this machine. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { until } from '../kafka/client.ts'
import { type Child, freePorts, startChild } from './child.ts'
import { installDebian, onPath } from './find.ts'

export type RedisCluster = {
  /** As REDIS_URL names it. */
  readonly url: string
  /** Kills the primary that holds a key, as a machine that loses power; its replica takes over. */
  killPrimaryOf(key: string): Promise<void>
  /** Every slot is served by a node that answers. */
  healthy(): Promise<boolean>
  stop(): Promise<void>
}

const slots = 16_384
const primaries = 3
/** After so long without a word a node is taken for dead. */
const nodeTimeoutMs = 1_000

type Node = { readonly port: number; readonly bus: number; readonly child: Child; readonly client: Redis }

export const startRedisCluster = async (): Promise<RedisCluster> => {
  const binary =
    (await onPath('redis-server')) ?? ((await installDebian(['redis-server'])) && (await onPath('redis-server')))
  if (!binary) throw new Error("A Redis Cluster can't be started: install redis-server.")
  const folder = await mkdtemp(join(tmpdir(), 'forebay-redis-cluster-'))
  const ports = await freePorts(primaries * 4)
  const nodes = Array.from({ length: primaries * 2 }, (_, i): Node => {
    const [port, bus] = [ports[2 * i]!, ports[2 * i + 1]!]
    const settings = {
      port,
      'cluster-port': bus,
      bind: '127.0.0.1',
      dir: folder,
      'cluster-enabled': 'yes',
      'cluster-config-file': `nodes-${port}.conf`,
      'cluster-node-timeout': nodeTimeoutMs,
      'cluster-require-full-coverage': 'no',
      'repl-diskless-sync-delay': 0,
      save: '',
      appendonly: 'no',
    }
    const child = startChild(
      binary,
      Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]),
    )
    const client = new Redis(port, '127.0.0.1', { retryStrategy: () => 100, maxRetriesPerRequest: null })
    client.on('error', () => {})
    return { port, bus, child, client }
  })
  const dead = new Set<Node>()
  const living = () => nodes.filter((node) => !dead.has(node))
  const [first] = nodes as [Node]
  for (const [i, { client }] of nodes.slice(0, primaries).entries())
    await client.call(
      'CLUSTER',
      'ADDSLOTSRANGE',
      String(Math.floor((i * slots) / primaries)),
      String(Math.floor(((i + 1) * slots) / primaries) - 1),
    )
  for (const { port, bus } of nodes.slice(1))
    await first.client.call('CLUSTER', 'MEET', '127.0.0.1', String(port), String(bus))
  const infoOf = async ({ client }: Node): Promise<string> => String(await client.cluster('INFO'))
  const all = async (test: (info: string) => boolean): Promise<boolean> =>
    (await Promise.all(living().map(infoOf))).every(test)
  await until(() => all((info) => info.includes(`cluster_known_nodes:${nodes.length}`)), 'the nodes know each other')
  for (const [i, { client }] of nodes.slice(primaries).entries()) {
    const id = String(await nodes[i]!.client.cluster('MYID'))
    await until(async () => {
      const answer = await client.cluster('REPLICATE', id).catch(() => 'not yet')
      return answer === 'OK'
    }, 'it replicates')
  }
  const healthy = async (): Promise<boolean> => {
    const complete = await all(
      (info) => info.includes('cluster_state:ok') && info.includes(`cluster_slots_ok:${slots}`),
    )
    return complete
  }
  await until(healthy, 'the cluster is whole')
  await until(
    async () =>
      (await Promise.all(nodes.slice(primaries).map(({ client }) => client.info('replication')))).every((info) =>
        info.includes('master_link_status:up'),
      ),
    'replicas follow',
  )
  return {
    url: `redis-cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    async killPrimaryOf(key) {
      const slot = Number(await living()[0]!.client.cluster('KEYSLOT', key))
      const ranges = await living()[0]!.client.cluster('SLOTS')
      const [, , primary] = ranges.find(([from, to]) => from <= slot && slot <= to)!
      const node = nodes.find(({ port }) => port === primary?.[1])!
      dead.add(node)
      node.client.disconnect()
      await node.child.kill9()
    },
    healthy,
    async stop() {
      for (const { client } of living()) client.disconnect()
      await Promise.all(nodes.map(({ child }) => child.kill9()))
      await rm(folder, { recursive: true, force: true })
    },
  }
}
