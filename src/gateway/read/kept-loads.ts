/**
 * Rows by key through what is kept of them: this process, then Redis, then Postgres. A key that is asked for by many at once is read by one of them;
 * the others take what it found, if that is as new as what they stand on.
 */
import { LRUCache } from 'lru-cache'
import type { ChangeFeed } from '../feed/feed.ts'
import { reaches, type Sequences, sequencesSql } from '../feed/sequences.ts'
import type { Basis } from '../freshness/freshness.ts'
import { satisfies } from '../freshness/satisfies.ts'
import type { NearCache, NearScope } from './near-cache.ts'
import { type Asked, batched, type Loadable, type Loaded, type Loader } from './row-batch.ts'
import type { CacheScope, RowCache } from './row-cache.ts'
import { byKeysStatement, type Reading, type Statement, type StoredRow } from './row-sql.ts'
import type { Run } from './statements.ts'

export type Caches = {
  readonly feed: ChangeFeed
  readonly near: NearCache
  /** Absent: there is no Redis. */
  readonly rows: RowCache | undefined
}
/** `feeds`: of the snapshot that it was read in; undefined: it is older than its reader's. */
type Found = {
  readonly loaded: Loaded | undefined
  readonly feeds: Sequences | undefined
}

/** What is asked for once is read `direct`, as it is asked for, and not kept. */
type KeptLoad = (asked: Asked, direct: Loader) => Promise<Loaded | undefined>

const maxLoaders = 1_000

/** The same rows, and how far the change feeds are in their very snapshot (C30). At least one row comes, with a null position where none was found. */
const withSequences = ({ text, values }: Statement): Statement => ({
  text: `select f.feeds, x.* from (select ${sequencesSql}::text as feeds) f left join (${text}) x on true`,
  values,
})

export const createKeptLoads = (run: Run, { feed, near, rows: redis }: Caches) => {
  const select = async (reading: Reading, asked: readonly Asked[]) => {
    const rows: (StoredRow | undefined)[] = asked.map(() => undefined)
    const keys = asked.map(({ key }) => key)
    type Row = StoredRow & { position: number | null; feeds: string }
    const found = await run<Row>(withSequences(byKeysStatement(reading, keys)), true)
    for (const { feeds: _, position, ...row } of found) if (position !== null) rows[position - 1] = row
    return { rows, feeds: JSON.parse(found[0]!.feeds) as Sequences }
  }

  const open = ({ generation, basis }: Loadable, about: Basis, reading: Reading): KeptLoad => {
    const { view, table } = basis
    const scope: NearScope = { generation, table, tenant: reading.tenant }
    const name = (key: Asked['key']): string => feed.names.row(table.hash, reading.tenant, key)
    const shared: CacheScope = { basis: about, maxLagMs: view.maxLagMs, name }
    const whole: Reading = { ...reading, fields: new Set(table.columns.map(({ field }) => field)) }

    const fromRedis = async (to: RowCache, asked: readonly Asked[], drops: number): Promise<(Found | undefined)[]> => {
      const hits = await to.get(
        shared,
        asked.map(({ key }) => key),
      )
      return hits.map((hit, i): Found | undefined => {
        if (!hit) return undefined
        const { key, feeds, floor } = asked[i]!
        const { row, asOf } = hit
        if (feeds !== undefined && reaches(hit.feeds, feeds)) return { loaded: { row }, feeds: hit.feeds }
        if (feed.covers(feeds) && feed.holds(hit.feeds, generation, name(key))) {
          near.fill(scope, key, row, hit.feeds, drops)
          return { loaded: { row }, feeds }
        }
        return asOf !== undefined && satisfies(floor, asOf) ? { loaded: { row, asOf }, feeds: undefined } : undefined
      })
    }
    const loader = batched<Found>(async (asked) => {
      const drops = feed.drops()
      const found: (Found | undefined)[] = redis ? await fromRedis(redis, asked, drops) : asked.map(() => undefined)
      const missing = asked.filter((_, i) => !found[i])
      if (missing.length === 0) return found as Found[]
      const { rows, feeds } = await select(whole, missing)
      const read = new Map(
        missing.map((one, i): [Asked, Found] => {
          const row = rows[i]
          if (near.wanted(scope, one.key)) {
            near.fill(scope, one.key, row ?? null, feeds, drops)
            if (row && one.asOf !== null) redis?.fill(shared, row, one.asOf, feeds)
          }
          return [one, { loaded: row && { row }, feeds }]
        }),
      )
      return asked.map((one, i) => found[i] ?? read.get(one)!)
    })

    const flights = new Map<string, Promise<Found>>()
    const flight = (asked: Asked, id: string): Promise<Found> => {
      const begun = loader.load(asked).finally(() => {
        if (flights.get(id) === begun) flights.delete(id)
      })
      flights.set(id, begun)
      return begun
    }
    return async (asked, direct) => {
      const { key, feeds } = asked
      if (feeds === undefined) return direct.load(asked)
      const kept = near.get(scope, key, feeds)
      if (kept !== undefined) return kept ? { row: kept } : undefined
      if (!redis && !(feed.follows() && near.wanted(scope, key))) return direct.load(asked)
      const id = JSON.stringify(key)
      const under = await flights.get(id)?.catch(() => undefined)
      if (under?.feeds && reaches(under.feeds, feeds)) return under.loaded
      return (await flight(asked, id)).loaded
    }
  }

  /** One for all that ask for whole rows of a generation and tenant, whichever fields they show. */
  const known = new LRUCache<string, KeptLoad>({ max: maxLoaders })
  return (from: Loadable, about: Basis, reading: Reading): KeptLoad => {
    const signature = JSON.stringify([from.generation, from.basis.table.hash, about, reading.tenant])
    const found = known.get(signature) ?? open(from, about, reading)
    known.set(signature, found)
    return found
  }
}
