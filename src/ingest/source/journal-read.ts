/** The journal read once more, beside its live reading. */
import type { Sql } from '../../platform/postgres.ts'
import type { Position } from '../change.ts'
import { type Batch, Gone, partitionName, type Range } from '../source.ts'

/** One batch of each partition that has more, as live reading takes them. */
type ReadBatches = (positions: readonly Position[]) => Promise<readonly Batch[]>

export async function* rereadJournal(
  read: ReadBatches,
  ranges: readonly Range[],
  signal: AbortSignal,
): AsyncGenerator<Batch> {
  let open = ranges.filter(({ from, until }) => from < until)
  while (open.length > 0 && !signal.aborted) {
    const batches = await read(open.map(({ topic, partition, from }) => ({ topic, partition, offset: from })))
    const found = new Map(batches.map((batch) => [partitionName(batch), batch]))
    const next: Range[] = []
    for (const range of open) {
      const { from, until } = range
      const batch = found.get(partitionName(range))
      if (batch?.from !== from) throw new Gone(`the journal of ${partitionName(range)} has no record at ${from}`)
      const last = batch.to >= until
      const to = last ? until : batch.to
      yield { ...batch, to, records: batch.records.filter(({ offset }) => offset < to) }
      if (!last) next.push({ ...range, from: to })
    }
    open = next
  }
}

/** `at` is when the appending transaction began, so it may go back a little from one record to the next. */
export const journalOffsetsAt = async (sql: Sql, topic: string, at: number): Promise<readonly Position[]> => {
  const rows = await sql<{ partition: number; offset: string }[]>`
    select e.partition, coalesce(first."offset", e.next_offset) as "offset"
    from forebay.journal_ends e left join lateral (
      select j."offset" from forebay.journal j
      where j.topic = e.topic and j.partition = e.partition and j.at >= to_timestamp(${at}::float8 / 1000)
      order by j."offset" limit 1) first on true
    where e.topic = ${topic} order by e.partition`
  return rows.map(({ partition, offset }) => ({ topic, partition, offset: BigInt(offset) }))
}
