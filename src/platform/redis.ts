/**
 * Redis as a helper that may be away: a command either answers soon or is given up, and after three such failures none is
 * tried until a probe each second gets through. Nothing here throws; a caller without an answer asks Postgres.
 */
import { Redis } from 'ioredis'
import { type BreakerState, createBreaker } from './breaker.ts'
import { placeOf } from './postgres.ts'

export type Answer<T> = { readonly ok: true; readonly value: T } | { readonly ok: false }
export type RedisClient = {
  /** Runs commands; `{ ok: false }` when Redis is away, slow (250 ms) or refuses. Commands of one tick go out together. */
  attempt<T>(commands: (redis: Redis) => Promise<T>): Promise<Answer<T>>
  /** OPEN: commands are refused at once. HALF_OPEN: the same, while a probe is under way. */
  state(): BreakerState
  /** Stops probing and disconnects. */
  end(): void
}

const timeoutMs = 250
const probeMs = 1_000

/** Never throws and doesn't wait for the server: connecting goes on in the background, for as long as it takes. */
export const connectRedis = (url: string): RedisClient => {
  const redis = new Redis(url, {
    enableAutoPipelining: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    connectTimeout: timeoutMs * 4,
    commandTimeout: timeoutMs,
    retryStrategy: (times) => Math.min(times * 50, probeMs),
    // A replica that was the primary: connect anew.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
    connectionName: 'forebay',
  })
  // Without a listener ioredis prints; failures are told by the breaker, once.
  redis.on('error', () => {})

  const ended = Promise.withResolvers<void>()
  const breaker = createBreaker({
    dependency: 'redis',
    place: placeOf(url),
    leastMs: probeMs / 4,
    longestMs: probeMs,
    opened: () => void breaker.attempt(() => redis.ping(), ended.promise).catch(() => {}),
  })
  return {
    attempt: async (commands) => {
      if (breaker.state() !== 'CLOSED') return { ok: false }
      try {
        const value = await commands(redis)
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
