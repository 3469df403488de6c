/**
 * Answers that were read wholly by full key (C29), as finished bytes: each is kept under the keys of its rows, those that have no row too, and goes when
 * one of them changes. As with rows, what is here is as new as all of the change feed that has been processed, so it answers for exactly those
 * snapshots that the feed covers, and what was read in a snapshot comes in only if no key of it has changed since (C30).
 *
 * Answers that were found by a condition, a lookup or an order aren't kept: no key tells that they changed.
 */
import { LRUCache } from 'lru-cache'
import { counter, gauge } from '../../platform/metrics.ts'
import type { ChangeFeed } from '../feed/feed.ts'
import type { Sequences } from '../feed/sequences.ts'
import type { About } from './about.ts'

export type Answer = {
  readonly about: About
  /** `{"data":…`, without the brace that closes it, in UTF-8, a byte a character: so it is written as it is. */
  readonly bytes: string
}
/** What an answer was made of. */
export type Made = {
  /** Of the snapshot that all of it is at least as new as. */
  readonly feeds: Sequences
  /** Of the change feed, before anything was read. */
  readonly drops: number
  readonly rows: readonly { readonly generation: number; readonly hash: string }[]
}
export type Answers = {
  /** Whether what `find` gave is still what is kept. */
  stands(answer: Answer): boolean
  find(name: string): Answer | undefined
  /** `name`: all that the answer depends on beside its rows. Undefined where it may not be kept. */
  keep(name: string, answer: Answer, made: Made): Answer | undefined
  stop(): void
}

type Entry = Made & { readonly name: string; readonly answer: Answer; readonly until: number }

const usualBytes = 32 * 2 ** 20
/** The last line, should a change ever not be told. */
const ttlMs = 30_000
/** Of an answer, beside its texts; of each row. */
const [entryBytes, rowBytes] = [500, 150]
const tellMs = 5_000

const drops = counter({
  name: 'forebay_answer_cache_drops_total',
  help: 'Answers dropped since a row of theirs changed, or may have.',
})
const size = gauge({ name: 'forebay_answer_cache_bytes', help: 'Finished answers kept in this process, about.' })

export const createAnswers = (feed: Pick<ChangeFeed, 'listen' | 'holds' | 'drops'>, maxBytes = usualBytes): Answers => {
  /** By the hash that a change tells. */
  const byRow = new Map<string, Set<Entry>>()
  const byAnswer = new WeakMap<Answer, Entry>()
  const kept = new LRUCache<string, Entry>({
    maxSize: maxBytes,
    sizeCalculation: ({ answer, rows }, name) =>
      entryBytes + rowBytes * rows.length + 2 * name.length + answer.bytes.length,
    dispose: (entry) => {
      byAnswer.delete(entry.answer)
      for (const { hash } of entry.rows) {
        const sharing = byRow.get(hash)
        sharing?.delete(entry)
        if (sharing?.size === 0) byRow.delete(hash)
      }
    },
  })
  const drop = ({ name }: Entry): void => {
    drops.inc()
    kept.delete(name)
  }
  const unlisten = feed.listen({
    changed: (rows) => {
      for (const { key, feed: of, sequence } of rows) {
        // It may have been read after this change already.
        for (const entry of [...(byRow.get(key) ?? [])]) if ((entry.feeds[of] ?? -1) < sequence) drop(entry)
      }
    },
    changedWhole: (_, generation) => {
      for (const entry of [...kept.values()]) if (entry.rows.some((row) => row.generation === generation)) drop(entry)
    },
    dropped: () => {
      drops.inc(kept.size)
      kept.clear()
    },
  })
  const timer = setInterval(() => size.set(kept.calculatedSize ?? 0), tellMs).unref()
  const isYoung = ({ until }: Entry): boolean => until > performance.now()

  return {
    stands: (answer) => {
      const entry = byAnswer.get(answer)
      return entry !== undefined && isYoung(entry)
    },
    find: (name) => {
      const entry = kept.get(name)
      return entry && isYoung(entry) ? entry.answer : undefined
    },
    keep: (name, answer, made) => {
      const { feeds, rows } = made
      if (feed.drops() !== made.drops || rows.length === 0) return undefined
      if (!rows.every(({ generation, hash }) => feed.holds(feeds, generation, hash))) return undefined
      const entry: Entry = { ...made, name, answer, until: performance.now() + ttlMs * (0.8 + 0.4 * Math.random()) }
      kept.set(name, entry)
      // One that is larger than all of the cache isn't taken.
      if (kept.peek(name) !== entry) return undefined
      byAnswer.set(answer, entry)
      for (const { hash } of rows) {
        const sharing = byRow.get(hash) ?? new Set()
        sharing.add(entry)
        byRow.set(hash, sharing)
      }
      return answer
    },
    stop: () => {
      unlisten()
      clearInterval(timer)
      kept.clear()
    },
  }
}
