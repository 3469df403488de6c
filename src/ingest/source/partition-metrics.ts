/**
 * How far each partition is, at /metrics. Read from forebay.positions, so it is what is committed, whoever has applied it; told by the process
 * that reads the partition and by no other, so that one that moves leaves nothing behind. Ages grow while Postgres is away.
 */
import type { DatabaseClock } from '../../platform/clock.ts'
import { gauge } from '../../platform/metrics.ts'
import type { Sql } from '../../platform/postgres.ts'
import type { Partition } from '../source.ts'
import { type Steady, steadily } from '../steadily.ts'
import { columnsOf } from './positions.ts'

const labels = ['topic', 'partition'] as const
const lag = gauge({
  name: 'forebay_partition_lag_records',
  help: 'Offsets between the end of the log, as last asked for, and what is applied.',
  labels,
})
const position = gauge({ name: 'forebay_partition_position', help: 'The next offset to be applied.', labels })
const freshness = gauge({
  name: 'forebay_partition_freshness_seconds',
  help: 'Age of the frontier: all that the log held then is applied. +Inf: there is none yet.',
  labels,
})
const sourceFreshness = gauge({
  name: 'forebay_partition_source_freshness_seconds',
  help: 'As forebay_partition_freshness_seconds, of what the source had committed. Only where it can be asked.',
  labels,
})
const all = [lag, position, freshness, sourceFreshness]

/** Times are milliseconds since 1970 by the primary's clock. */
type Row = Partition & {
  readonly next: number
  readonly end: number | null
  readonly frontier: number | null
  readonly source: number | null
}

const everyMs = 1_000

export const watchPartitions = ({
  sql,
  clock,
  assigned,
}: {
  readonly sql: Sql
  readonly clock: Pick<DatabaseClock, 'upper'>
  readonly assigned: () => readonly Partition[]
}): Steady => {
  let rows: readonly Row[] = []
  const loop = steadily('partition-metrics', everyMs, async () => {
    try {
      rows = await readRows(sql, assigned())
    } finally {
      tell(rows, clock.upper())
    }
  })
  return {
    async stop() {
      await loop.stop()
      for (const one of all) one.reset()
    },
  }
}

const readRows = async (sql: Sql, of: readonly Partition[]): Promise<readonly Row[]> => {
  if (of.length === 0) return []
  const { topics, partitions } = columnsOf(of)
  return sql<Row[]>`
    select topic, partition, next_offset::float8 as next, observed_end::float8 as end,
      extract(epoch from frontier)::float8 * 1000 as frontier, extract(epoch from source_frontier)::float8 * 1000 as source
    from forebay.positions join unnest(${topics}::text[], ${partitions}::int[]) as asked (topic, partition) using (topic, partition)
    order by topic, partition`
}

const tell = (rows: readonly Row[], now: number): void => {
  for (const one of all) one.reset()
  for (const { topic, partition, next, end, frontier, source } of rows) {
    const at = { topic, partition: String(partition) }
    position.set(at, next)
    if (end !== null) lag.set(at, Math.max(0, end - next))
    freshness.set(at, frontier === null ? Number.POSITIVE_INFINITY : Math.max(0, now - frontier) / 1_000)
    if (source !== null) sourceFreshness.set(at, Math.max(0, now - source) / 1_000)
  }
}
