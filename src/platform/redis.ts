/**
 * Redis as a helper that may be away: a command either answers soon or is given up, and after three such failures none is
 * tried until a probe each second gets through. Nothing here throws; a caller without an answer asks Postgres.
 */
import { Redis } from 'ioredis'
import { log } from './log.ts'
import { gauge } from './metrics.ts'
import { placeOf } from './postgres.ts'

/** OPEN: commands are refused at once. HALF_OPEN: the same, while a probe is under way. */
export type BreakerState = 'CLOSED' | 'OPEN' | 'HALF_OPEN'
export type Answer<T> = { readonly ok: true; readonly value: T } | { readonly ok: false }
export type RedisClient = {
  /** Runs commands; `{ ok: false }` when Redis is away, slow (250 ms) or refuses. Commands of one tick go out together. */
  attempt<T>(commands: (redis: Redis) => Promise<T>): Promise<Answer<T>>
  state(): BreakerState
  /** Stops probing and disconnects. */
  end(): void
}

const timeoutMs = 250
const probeMs = 1_000
const tolerated = 3
const away = gauge({ name: 'forebay_redis_open', help: '1 while Redis is away and commands are refused.' })

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

  let state: BreakerState = 'CLOSED'
  let failures = 0
  let timer: NodeJS.Timeout | undefined
  const move = (to: BreakerState): void => {
    state = to
    away.set(to === 'CLOSED' ? 0 : 1)
  }
  const probe = async (): Promise<void> => {
    move('HALF_OPEN')
    try {
      await redis.ping()
      failures = 0
      move('CLOSED')
      log.info('redis back', { place: placeOf(url) })
    } catch {
      move('OPEN')
      timer = setTimeout(probe, probeMs)
    }
  }
  const failed = (error: unknown): void => {
    failures++
    if (failures < tolerated || state !== 'CLOSED') return
    move('OPEN')
    log.warn('redis away', { place: placeOf(url), error })
    timer = setTimeout(probe, probeMs)
  }
  return {
    attempt: async (commands) => {
      if (state !== 'CLOSED') return { ok: false }
      try {
        const value = await commands(redis)
        failures = 0
        return { ok: true, value }
      } catch (error) {
        failed(error)
        return { ok: false }
      }
    },
    state: () => state,
    end: () => {
      clearTimeout(timer)
      move('CLOSED')
      redis.disconnect()
    },
  }
}
