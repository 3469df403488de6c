/**
 * The journal as a feed writes to it: each append moves the feed's cursor by compare-and-set, and waits where a topic is too far ahead of
 * what is applied. A feed that waits reads no further: a slot then keeps its source's log, a poll is late.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { log } from '../../platform/log.ts'
import { counter, gauge } from '../../platform/metrics.ts'
import type { Sql } from '../../platform/postgres.ts'
import type { Feed, FeedJournal, FeedRecord } from '../feed.ts'
import type { Room } from '../journal-room.ts'
import { append } from '../source/journal.ts'

/** How often a feed that waits looks again. */
const heldMs = 300

const appended = counter({
  name: 'forebay_feed_records_total',
  help: 'Records that feeds put into the journal.',
  labels: ['feed'],
})
const heldGauge = gauge({
  name: 'forebay_feed_held',
  help: '1 while it waits for what it brought to be applied.',
  labels: ['feed'],
})

export type OpenJournal = {
  readonly journal: FeedJournal
  /** The cursor's, as the last append left it. */
  readonly version: () => string
}

/** `sql`: the connection that holds the feed's lock. */
export const openJournal = (options: {
  readonly sql: Sql
  readonly feed: Feed
  readonly from: { readonly version: string; readonly cursor: unknown }
  readonly room: Room
  readonly stop: AbortSignal
}): OpenJournal => {
  const { sql, feed, from, room, stop } = options
  let version = from.version
  const write = async (
    records: FeedJournalRecords,
    cursor: unknown,
    also: Parameters<FeedJournal['append']>[2],
  ): Promise<string> =>
    sql.begin(async (tx) => {
      // The fence, and first: whoever was overtaken waits here for nothing and writes nothing.
      const [row] = await tx<{ version: string }[]>`
        update forebay.cursors set cursor = ${JSON.stringify(cursor)}::text::jsonb, version = version + 1, moved_at = now()
        where feed = ${feed.name} and version = ${version} and state = 'RUNNING' returning version`
      if (row === undefined) throw new Error('another process or an operator has moved the cursor')
      for (const [topic, of] of records) await append(tx, topic, of)
      await also?.(tx)
      return row.version
    }) as Promise<string>
  const journal: FeedJournal = {
    cursor: from.cursor,
    stop,
    async append(records, cursor, also) {
      const sorted = byTopic(records)
      await untilRoom(
        feed,
        room,
        sorted.map(([topic]) => topic),
        stop,
      )
      version = await write(sorted, cursor, also)
      appended.inc({ feed: feed.name }, records.length)
    },
  }
  return { journal, version: () => version }
}

type FeedJournalRecords = readonly (readonly [topic: string, records: readonly FeedRecord[]])[]

/** In one order for all who append, so that none waits for another in a circle. */
const byTopic = (records: readonly FeedRecord[]): FeedJournalRecords =>
  [...Map.groupBy(records, ({ topic }) => topic)].sort(([a], [b]) => (a < b ? -1 : 1))

const untilRoom = async (feed: Feed, room: Room, topics: readonly string[], stop: AbortSignal): Promise<void> => {
  let held = false
  try {
    for (const topic of topics)
      for (;;) {
        const full = await room(topic)
        if (full === undefined) break
        if (!held) log.warn('feed.held', { feed: feed.name, topic, ahead: full })
        held = true
        heldGauge.set({ feed: feed.name }, 1)
        await sleep(heldMs, undefined, { signal: stop }).catch(() => {})
        if (stop.aborted) throw new Error('the feed is stopping')
      }
  } finally {
    if (held) heldGauge.set({ feed: feed.name }, 0)
  }
  if (held) log.info('feed.released', { feed: feed.name })
}
