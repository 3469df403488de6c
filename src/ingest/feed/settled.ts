/**
 * When a topic's rows are as good as its source's answer. A snapshot that comes after changes were lost says only by what it lacks which rows
 * are gone; until those are taken away (C13), no moment at which the source was asked is a bound of what is served.
 */
import type { Sql } from '../../platform/postgres.ts'
import { unsweptTopics } from '../apply/snapshots.ts'
import { journalExtents } from '../source/journal.ts'
import type { Extent } from '../source.ts'

/** Of topics whose snapshot is in the journal, those where it is applied and swept. Once so, it stays so until the snapshot begins anew. */
export type Settled = (topics: readonly string[]) => Promise<readonly string[]>

/** `entitiesOf`: who reads the topic. */
export const createSettled = (sql: Sql, entitiesOf: (topic: string) => readonly string[]): Settled => {
  /** Where each topic's journal ended when its snapshot was first known to be there. */
  const awaited = new Map<string, readonly Extent[]>()
  const done = new Set<string>()

  const look = async (open: readonly string[]): Promise<readonly string[]> => {
    const ends = open.flatMap((topic) => awaited.get(topic) ?? [])
    const readers = open.flatMap((topic) => entitiesOf(topic).map((entity) => ({ topic, entity })))
    // In this order: what is applied has noted its snapshot.
    const applied = await sql<{ topic: string }[]>`
      select topic from json_to_recordset(${JSON.stringify(ends.map((one) => ({ ...one, end: String(one.end), start: undefined })))}::text::json)
        as e (topic text, partition int, "end" bigint)
      left join forebay.positions p using (topic, partition)
      group by topic having bool_and(coalesce(p.next_offset, 0) >= e."end")`
    const unswept = await unsweptTopics(sql, readers)
    const waiting = new Set(unswept.map(({ topic }) => topic))
    return applied.map(({ topic }) => topic).filter((topic) => !waiting.has(topic))
  }

  return async (topics) => {
    for (const topic of awaited.keys()) {
      if (topics.includes(topic)) continue
      awaited.delete(topic)
      done.delete(topic)
    }
    const open = topics.filter((topic) => !done.has(topic))
    for (const topic of open) if (!awaited.has(topic)) awaited.set(topic, await journalExtents(sql, [topic]))
    if (open.length > 0) for (const topic of await look(open)) done.add(topic)
    return topics.filter((topic) => done.has(topic))
  }
}
