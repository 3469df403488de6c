/**
 * Replay: reads a stretch of a log once more, beside live work, and writes what it means now. The same decoding and the same entity
 * statement as live, so the same guard: an older record changes nothing, a row is written anew only by the very record it stands on,
 * and only where that comes to other content than is stored. Replaying any stretch, at any time, any number of times, with the
 * same schema folder changes nothing at all; after a column was added or a decoder mended, it fills in what the log still holds.
 */
import type { Model } from '../../model/model.ts'
import { log } from '../../platform/log.ts'
import type { Sql } from '../../platform/postgres.ts'
import type { Applied, ApplyResult } from '../apply/apply.ts'
import { persist } from '../apply/persist.ts'
import { isHeld } from '../apply/quarantine.ts'
import { type Item, itemOf, type Stretch } from '../apply/stretch.ts'
import type { BadRecord } from '../change.ts'
import type { Decoder } from '../decode.ts'
import type { Catalog } from '../generations.ts'
import { decodeReady } from '../pump/block.ts'
import type { SchemaStore } from '../registry/schemas.ts'
import { type Batch, type LogSource, partitionName } from '../source.ts'
import { replayApplier } from './apply.ts'
import { type EpochOf, readEpochs } from './epochs.ts'
import { type Job, rangesLeft, storeRanges } from './job.ts'
import type { Pace } from './pace.ts'
import { prepareJob, Refused } from './prepare.ts'
import { type Say, startTally, type Tally } from './tally.ts'

export type RunOptions = {
  /** A pool of one connection, which holds the job's lock. */
  readonly sql: Sql
  readonly model: Model
  readonly catalog: Catalog
  readonly decoder: Decoder
  readonly schemas: Pick<SchemaStore, 'fetch'>
  readonly source: Pick<LogSource, 'extents' | 'offsetsAt' | 'reread'>
  readonly applied: (result: Applied) => void
  /** Ends it between two batches. */
  readonly signal: AbortSignal
}
/** `ended`: all is replayed. `left`: stopped, cancelled, or taken over by another process. */
export type RunResult = 'ended' | 'left'

/** Records in one transaction at most: rows are locked no longer than live would notice. */
const sliceRecords = 500

/** Throws Refused where it can't go on, `Gone` where the log doesn't have its records, and what may be tried again. */
export const runJob = async (job: Job, options: RunOptions, paceOf: (say: Say) => Pace): Promise<RunResult> => {
  const { sql, source } = options
  if (!options.model.entities.has(job.entity))
    throw new Refused(`the schema folder has no entity ${job.entity} any more`)
  let ranges = await rangesLeft(sql, job)
  if (ranges === undefined) {
    await storeRanges(sql, job, await prepareJob(sql, source, job))
    ranges = (await rangesLeft(sql, job)) ?? []
  }
  const tally = startTally(sql, job)
  const pace = paceOf(tally.say)
  const store = storing(job, options, await readEpochs(sql, job.topic), tally)
  try {
    for await (const batch of source.reread(ranges, options.signal)) {
      for (const slice of slices(batch)) {
        await pace.turn()
        if (options.signal.aborted) return 'left'
        if ((await store(slice)) !== undefined) return await whyLost(sql, job)
        await tally.write(false)
      }
    }
    return options.signal.aborted ? 'left' : 'ended'
  } finally {
    // What failed may pass at once, as a deadlock does.
    await tally.write(true).catch(() => tally.write(true))
  }
}

function* slices(batch: Batch): Generator<Batch> {
  let { from } = batch
  for (let at = 0; at + sliceRecords < batch.records.length; at += sliceRecords) {
    const to = batch.records[at + sliceRecords]!.offset
    yield { ...batch, from, to, records: batch.records.slice(at, at + sliceRecords) }
    from = to
  }
  yield { ...batch, from, records: batch.records.filter(({ offset }) => offset >= from) }
}

const storing = (job: Job, options: RunOptions, epochOf: EpochOf, tally: Tally) => {
  const { sql, model, catalog, decoder, schemas } = options
  const passedOver = (bad: readonly BadRecord[]): void => {
    tally.add({ unreadable: bad.length })
    for (const { record, reason } of bad.slice(0, 1))
      log.warn('replay.unreadable', { at: `${partitionName(record)}-${record.offset}`, entity: job.entity, reason })
  }
  const applier = replayApplier({ sql, model, catalog, id: job.id, passedOver })
  return async ({ topic, partition, from, to, records }: Batch): Promise<ApplyResult | undefined> => {
    const { settled, held } = await quarantined(sql, job.entity, { topic, partition, from, to })
    const items: Item[] = []
    for (const record of records) {
      if (settled.has(record.offset)) continue
      const decoded = await decodeReady(decoder, schemas, record, epochOf(partition, record.offset))
      items.push(only(job.entity, itemOf(record, decoded)))
    }
    const stretch: Stretch = { topic, partition, from, to, epoch: epochOf(partition, from), items }
    const interrupted = await persist(applier, [stretch], (result) => {
      tally.add({ added: result.rows - result.refreshed, refreshed: result.refreshed, parked: result.parked })
      options.applied(result)
    })
    if (interrupted === undefined) {
      const partial = items.filter(({ changes }) => changes.some(({ absent }) => absent.length > 0)).length
      tally.add({ records: records.length, offsets: Number(to - from), partial, parked: held })
    }
    return interrupted
  }
}

/** What a record means for this entity. Not live: what was in order when it came doesn't say now that a source went back (C14). */
const only = (entity: string, item: Item): Item => ({
  record: item.record,
  changes: item.changes.filter((change) => change.entity === entity).map((change) => ({ ...change, live: false })),
  sets: item.sets
    .filter((set) => set.entity === entity)
    .map((set) => ({ ...set, rows: set.rows.map((row) => ({ ...row, live: false })) })),
  // A truncate that live has applied is a floor by now.
  truncates: [],
  dropped: item.dropped.filter((dropped) => dropped.entity === entity),
  bad: item.bad.filter((bad) => bad.entity === entity),
})

/** Records that are or were in quarantine: what is to become of them is redrive's to say, or was said by whoever dropped them. */
const quarantined = async (
  sql: Sql,
  entity: string,
  { topic, partition, from, to }: Omit<Batch, 'records'>,
): Promise<{ readonly settled: ReadonlySet<bigint>; readonly held: number }> => {
  const rows = await sql<{ offset: string; held: boolean }[]>`
    select "offset", ${sql.unsafe(isHeld)} as held from forebay.quarantine
    where topic = ${topic} and partition = ${partition} and "offset" >= ${String(from)} and "offset" < ${String(to)}
      and entity = ${entity} and state <> 'REDRIVEN'`
  return { settled: new Set(rows.map(({ offset }) => BigInt(offset))), held: rows.filter(({ held }) => held).length }
}

const whyLost = async (sql: Sql, { id, topic }: Job): Promise<RunResult> => {
  const [row] = await sql<{ state: string; newer: string | null }[]>`
    select state, (
      select min(${topic} || '-' || p.partition) from forebay.positions p join forebay.replay_positions r using (partition)
      where p.topic = ${topic} and r.replay = ${id} and p.epoch <> r.epoch) as newer
    from forebay.replays where id = ${id}`
  if (row?.state === 'RUNNING' && row.newer !== null)
    throw new Refused(`a new epoch of ${row.newer} has begun meanwhile: replay again if need be`)
  return 'left'
}
