/**
 * The built-in log: partitioned and append-only, in Postgres. An append locks its partitions' ends until it commits, so that
 * offsets become visible in order and without gaps: a reader that has seen an end has seen everything before it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { log } from '../../platform/log.ts'
import type { Sql, TransactionSql } from '../../platform/postgres.ts'
import type { LogRecord, Position } from '../change.ts'
import { type Batch, type Extent, type LogSource, partitionName, type Sink } from '../source.ts'
import { journalOffsetsAt, rereadJournal } from './journal-read.ts'
import { columnsOf, outsideLog } from './positions.ts'

export type JournalRecord = {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers?: Readonly<Record<string, string>>
}

const channel = 'forebay_journal'
const retryMs = 1_000
const journalPartitions = 4
/** What is read once more is applied beside live work, so in small transactions. */
const rereadRecords = 500
const rereadBytes = 1024 * 1024

/** Makes the partitions of topics that have none yet. */
export const createTopics = async (
  sql: Sql | TransactionSql,
  topics: readonly string[],
  partitions = journalPartitions,
): Promise<void> => {
  await sql`
    insert into forebay.journal_ends (topic, partition)
    select asked.topic, partition
    from unnest(${[...topics]}::text[]) as asked (topic) cross join generate_series(0, ${partitions - 1}) as partition
    where not exists (select from forebay.journal_ends known where known.topic = asked.topic)
    order by 1, 2
    on conflict do nothing`
}

/**
 * Appends within the caller's transaction, each record to the partition of its key (without a key: any), and answers with their
 * positions, in the records' order. Readers see them when it commits. Who appends to several topics takes them in one order.
 */
export const append = async (
  tx: TransactionSql,
  topic: string,
  records: readonly JournalRecord[],
): Promise<readonly Position[]> => {
  if (records.length === 0) return []
  const ends = await lockEnds(tx, topic)
  const next = new Map(ends.map((end) => [end.partition, BigInt(end.next)]))
  const placed = records.map((record) => {
    const partition = ends[partitionOf(record.key, ends.length)]!.partition
    const offset = next.get(partition)!
    next.set(partition, offset + 1n)
    return { record, position: { topic, partition, offset } }
  })
  const rows = placed.map(({ record: { key, value, headers = {} }, position: { partition, offset } }) => ({
    partition,
    offset: String(offset),
    key: key?.toString('base64') ?? null,
    value: value?.toString('base64') ?? null,
    headers,
  }))
  const moved = [...next]
  await Promise.all([
    tx`
      insert into forebay.journal (topic, partition, "offset", key, value, headers)
      select ${topic}, r.partition, r."offset", decode(r.key, 'base64'), decode(r.value, 'base64'), r.headers
      from json_to_recordset(${JSON.stringify(rows)}::text::json)
        as r (partition int, "offset" bigint, key text, value text, headers jsonb)`,
    tx`
      update forebay.journal_ends e set next_offset = m.next
      from unnest(${moved.map(([partition]) => partition)}::int[], ${moved.map(([, offset]) => String(offset))}::bigint[])
        as m (partition, next)
      where e.topic = ${topic} and e.partition = m.partition and e.next_offset <> m.next`,
    tx`select pg_notify(${channel}, '')`,
  ])
  return placed.map(({ position }) => position)
}

type End = { readonly partition: number; readonly next: string }
const lockEnds = async (tx: TransactionSql, topic: string): Promise<readonly End[]> => {
  const lock = () => tx<End[]>`
    select partition, next_offset as next from forebay.journal_ends where topic = ${topic} order by partition for update`
  const ends = await lock()
  if (ends.length > 0) return ends
  await createTopics(tx, [topic])
  return lock()
}

let turn = 0
/** FNV-1a over the key, so that a key's records stay in order. */
export const partitionOf = (key: Buffer | null, partitions: number): number => {
  if (key === null) return turn++ % partitions
  let hash = 0x811c9dc5
  for (const byte of key) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  return hash % partitions
}

export type JournalOptions = {
  readonly sql: Sql
  readonly topics: readonly string[]
  /** A notification wakes the reader; this is how long it sleeps where one was lost. */
  readonly pollMs?: number
  readonly batchRecords?: number
  readonly batchBytes?: number
}

/** From where each partition of these topics is kept, and its end. */
export const journalExtents = async (sql: Sql, topics: readonly string[]): Promise<readonly Extent[]> => {
  const rows = await sql<{ topic: string; partition: number; start: string; end: string }[]>`
    select topic, partition, start_offset as start, next_offset as end
    from forebay.journal_ends where topic = any (${[...topics]}) order by 1, 2`
  return rows.map(({ start, end, ...at }) => ({ ...at, start: BigInt(start), end: BigInt(end) }))
}

