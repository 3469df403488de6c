/** Follows the change feed: from Redis where there is one, else from Postgres. */
import { readMessage } from '../../platform/change-message.ts'
import { type KeyHash, readKeyHash } from '../../platform/key-hash.ts'
import { log } from '../../platform/log.ts'
import type { Sql } from '../../platform/postgres.ts'
import { type Changes, createChanges } from './changes.ts'
import { type FeedEvents, listenForChanges } from './listen.ts'
import { createProgress, type Progress } from './progress.ts'
import { readChanges } from './stream.ts'

export type ChangeFeed = Changes &
  Pick<Progress, 'covers' | 'holds' | 'follows' | 'drops' | 'seen'> & {
    /** How rows are named in it. */
    readonly names: KeyHash
    stop(): Promise<void>
  }

/** Without a database of its own to listen to, it follows nothing and covers nothing. */
export const followChanges = async (options: {
  readonly sql: Sql
  readonly databaseUrl?: string
  readonly redisUrl?: string
}): Promise<ChangeFeed> => {
  const { sql, databaseUrl, redisUrl } = options
  const names = await readKeyHash(sql)
  const changes = createChanges()
  const progress = createProgress({ tell: changes.tell, follow: (feeds) => source?.follow(feeds) })
  /** Gaps since something was heard. */
  let silent = 0
  const events: FeedEvents = {
    message: (text) => {
      silent = 0
      const message = readMessage(text)
      // One that can't be read is missing, and what is missing is noticed.
      if (message) progress.message(message)
      else log.warn('feed.unreadable')
    },
    joined: (feeds) => progress.joined(performance.now(), feeds),
    lost: progress.lost,
  }
  const open = () => {
    if (redisUrl !== undefined) return readChanges(redisUrl, events)
    return databaseUrl === undefined ? undefined : listenForChanges(databaseUrl, events)
  }
  const source = open()
  const unlisten = changes.listen({
    changed: () => {},
    changedWhole: () => {},
    dropped: (reason) => {
      if (reason !== 'GAP') return
      silent += 1
      // Ingest tells it elsewhere, or can't. Said once for each time.
      if (silent === 2) log.warn('feed.silent', { through: redisUrl === undefined ? 'postgres' : 'redis' })
    },
  })
  const { covers, holds, follows, drops, seen } = progress
  return {
    names,
    listen: changes.listen,
    covers,
    holds,
    follows,
    drops,
    seen,
    stop: async () => {
      unlisten()
      await source?.stop()
      progress.lost()
    },
  }
}
