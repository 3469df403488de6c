/**
 * Tables of one Postgres, followed by one replication slot: every change, deletes too, in the order of commits.
 *
 * What makes it exact: the slot's place and the records up to it move in one transaction of the journal; the source is told to forget only what
 * is behind that; a transaction too large for one append is gone on with in its middle. An idle source's log is let go as well, since its
 * keepalives move the place.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { TableSource } from '../../model/model.ts'
import { connect, type Sql } from '../../platform/postgres.ts'
import type { Feed, FeedJournal, FeedRecord } from '../feed.ts'
import { committedOnDisk } from './on-disk.ts'
import { describeTable, typesOf } from './postgres-table.ts'
import { openReplication, type Replication } from './replication.ts'
import { type Watch, watchRetained } from './retained.ts'
import {
  createSlot,
  ensurePublication,
  type History,
  judgePublished,
  judgeServer,
  judgeSlot,
  judgeTable,
  type Published,
  published,
  slotExists,
  slotName,
} from './slot.ts'
import { readSnapshot } from './snapshot.ts'
import { type Followed, type Place, readTransactions } from './transactions.ts'

/**
 * MAKING: a slot of that name is ours to throw away. `lsn`, `at`, `inside`: a Place. `read`: topics whose snapshot is complete. `again`: those
 * of them that are to be read anew.
 */
export type SlotCursor = History & {
  readonly slot: 'MAKING' | 'MADE'
  readonly lsn: string
  readonly at?: string
  readonly inside?: number
  readonly read: readonly string[]
  readonly again?: readonly string[]
}
/** What makes the next run begin with a new slot and a new snapshot of everything. */
export const anew: SlotCursor = { system: '', timeline: 0, slot: 'MAKING', lsn: '0', read: [] }

export type SlotFeedOptions = {
  readonly url: string
  readonly connection: string
  /** One of those that are read by it, for what is said to operators. */
  readonly entity: string
  readonly tables: readonly { readonly topic: string; readonly table: TableSource }[]
  /** Bytes of log that the source may keep for the slot before that is an alert. */
  readonly slotRetained: number
}

/** In one append at most, past its first record. */
const batchRecords = 2_000
const batchBytes = 4 * 1024 * 1024
/** How often an idle source's place is written down. */
const idleMs = 10_000

export const slotFeed = (options: SlotFeedOptions): Feed => {
  let running: { readonly source: Sql; readonly work: Work; readonly onDisk: () => Promise<bigint> } | undefined
  return {
    name: options.connection,
    topics: options.tables.map(({ topic }) => topic),
    basis: 'SOURCE',
    async bound() {
      if (running === undefined) throw new Error('the feed is not streaming')
      const { source, work, onDisk } = running
      const lsn = await onDisk()
      work.expect(await published(source, slotName(options.connection)))
      await work.reached(lsn)
      return { topics: work.complete(), lsn }
    },
    async run(journal) {
      const source = connect(options.url, { max: 2, name: `feed ${options.connection}` })
      let watch: Watch | undefined
      try {
        const { followed, cursor } = await begin(source, options, journal)
        watch = watchRetained(source, options)
        const work = await startWork(source, options, followed, journal, cursor)
        running = { source, work, onDisk: committedOnDisk(source) }
        await work.done
      } finally {
        running = undefined
        // Not waited for: the source may not answer.
        void watch?.stop()
        await source.end({ timeout: 1 })
      }
    },
  }
}

const begin = async (source: Sql, options: SlotFeedOptions, journal: FeedJournal) => {
  const { tables } = options
  const name = slotName(options.connection)
  const now = await judgeServer(source)
  judgePublished(name, await published(source, name))
  const followed: Followed[] = []
  for (const { topic, table } of tables) {
    const described = await describeTable(source, table, { generated: false })
    judgeTable(described)
    followed.push({ topic, table: described })
  }
  const before = journal.cursor as SlotCursor | null
  const described = followed.map(({ table }) => table)
  if (before?.slot === 'MADE') {
    await judgeSlot(source, { ...options, now, read: { ...before, lsn: BigInt(before.lsn) } })
    const added = await ensurePublication(source, options, described, true)
    const read = followed.filter(({ topic, table }) => before.read.includes(topic) && !added.includes(table))
    return { followed, cursor: { ...before, ...now, read: read.map(({ topic }) => topic) } }
  }
  if (before === null && (await slotExists(source, name)))
    throw new Error(
      `the source has a slot ${name} that this database knows nothing of: another Forebay reads it, or an earlier one did. If none does, drop it there with: select pg_drop_replication_slot('${name}')`,
    )
  await ensurePublication(source, options, described, false)
  await journal.append([], { ...anew, ...now })
  const lsn = await createSlot(source, name)
  const cursor: SlotCursor = { ...now, slot: 'MADE', lsn: String(lsn), read: [] }
  await journal.append([], cursor)
  return { followed, cursor }
}