/** Reads every partition of its topics. Several processes may: the compare-and-set on positions keeps that right, if wasteful. */
export const journalSource = ({
  sql,
  topics,
  pollMs = 200,
  batchRecords = 2_000,
  batchBytes = 4 * 1024 * 1024,
}: JournalOptions): LogSource => {
  const next = new Map<string, Position>()
  /** Delivered and not yet taken: the others go on meanwhile. */
  const busy = new Set<string>()
  const stopped = new AbortController()
  const { signal } = stopped
  /** Replaced at each round, so that nothing gathers on it. */
  let wake = Promise.withResolvers<void>()
  let running: Promise<void> | undefined
  let listening: Promise<{ unlisten(): Promise<void> }> | undefined

  const pause = (ms: number) => sleep(ms, undefined, { signal }).catch(() => {})
  const extents = () => journalExtents(sql, topics)

  const begin = async (sink: Sink): Promise<void> => {
    await createTopics(sql, topics)
    const positions = await sink.assigned(await extents())
    // Asked after the positions were read, so an end before one of them is none that appends have passed since.
    const known = new Map((await extents()).map((extent) => [partitionName(extent), extent]))
    next.clear()
    for (const { topic, partition, offset } of positions) {
      const position = { topic, partition, offset }
      const name = partitionName(position)
      const extent = known.get(name)
      const outside = extent && outsideLog(position.offset, extent)
      if (outside === undefined) next.set(name, position)
      else await sink.stuck(position, outside)
    }
  }

  const pass = async (batch: Batch, sink: Sink): Promise<void> => {
    const name = partitionName(batch)
    const start = next.get(name)
    if (start?.offset !== batch.from) return
    busy.add(name)
    try {
      await sink.deliver(batch)
      // Rewound meanwhile: another object stands there, and it says where to go on.
      if (next.get(name) === start) next.set(name, { ...start, offset: batch.to })
    } catch (error) {
      if (!signal.aborted) log.warn('journal.batch.refused', { partition: name, error })
      await pause(retryMs)
    } finally {
      busy.delete(name)
      wake.resolve()
    }
  }

  /** False when there was nothing to read, or only of partitions that are busy. */
  const round = async (sink: Sink): Promise<boolean> => {
    const free = [...next.values()].filter((position) => !busy.has(partitionName(position)))
    const batches = await readBatches(sql, free, batchRecords, batchBytes)
    for (const batch of batches) void pass(batch, sink)
    return batches.length > 0
  }

  const run = async (sink: Sink): Promise<void> => {
    let begun = false
    while (!signal.aborted) {
      try {
        if (!begun) await begin(sink)
        begun = true
        wake = Promise.withResolvers()
        if (await round(sink)) continue
        await within(wake.promise, pollMs)
      } catch (error) {
        if (signal.aborted) return
        log.warn('journal not read', { error })
        await pause(retryMs)
      }
    }
  }

  return {
    kind: 'journal',
    extents,
    offsetsAt: (topic, at) => journalOffsetsAt(sql, topic, at),
    reread: (ranges, signal) =>
      rereadJournal((positions) => readBatches(sql, positions, rereadRecords, rereadBytes), ranges, signal),
    status: () => undefined,
    async start(sink) {
      listening = sql.listen(channel, () => wake.resolve())
      listening.catch((error: unknown) => log.warn('journal not listened to, polling instead', { error }))
      running = run(sink)
    },
    rewind(positions) {
      for (const position of positions) {
        next.set(partitionName(position), { ...position })
      }
      wake.resolve()
    },
    async stop() {
      stopped.abort()
      wake.resolve()
      await running
      await (await listening?.catch(() => undefined))?.unlisten().catch(() => {})
    },
  }
}

type Row = {
  readonly topic: string
  readonly partition: number
  readonly offset: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Record<string, string> | null
  readonly timestamp: number
}

/** One batch a partition that has more, each bounded in records and, past its first record, in bytes. */
const readBatches = async (
  sql: Sql,
  positions: readonly Position[],
  records: number,
  bytes: number,
): Promise<readonly Batch[]> => {
  if (positions.length === 0) return []
  const { topics, partitions } = columnsOf(positions)
  const rows = await sql<Row[]>`
    select p.topic, p.partition, r."offset", r.key, r.value, r.headers, r.timestamp
    from unnest(${topics}::text[], ${partitions}::int[], ${positions.map(({ offset }) => String(offset))}::bigint[])
      as p (topic, partition, next)
    join forebay.journal_ends e on e.topic = p.topic and e.partition = p.partition and e.next_offset > p.next and e.start_offset <= p.next
    cross join lateral (
      select j."offset", j.key, j.value, j.headers, (extract(epoch from j.at) * 1000)::float8 as timestamp,
        sum(octet_length(j.value)) over (order by j."offset" rows between unbounded preceding and 1 preceding) as before
      from forebay.journal j
      where j.topic = p.topic and j.partition = p.partition and j."offset" >= p.next
      order by j."offset" limit ${records}
    ) r
    where coalesce(r.before, 0) < ${bytes}
    order by p.topic, p.partition, r."offset"`
  const batches = Map.groupBy(rows.map(recordOf), partitionName).values()
  return [...batches].map((found) => {
    const { topic, partition, offset } = found[0]!
    return { topic, partition, from: offset, to: found.at(-1)!.offset + 1n, records: found }
  })
}

const recordOf = ({ headers, offset, ...row }: Row): LogRecord => ({
  ...row,
  offset: BigInt(offset),
  headers: headers ?? {},
})

const within = async (promise: Promise<void>, ms: number): Promise<void> => {
  const { promise: late, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  await Promise.race([promise, late])
  clearTimeout(timer)
}
