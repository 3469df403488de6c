/**
 * How much of the change feed a gateway has processed, and what that is worth. Two facts carry everything:
 *
 *   a snapshot of the database says how far each feed was in it (the counters move with the rows, C30);
 *   once all up to there has been processed, whatever was dropped when it changed, and kept otherwise, is as new as that snapshot.
 *
 * So `covers` is true of a snapshot whose sequences have all been processed, and no message that is late, lost or never sent makes it true too
 * early: it only stays false. `holds` is the other half: what was read in some snapshot may be kept if none of its keys has changed between that
 * snapshot and what has been processed.
 *
 * A gap, a lost connection or other feeds than before: everything goes, and it begins anew from a snapshot that was asked for afterwards (C31).
 */
import type { ChangeMessage } from '../../platform/change-message.ts'
import { counter } from '../../platform/metrics.ts'
import type { DropReason, Listener, RowChange } from './changes.ts'
import type { Sequences } from './sequences.ts'

export type Progress = {
  message(message: ChangeMessage): void
  /** From now on every message of these feeds comes: of any, where none are named. `at`: by performance.now(). */
  joined(at: number, feeds?: readonly string[]): void
  lost(): void
  /** A snapshot of the primary; `begun`: when it was asked for. */
  seen(snapshot: { readonly feeds: Sequences; readonly catalog: number }, begun: number): void
  /** Everything that is in such a snapshot has been processed. */
  covers(feeds: Sequences | undefined): boolean
  /** What was read there of this row is still so, as far as has been processed. */
  holds(feeds: Sequences, generation: number, key: string): boolean
  /** Somebody writes feeds, and they are followed. */
  follows(): boolean
  /** Another number: everything was dropped meanwhile. */
  drops(): number
}
export type ProgressOptions = {
  readonly tell: Listener
  /** Asks that messages of these feeds come; `joined` says when they do. */
  readonly follow: (feeds: readonly string[]) => void
  /** Changes of a feed that are remembered, by row. */
  readonly remembered?: number
}

type Feed = {
  processed: number
  /** Parts of the next message that have come. */
  parts: number
  /** What was read below may have changed since without our knowing. */
  floor: number
  /** By row, or `#` and generation, the last sequence that changed it; the oldest first. */
  readonly recent: Map<string, number>
  behind: { readonly target: number; readonly since: number } | undefined
}

const mostEarly = 1_000
/** A feed that is behind what a snapshot has for so long has lost something. */
const patienceMs = 1_000

const dropped = counter({
  name: 'forebay_feed_drops_total',
  help: 'Times that everything kept in this process was dropped, by why.',
  labels: ['reason'],
})
const told = counter({ name: 'forebay_feed_rows_total', help: 'Changed rows that this process was told of.' })

