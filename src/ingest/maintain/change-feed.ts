/**
 * The change feed as its owner writes it: a counter in Postgres that moves in the very transaction that changes rows, so that a reader's
 * snapshot says by itself how much of the feed is in what it sees (C30).
 *
 * One feed a session that owns shards: a new owner, a lost connection and a restarted Postgres each open another, and whoever follows
 * drops what it kept when the feeds are others (C31). Rounds of one owner come one after another, so a feed's order is that of its commits.
 *
 * Without Redis the rows are told by NOTIFY in the same transaction: Postgres sends it when that commits. Such a commit need not wait for the
 * disk: who could have been told of one that a crash takes back has lost its connection, and with it all that it kept.
 */
import { type ChangeGroup, partsOf } from '../../platform/change-message.ts'
import { type KeyHash, readKeyHash } from '../../platform/key-hash.ts'
import type { Tx } from '../apply/fence.ts'
import type { ChangedRow } from './work-generation.ts'

/** What one transaction changed. `feeds`: JSON, how far each feed was in its snapshot. */
export type Announced = {
  readonly feed: string
  readonly sequence: number
  readonly feeds: string
  readonly changed: readonly ChangedRow[]
}
/** NOTIFY: rows are told by Postgres. LATER: by who is given what was announced, after the commit. */
export type FeedTransport = 'NOTIFY' | 'LATER'
export type Announce = {
  /** To be awaited once in a transaction, before anything is pipelined beside `rows`. */
  ready(tx: Tx): Promise<unknown>
  /** Undefined: nothing changed. */
  rows(tx: Tx, changed: readonly ChangedRow[]): Promise<Announced | undefined>
}

/** A transaction that changes more rows of a generation doesn't name them. */
const mostNamed = 2_000

/** One statement moves the counter, says how far all feeds are, and tells the rows. */
const announceSql = `with moved as (
  update forebay.change_feeds set sequence = sequence + 1 where feed = current_setting('forebay.feed', true) returning feed, sequence)
select feed, sequence::float8 as sequence,
  (select json_object_agg(f.feed, case when f.feed = m.feed then m.sequence else f.sequence end) from forebay.change_feeds f)::text as feeds,
  (select count(pg_notify('forebay_changes', concat_ws(' ', m.feed, m.sequence, part))) from unnest($1::text[]) part) as told
from moved m`

export const createAnnounce = (transport: FeedTransport): Announce => {
  let known: KeyHash | undefined
  return {
    ready: async (tx) => {
      if (transport === 'NOTIFY') known ??= await readKeyHash(tx)
    },
    rows: async (tx, changed) => {
      if (changed.length === 0) return undefined
      const parts = known === undefined ? [] : partsOf(groupsOf(changed, known))
      const [row] = await tx.unsafe<{ feed: string; sequence: number; feeds: string }[]>(
        announceSql,
        [parts as string[]],
        { prepare: true },
      )
      // Rows that nobody can be told of must not be changed: the round is tried again, with a feed.
      if (row === undefined) throw new Error('this session has no change feed')
      return { feed: row.feed, sequence: row.sequence, feeds: row.feeds, changed }
    },
  }
}

/** By generation and tenant. */
export const groupsOf = (changed: readonly ChangedRow[], { tenant, row }: KeyHash): readonly ChangeGroup[] =>
  [...Map.groupBy(changed, ({ generation }) => generation)].flatMap(([{ generation, table }, rows]): ChangeGroup[] => {
    const named = { view: table.view, generation, hash: table.hash }
    if (rows.length > mostNamed) return [named]
    return [...Map.groupBy(rows, (one) => one.tenant)].map(([of, some]) => ({
      ...named,
      rows: { tenant: tenant(of), keys: some.map(({ key }) => row(table.hash, of, key)) },
    }))
  })
