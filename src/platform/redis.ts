/**
 * Redis as a helper that may be away: a command either answers soon or is given up, and after three such failures none is
 * tried until a probe each second gets through. Nothing here throws; a caller without an answer asks Postgres.
 *
 * One server (`redis://`, `rediss://`) or a cluster (`redis-cluster://host:port,host:port`, `rediss-cluster://`), of which some nodes
 * are named and the others found. Of a cluster every primary must answer the probe: a node that died is waited for until another has
 * taken its place.
 */
import { Cluster, Redis } from 'ioredis'
import { type BreakerState, createBreaker } from './breaker.ts'
import { placeOf } from './postgres.ts'

/** What one server and a cluster both run. */
export type RedisCommands = Redis | Cluster
export type Answer<T> = { readonly ok: true; readonly value: T } | { readonly ok: false }
export type RedisClient = {
  /** Runs commands; `{ ok: false }` when Redis is away, slow (250 ms) or refuses. Commands of one tick go out together. */
  attempt<T>(commands: (redis: RedisCommands) => Promise<T>): Promise<Answer<T>>
  /** OPEN: commands are refused at once. HALF_OPEN: the same, while a probe is under way. */
  state(): BreakerState
  /** Stops probing and disconnects. */
  end(): void
}

const timeoutMs = 250
const probeMs = 1_000

const clusterUrl = /^(rediss?)-cluster:\/\/(?:([^@/]*)@)?([^/]+)\/?$/
export const isClusterUrl = (url: string): boolean => clusterUrl.test(url)
/** The nodes that such a URL names; undefined where it names one that is not `host:port`. */
export const clusterNodes = (url: string): readonly { readonly host: string; readonly port: number }[] | undefined => {
  const nodes = (clusterUrl.exec(url)?.[3] ?? '').split(',').map((node) => {
    const [, host, port] = /^(\[[0-9a-fA-F:]+\]|[^\s:/@[\]]+):(\d{1,5})$/.exec(node) ?? []
    return { host: (host ?? '').replace(/[[\]]/g, ''), port: Number(port) }
  })
  return nodes.every(({ host, port }) => host !== '' && port > 0 && port < 65_536) ? nodes : undefined
}

export type RedisManners = {
  readonly enableAutoPipelining?: boolean
  /** Commands that are given before there is a connection wait for it. */
  readonly enableOfflineQueue?: boolean
  readonly commandTimeout?: number
}

/** Doesn't wait for the server: connecting goes on in the background, for as long as it takes. */
export const openRedis = (url: string, manners: RedisManners): RedisCommands => {
  const { enableAutoPipelining = false, enableOfflineQueue = false } = manners
  const shared = {
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    connectTimeout: timeoutMs * 4,
    retryStrategy: (times: number) => Math.min(times * 50, probeMs),
    // A replica that was the primary: connect anew.
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
    connectionName: 'forebay',
    ...(manners.commandTimeout === undefined ? {} : { commandTimeout: manners.commandTimeout }),
  }
  const [, scheme, credentials] = clusterUrl.exec(url) ?? []
  const [username, password] = (credentials ?? '').split(':').map(decodeURIComponent)
  const redis =
    scheme === undefined
      ? new Redis(url, { ...shared, enableAutoPipelining, enableOfflineQueue })
      : new Cluster([...(clusterNodes(url) ?? [])], {
          enableAutoPipelining,
          enableOfflineQueue,
          maxRedirections: 3,
          retryDelayOnFailover: 50,
          retryDelayOnClusterDown: 50,
          slotsRefreshTimeout: probeMs,
          slotsRefreshInterval: 5_000,
          clusterRetryStrategy: (times) => Math.min(times * 50, probeMs),
          redisOptions: {
            ...shared,
            ...(username ? { username } : {}),
            ...(password ? { password } : {}),
            ...(scheme === 'rediss' ? { tls: {} } : {}),
          },
        })
  // Without a listener ioredis prints; failures are told by the breaker, once.
  redis.on('error', () => {})
  return redis
}

/** Rejects where `work` takes longer. */
export const within = <T>(ms: number, work: Promise<T>): Promise<T> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('Redis did not answer in time')), ms)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

/** Every node that serves slots, as the cluster itself has it: the client forgets one that it has lost before another has taken its place. */
const pingAll = async (cluster: Cluster): Promise<unknown> => {
  const nodes = new Map(cluster.nodes('all').map((node) => [`${node.options.host}:${node.options.port}`, node]))
  const [first] = nodes.values()
  const ranges = first ? await first.cluster('SLOTS') : []
  const serving = new Set(ranges.map(([, , primary]) => `${primary?.[0]}:${primary?.[1]}`))
  if (serving.size === 0) throw new Error('no node of the cluster answers')
  return Promise.all(
    [...serving].map((name) => nodes.get(name)?.ping() ?? Promise.reject(new Error('a node of the cluster is away'))),
  )
}

/** Never throws and doesn't wait for the server. */
export const connectRedis = (url: string): RedisClient => {
  const redis = openRedis(url, { enableAutoPipelining: true, commandTimeout: timeoutMs })
  const ping = (): Promise<unknown> => (redis instanceof Redis ? redis.ping() : pingAll(redis))
  const ended = Promise.withResolvers<void>()
  const breaker = createBreaker({
    dependency: 'redis',
    place: isClusterUrl(url) ? url.replace(clusterUrl, '$3') : placeOf(url),
    leastMs: probeMs / 4,
    longestMs: probeMs,
    opened: () => void breaker.attempt(ping, ended.promise).catch(() => {}),
  })
  return {
    attempt: async (commands) => {
      if (breaker.state() !== 'CLOSED') return { ok: false }
      try {
        // A cluster's client looks for the right node by itself, and for longer.
        const value = await (redis instanceof Redis ? commands(redis) : within(timeoutMs, commands(redis)))
        breaker.succeeded()
        return { ok: true, value }
      } catch (error) {
        breaker.failed(error)
        return { ok: false }
      }
    },
    state: breaker.state,
    end: () => {
      ended.resolve()
      redis.disconnect()
    },
  }
}
