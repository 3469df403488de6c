/** The change feed where there is Redis: the streams of all feeds, by one blocking read after another over a connection of its own. */
import { setTimeout as sleep } from 'node:timers/promises'
import { changeStream } from '../../platform/change-stream.ts'
import { openRedis, type RedisCommands, within } from '../../platform/redis.ts'
import type { FeedEvents, FeedSource } from './listen.ts'

/** How long a read waits for something; so soon it begins to follow another feed. */
const blockMs = 200
/** A read that isn't answered by then never will be. */
const patienceMs = 1_000
const readAtOnce = 200
const pauseMs = 100

type Entry = readonly [id: string, fields: readonly string[]]

export const readChanges = (redisUrl: string, { message, joined, lost }: FeedEvents): FeedSource => {
  let over = false
  let wanted: readonly string[] = []
  let cutShort: (() => void) | undefined

  /** Reads until something fails. */
  const read = async (redis: RedisCommands, open: () => boolean): Promise<void> => {
    /** By feed, the last entry that has been read. */
    const places = new Map<string, string>()
    let following: readonly string[] | undefined
    while (open()) {
      if (following !== wanted) {
        const now = wanted
        for (const feed of places.keys()) if (!now.includes(feed)) places.delete(feed)
        for (const feed of now.filter((one) => !places.has(one))) {
          const [last] = await within(patienceMs, redis.xrevrange(changeStream(feed), '+', '-', 'COUNT', 1))
          places.set(feed, last?.[0] ?? '0-0')
        }
        following = now
        joined(now)
      }
      if (places.size === 0) {
        await sleep(pauseMs)
        continue
      }
      const feeds = [...places.keys()]
      const streams = [...feeds.map(changeStream), ...feeds.map((feed) => places.get(feed)!)]
      const found = (await within(
        blockMs + patienceMs,
        redis.xread('COUNT', readAtOnce, 'BLOCK', blockMs, 'STREAMS', ...streams),
      )) as readonly (readonly [stream: string, entries: readonly Entry[]])[] | null
      for (const [stream, entries] of found ?? []) {
        const feed = feeds.find((one) => changeStream(one) === stream)!
        for (const [id, fields] of entries) {
          places.set(feed, id)
          message(fields[1] ?? '')
        }
      }
    }
  }
  const run = async (): Promise<void> => {
    while (!over) {
      let open = true
      const redis = openRedis(redisUrl, { enableOfflineQueue: true })
      const gone = new Promise<never>((_, reject) => {
        redis.once('close', () => reject(new Error('Redis is gone')))
        redis.once('end', () => reject(new Error('Redis is gone')))
        cutShort = () => reject(new Error('stopped'))
      })
      await Promise.race([read(redis, () => open && !over), gone]).catch(() => {})
      open = false
      lost()
      redis.disconnect()
      if (!over) await sleep(pauseMs)
    }
  }
  const running = run()
  return {
    follow: (feeds) => {
      if (feeds.length !== wanted.length || feeds.some((feed) => !wanted.includes(feed))) wanted = feeds
    },
    stop: async () => {
      over = true
      cutShort?.()
      await running
    },
  }
}
