/**
 * Rows that are asked for often, in this process: before Redis, before Postgres. Whole rows by full key, before any policy (C29), and keys that have
 * none. They carry no moment of their own. What is here is as new as all of the change feed that has been processed, so it answers for exactly those
 * snapshots that the feed covers, and for no other: see ../feed/progress.ts.
 *
 * A row comes in only if it hasn't changed between its own snapshot and what has been processed (C30), goes when it changes, and all go at a
 * gap. A time to live is the last line, should any of that ever fail.
 */
import { LRUCache } from 'lru-cache'
import type { ViewTable } from '../../model/view-table.ts'
import { gauge, tally } from '../../platform/metrics.ts'
import type { RowKey } from '../../platform/row-cache.ts'
import type { ChangeFeed } from '../feed/feed.ts'
import type { Sequences } from '../feed/sequences.ts'
import { createPopularity } from './popularity.ts'
import type { StoredRow } from './row-sql.ts'

export type NearScope = { readonly generation: number; readonly table: ViewTable; readonly tenant: string | null }
/** Null: there is no such row. */
export type Near = StoredRow | null
export type NearCache = {
  /** Counts the read. Undefined: it isn't kept, or `feeds`, what the reader's snapshot holds, isn't covered. */
  get(scope: NearScope, key: RowKey, feeds: Sequences | undefined): Near | undefined
  /** Whether it is asked for often enough to be kept. */
  wanted(scope: NearScope, key: RowKey): boolean
  /** What a snapshot with these `feeds` holds under this key. `drops`: of the feed, before that was asked for. */
  fill(scope: NearScope, key: RowKey, row: Near, feeds: Sequences, drops: number): void
  stop(): void
}

type Entry = { readonly row: Near; readonly feeds: Sequences; readonly hash: string; readonly until: number }

export const usualNearCacheBytes = 64 * 2 ** 20
const ttlMs = 30_000
/** Beside the texts. */
const entryBytes = 400
/** Asked for so often lately. */
const often = 2
const tellMs = 5_000

const reads = tally({ name: 'forebay_near_cache_reads_total', help: 'Rows asked of this process.', label: 'result' }, [
  'hit',
  'miss',
])
const size = gauge({ name: 'forebay_near_cache_bytes', help: 'Rows kept in this process, about.' })
const hot = gauge({
  name: 'forebay_hot_key_reads',
  help: 'Reads of the keys asked for most, counts halving as time goes by. Keys are keyed hashes.',
  labels: ['view', 'key'],
})

const nameOf = ({ generation, tenant }: NearScope, key: RowKey): string =>
  `${generation} ${JSON.stringify(key.length === 1 ? [tenant, key[0]] : [tenant, ...key])}`

/** Where one text is one key: of other types a key may be written in several ways, and a change tells but one of them. */
const exactTypes = new Set(['ID', 'String'])
export const isExact = ({ key }: ViewTable): boolean =>
  key.every(({ type }) => type.kind === 'enum' || (type.kind === 'scalar' && exactTypes.has(type.scalar)))

export const createNearCache = (feed: ChangeFeed, maxBytes: number): NearCache => {
  const popularity = createPopularity()
  /** By the hash that a change tells. */
  const named = new Map<string, string>()
  const kept = new LRUCache<string, Entry>({
    maxSize: maxBytes,
    sizeCalculation: ({ row }, name) => entryBytes + 2 * (name.length + (row ? row.fields.length + row.key.length : 0)),
    dispose: ({ hash }, name) => {
      if (named.get(hash) === name) named.delete(hash)
    },
  })
  const hashOf = ({ table, tenant }: NearScope, key: RowKey): string => feed.names.row(table.hash, tenant, key)
  /** By generation, for what is told of hot keys. */
  const tables = new Map<number, ViewTable>()

  const unlisten = feed.listen({
    changed: (rows) => {
      for (const { key, feed: of, sequence } of rows) {
        const name = named.get(key)
        if (name === undefined) continue
        const entry = kept.peek(name)
        // It may have been read after this change already.
        if (entry && (entry.feeds[of] ?? -1) < sequence) kept.delete(name)
      }
    },
    changedWhole: (_, generation) => {
      for (const name of [...kept.keys()]) if (name.startsWith(`${generation} `)) kept.delete(name)
    },
    dropped: () => kept.clear(),
  })
  const tell = (): void => {
    size.set(kept.calculatedSize ?? 0)
    hot.reset()
    for (const { name, reads } of popularity.top()) {
      const [generation = ''] = name.split(' ', 1)
      const table = tables.get(Number(generation))
      if (!table) continue
      const [tenant, ...key] = JSON.parse(name.slice(generation.length + 1)) as [string | null, ...RowKey]
      hot.set({ view: table.view, key: feed.names.row(table.hash, tenant, key) }, reads)
    }
  }
  const timer = setInterval(tell, tellMs).unref()

  return {
    get(scope, key, feeds) {
      const name = nameOf(scope, key)
      if (popularity.count(name) === often) tables.set(scope.generation, scope.table)
      const entry = feed.covers(feeds) ? kept.get(name) : undefined
      const found = entry !== undefined && entry.until > performance.now() ? entry.row : undefined
      reads[found === undefined ? 'miss' : 'hit'].count += 1
      return found
    },
    wanted: (scope, key) => popularity.estimate(nameOf(scope, key)) >= often,
    fill(scope, key, row, feeds, drops) {
      if (row === null && !isExact(scope.table)) return
      // Under its own key, which is what a change tells.
      const own = row === null ? key : (JSON.parse(row.key) as RowKey)
      const hash = hashOf(scope, own)
      if (feed.drops() !== drops || !feed.holds(feeds, scope.generation, hash)) return
      const name = nameOf(scope, own)
      if (!admits(name)) return
      kept.set(name, { row, feeds, hash, until: performance.now() + ttlMs * (0.8 + 0.4 * Math.random()) })
      named.set(hash, name)
    },
    stop() {
      unlisten()
      clearInterval(timer)
      kept.clear()
    },
  }

  /** What is asked for often doesn't make way for what isn't. */
  function admits(name: string): boolean {
    const full = (kept.calculatedSize ?? 0) > maxBytes * 0.9
    if (!full || kept.has(name)) return true
    const [last] = kept.rkeys()
    return last === undefined || popularity.estimate(name) >= popularity.estimate(last)
  }
}
