/**
 * C16. Where partitions are added to a topic, a key's changes may go on in another partition than they began in, while the old one
 * is still behind. So the change starts an epoch of the topic's partitions: at the ends seen when it was discovered each of them waits
 * until all have been applied so far, and goes on in the next epoch, which versions of sources without an order of their own begin with.
 *
 * `waits_for` of a position: `{ at, epoch, ends }`, where it waits, the epoch that begins there, and the ends of all. Without `ends`: a
 * partition that was added while others of its topic still wait, so for the change after that.
 */
import { log as logger } from '../../platform/log.ts'
import type { Sql, TransactionSql } from '../../platform/postgres.ts'
import { locks } from '../locks.ts'
import type { Extent } from '../source.ts'

type Row = { readonly topic: string; readonly partition: number; readonly waits: boolean; readonly judged: boolean }

/**
 * Gives every partition of the log its position: at once in a topic that was never read, else after the partitions that were. And lets
 * go on what has waited long enough.
 */
export const admitPartitions = async (sql: Sql, log: readonly Extent[]): Promise<void> => {
  const topics = [...new Set(log.map(({ topic }) => topic))]
  const rows = await sql<Row[]>`
    select topic, partition, waits_for is not null as waits, waits_for ? 'ends' as judged
    from forebay.positions where topic = any (${topics})`
  const known = new Map(rows.map((row) => [`${row.topic}-${row.partition}`, row]))
  const added = log.filter(({ topic, partition }) => !known.has(`${topic}-${partition}`))
  if (rows.some(({ waits }) => waits)) await release(sql, topics)
  const left = new Set([...added, ...rows.filter(({ waits, judged }) => waits && !judged)].map(({ topic }) => topic))
  for (const topic of left) {
    const extents = log.filter((extent) => extent.topic === topic)
    await sql.begin((tx) => admit(tx, topic, extents))
  }
}

const admit = async (tx: TransactionSql, topic: string, extents: readonly Extent[]): Promise<void> => {
  // Whoever discovers the same partitions meanwhile waits here, and then finds them.
  await tx`select pg_advisory_xact_lock(${locks.positions}, hashtext(${topic}))`
  const [before] = await tx<{ known: number }[]>`
    select count(*)::int as known from forebay.positions where topic = ${topic}`
  const partitions = extents.map(({ partition }) => partition)
  const starts = extents.map(({ start }) => String(start))
  // Nothing of an added partition was there when the others' frontiers were asked for.
  const made = await tx`
    insert into forebay.positions (topic, partition, next_offset, waits_for, epoch, frontier, source_frontier)
    select ${topic}, x.partition, x.start, case when old.known then jsonb_build_object('at', x.start) end, old.epoch, old.frontier, old.source_frontier
    from unnest(${partitions}::int[], ${starts}::bigint[]) as x (partition, start)
    cross join (
      select count(*) > 0 as known, coalesce(max(epoch), 0) as epoch, max(frontier) as frontier,
        max(source_frontier) as source_frontier
      from forebay.positions where topic = ${topic}) old
    on conflict do nothing returning partition`
  if (before!.known === 0) return
  const waiting = await tx`
    with held as materialized (
      select * from forebay.positions where topic = ${topic} order by partition for update),
    ends as materialized (
      select x.partition, x."end" from unnest(${partitions}::int[], ${extents.map(({ end }) => String(end))}::bigint[]) as x (partition, "end")),
    change as (
      select max(h.epoch) + 1 as epoch,
        jsonb_object_agg(h.partition, greatest(e."end", h.next_offset)) filter (where h.waits_for is null) as ends
      from held h join ends e using (partition)
      having count(*) filter (where h.waits_for is not null) > 0 and count(*) filter (where h.waits_for ? 'ends') = 0)
    update forebay.positions p
    set waits_for = jsonb_build_object('at', coalesce((c.ends->>(p.partition::text))::bigint, (p.waits_for->>'at')::bigint), 'epoch', c.epoch, 'ends', c.ends)
    from change c
    where p.topic = ${topic} and p.partition in (select partition from ends)
    returning p.partition`
  if (made.length > 0) logger.info('partitions.added', { topic, added: made.length, waiting: waiting.length })
}

/** What stands where it waits goes on once all it waits for are applied so far. */
const release = async (sql: Sql, topics: readonly string[]): Promise<void> => {
  await sql`
    with begun as (
      update forebay.positions p
      set epoch = (p.waits_for->>'epoch')::int, waits_for = null
      where p.topic = any (${[...topics]}) and p.waits_for ? 'ends' and p.next_offset = (p.waits_for->>'at')::bigint
        and not exists (
          select from jsonb_each_text(p.waits_for->'ends') as e ("partition", "end")
          left join forebay.positions o on o.topic = p.topic and o.partition = e."partition"::int
          where coalesce(o.next_offset, 0) < e."end"::bigint)
      returning p.topic, p.partition, p.epoch, p.next_offset)
    insert into forebay.epochs (topic, partition, epoch, first_offset) select topic, partition, epoch, next_offset from begun`
}
