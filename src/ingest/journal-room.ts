/** Back-pressure of the journal: how far a topic may be ahead of what is applied of it. */
import type { JournalSettings } from '../platform/journal-settings.ts'
import type { Sql } from '../platform/postgres.ts'

/** Of one topic, not yet applied. Bytes are estimated from its latest records. */
export type RoomLimits = JournalSettings['room']

/** What is known stays good for this long: a caller is held back a little late rather than everybody slowed down. */
const knownMs = 250
const sampled = 100

type Lag = { readonly records: number; readonly bytes: number }

/** What the topic is over, in words; undefined: there is room. */
export type Room = (topic: string) => Promise<string | undefined>

export const journalRoom = (sql: Sql, limits: RoomLimits): Room => {
  const known = new Map<string, { readonly at: number; readonly lag: Promise<Lag> }>()
  const lagOf = (topic: string): Promise<Lag> => {
    const found = known.get(topic)
    if (found && performance.now() - found.at < knownMs) return found.lag
    const lag = askLag(sql, topic)
    lag.catch(() => known.delete(topic))
    known.set(topic, { at: performance.now(), lag })
    return lag
  }
  return async (topic: string): Promise<string | undefined> => {
    const { records, bytes } = await lagOf(topic)
    if (records >= limits.records) return `${records} records`
    return bytes >= limits.bytes ? `about ${Math.round(bytes / 1024 ** 2)} MiB` : undefined
  }
}

const askLag = async (sql: Sql, topic: string): Promise<Lag> => {
  const [row] = await sql<{ records: string; bytes: string }[]>`
    select coalesce(sum(l.records), 0)::bigint as records, coalesce(sum(l.records * s.size), 0)::bigint as bytes
    from forebay.journal_ends e
    left join forebay.positions p using (topic, partition)
    cross join lateral (select e.next_offset - greatest(e.start_offset, coalesce(p.next_offset, 0)) as records) l
    cross join lateral (
      select coalesce(avg(octet_length(j.value)), 0) as size from forebay.journal j
      where j.topic = e.topic and j.partition = e.partition and j."offset" >= e.next_offset - ${sampled}
    ) s
    where e.topic = ${topic}`
  return { records: Number(row!.records), bytes: Number(row!.bytes) }
}
