/** A Lua script by its digest: Redis is sent the text once, and again when it has forgotten it. */
import { createHash } from 'node:crypto'
import type { RedisCommands } from './redis.ts'

export const redisScript = (lua: string) => {
  const digest = createHash('sha1').update(lua).digest('hex')
  return async (
    redis: RedisCommands,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<unknown> => {
    try {
      return await redis.evalsha(digest, keys.length, ...keys, ...args)
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error
      return redis.eval(lua, keys.length, ...keys, ...args)
    }
  }
}