type Work = {
  /** Ends with `stop`; rejects when anything fails. */
  readonly done: Promise<void>
  /** Topics whose snapshot is in the journal. */
  complete(): readonly string[]
  /** Resolves once all that committed before this is in the journal. */
  reached(lsn: bigint): Promise<void>
  /** What the publication holds now. */
  expect(now: Published): void
}

const placeOf = ({ lsn, at, inside }: SlotCursor): Place => ({
  lsn: BigInt(lsn),
  ...(at === undefined ? {} : { at: BigInt(at) }),
  ...(inside === undefined ? {} : { inside }),
})
const movedTo = ({ at: _, inside: __, ...cursor }: SlotCursor, { lsn, at, inside }: Place): SlotCursor => ({
  ...cursor,
  lsn: String(lsn),
  ...(at === undefined ? {} : { at: String(at) }),
  ...(inside === undefined ? {} : { inside }),
})

const readWhole = ({ again = [], ...cursor }: SlotCursor, topic: string): SlotCursor => {
  const left = again.filter((one) => one !== topic)
  return { ...cursor, read: [...new Set([...cursor.read, topic])], ...(left.length > 0 ? { again: left } : {}) }
}

const startWork = async (
  source: Sql,
  { url, connection }: SlotFeedOptions,
  followed: readonly Followed[],
  journal: FeedJournal,
  from: SlotCursor,
): Promise<Work> => {
  const name = slotName(connection)
  let cursor = from
  let passed = placeOf(cursor).lsn
  let moved = Promise.withResolvers<void>()
  const over = Promise.withResolvers<never>()
  over.promise.catch(() => {})
  const replication = await openReplication(url, `feed ${connection}`, { slot: name, publication: name, from: passed })
  const transactions = readTransactions({
    connection,
    followed,
    from: placeOf(cursor),
    types: (oids) => typesOf(source, oids),
  })

  // Stream and snapshot share the cursor: one append at a time, each from what the last one left.
  let writing: Promise<unknown> = Promise.resolve()
  const write = (records: readonly FeedRecord[], move: (cursor: SlotCursor) => SlotCursor): Promise<void> => {
    const next = writing.then(async () => {
      const to = move(cursor)
      await journal.append(records, to)
      cursor = to
    })
    writing = next
    return next
  }

  let ended = false
  let written = performance.now()
  const flush = async (records: readonly FeedRecord[], asked = false): Promise<void> => {
    const place = transactions.place()
    const due = asked || performance.now() - written > idleMs
    const worthIt = records.length > 0 || (due && place.lsn > BigInt(cursor.lsn))
    if (worthIt) {
      await write(records, (current) => movedTo(current, place))
      replication.confirm(place.lsn)
      written = performance.now()
    }
    passed = place.lsn
    moved.resolve()
    moved = Promise.withResolvers()
  }

  const follow = async (): Promise<void> => {
    while (!journal.stop.aborted) {
      let records: FeedRecord[] = []
      let bytes = 0
      let asked = false
      for (const sent of await nextOf(replication, journal.stop)) {
        if (sent.kind === 'idle') {
          transactions.passed(sent.lsn)
          asked ||= sent.asks
          continue
        }
        const more = await transactions.read(sent.bytes, sent.lsn)
        records.push(...more)
        bytes += sent.bytes.length
        if (records.length < batchRecords && bytes < batchBytes) continue
        await flush(records)
        records = []
        bytes = 0
      }
      await flush(records, asked)
    }
  }
  const snapshot = async (): Promise<void> => {
    const pending = followed.filter(({ topic }) => !cursor.read.includes(topic) || cursor.again?.includes(topic))
    if (pending.length === 0) return
    for await (const { topic, records, last } of readSnapshot({ url, connection, slot: name }, pending)) {
      if (journal.stop.aborted) return
      await write(records, (current) => (last ? readWhole(current, topic) : current))
    }
  }
  const both = Promise.all([follow(), snapshot()])
  const done = Promise.race([both, over.promise])
    .then(() => {})
    .finally(() => {
      ended = true
      return replication.close()
    })
  done.catch(() => {})

  return {
    done,
    complete: () => cursor.read,
    async reached(lsn) {
      while (passed < lsn) {
        if (ended) throw new Error('the feed has stopped')
        replication.ask()
        await Promise.race([moved.promise, sleep(50), done])
      }
    },
    expect(now) {
      try {
        judgePublished(name, now)
      } catch (error) {
        over.reject(error)
      }
      const { tables } = now
      const gone = followed.find(({ table }) => !tables.has(`${table.schema}.${table.name}`))
      // Dropped and made anew, or taken out by hand: what follows has to begin with a new snapshot of it.
      if (gone)
        over.reject(
          new Error(`the source's table ${gone.table.schema}.${gone.table.name} has left the publication ${name}`),
        )
    },
  }
}

const nextOf = async (replication: Replication, stop: AbortSignal) => {
  const stopped = Promise.withResolvers<readonly never[]>()
  const end = (): void => stopped.resolve([])
  stop.addEventListener('abort', end, { once: true })
  try {
    return await Promise.race([replication.next(), stopped.promise])
  } finally {
    stop.removeEventListener('abort', end)
  }
}