export const createProgress = ({ tell, follow, remembered = 50_000 }: ProgressOptions): Progress => {
  let feeds = new Map<string, Feed>()
  let adopted = false
  let up: { readonly at: number; readonly feeds: readonly string[] | undefined } | undefined
  let catalog: number | undefined
  let early: ChangeMessage[] = []
  let drops = 0
  /** Known to be covered: many requests ask about one snapshot, and what is covered stays so until everything is dropped. */
  let covered: Sequences | undefined

  const drop = (reason: DropReason): void => {
    drops += 1
    covered = undefined
    dropped.inc({ reason })
    tell.dropped(reason)
  }
  const begin = (at: number): Feed => ({
    processed: at,
    parts: 0,
    floor: at,
    recent: new Map(),
    behind: undefined,
  })
  const remember = (feed: Feed, name: string, sequence: number): void => {
    feed.recent.delete(name)
    feed.recent.set(name, sequence)
    if (feed.recent.size <= remembered) return
    const [oldest, changed] = feed.recent.entries().next().value!
    feed.recent.delete(oldest)
    feed.floor = Math.max(feed.floor, changed)
  }
  const process = (feed: Feed, message: ChangeMessage): void => {
    const { sequence, part, parts } = message
    if (sequence <= feed.processed) return
    if (sequence !== feed.processed + 1 || part !== feed.parts + 1) {
      feeds.set(message.feed, begin(sequence))
      drop('GAP')
      return
    }
    const rows: RowChange[] = []
    for (const { rows: named, view, generation, hash } of message.groups) {
      if (named === undefined) {
        remember(feed, `#${generation}`, sequence)
        tell.changedWhole(view, generation)
        continue
      }
      for (const key of named.keys) {
        remember(feed, key, sequence)
        rows.push({ view, generation, hash, tenant: named.tenant, key, feed: message.feed, sequence })
      }
    }
    told.inc(rows.length)
    if (rows.length > 0) tell.changed(rows)
    feed.parts = part === parts ? 0 : part
    if (part === parts) feed.processed = sequence
  }
  const adopt = (sequences: Sequences): void => {
    feeds = new Map(Object.entries(sequences).map(([feed, at]) => [feed, begin(at)]))
    adopted = true
    const waiting = early
    early = []
    for (const message of waiting) {
      const feed = feeds.get(message.feed)
      if (feed) process(feed, message)
    }
  }
  const same = (sequences: Sequences): boolean => {
    const names = Object.keys(sequences)
    return names.length === feeds.size && names.every((feed) => feeds.has(feed))
  }
  const comes = (sequences: Sequences): boolean =>
    up !== undefined && (up.feeds === undefined || Object.keys(sequences).every((feed) => up?.feeds?.includes(feed)))
  /** What a snapshot has and was never told. */
  const overdue = (sequences: Sequences, begun: number): boolean => {
    let late = false
    for (const [name, feed] of feeds) {
      const at = sequences[name]!
      if (at <= feed.processed) feed.behind = undefined
      else if (feed.behind === undefined || feed.behind.target <= feed.processed)
        feed.behind = { target: at, since: begun }
      else if (begun - feed.behind.since > patienceMs) late = true
    }
    return late
  }

  return {
    message(message) {
      const feed = feeds.get(message.feed)
      if (adopted && feed) return process(feed, message)
      // Of a feed that no snapshot has shown yet.
      early.push(message)
      if (early.length > mostEarly) early.shift()
    },
    joined(at, of) {
      up = { at, feeds: of }
    },
    lost() {
      if (up === undefined) return
      up = undefined
      early = []
      if (!adopted) return
      adopted = false
      drop('LOST')
    },
    seen({ feeds: sequences, catalog: version }, begun) {
      const moved = catalog !== undefined && catalog !== version
      catalog = version
      if (adopted && !same(sequences)) {
        adopted = false
        drop('EPOCH')
      }
      if (adopted && moved) drop('CATALOG')
      if (!adopted) {
        if (!comes(sequences)) follow(Object.keys(sequences))
        else if (up !== undefined && begun >= up.at) adopt(sequences)
        return
      }
      if (!overdue(sequences, begun)) return
      for (const [name, { processed }] of feeds) feeds.set(name, begin(Math.max(processed, sequences[name]!)))
      drop('GAP')
    },
    covers(sequences) {
      if (!adopted || sequences === undefined) return false
      if (sequences === covered) return true
      if (feeds.size === 0 || !same(sequences)) return false
      for (const [name, feed] of feeds) if (sequences[name]! > feed.processed) return false
      covered = sequences
      return true
    },
    holds(sequences, generation, key) {
      if (!adopted || !same(sequences)) return false
      for (const [name, { floor, recent }] of feeds) {
        const at = sequences[name]!
        if (at < floor || (recent.get(key) ?? 0) > at || (recent.get(`#${generation}`) ?? 0) > at) return false
      }
      return true
    },
    follows: () => adopted && feeds.size > 0,
    drops: () => drops,
  }
}
