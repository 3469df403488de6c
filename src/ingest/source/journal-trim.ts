/**
 * The journal forgets: what its reader has applied, no replay still wants, and is older than the retention. A partition's start moves in
 * the statement that deletes, so whoever reads sees either the records or that they are gone, never a hole.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { log } from '../../platform/log.ts'
import { counter } from '../../platform/metrics.ts'
import type { Sql } from '../../platform/postgres.ts'
import { forgetKeys } from '../append-once.ts'
import type { Partition } from '../source.ts'

const trimmed = counter({ name: 'forebay_journal_trimmed_total', help: 'Records that the journal has forgotten.' })

/** So small that an append never waits long for the row of its partition's ends. */
const chunk = 2_000
const everyMs = 60_000

/**
 * Up to the first record that is young, however old later ones may be: what is kept is one stretch. The ends' row is locked first, so that
 * `until` can't be passed by an append or another trimmer while it is believed.
 */
const trimChunk = async (sql: Sql, { topic, partition }: Partition, retention: string): Promise<number> => {
  const [row] = await sql<{ n: number }[]>`
    with ends as materialized (
      select start_offset as start from forebay.journal_ends where topic = ${topic} and partition = ${partition} for no key update),
    wanted as (
      select min(next) as until from (
        select next_offset as next from forebay.positions where topic = ${topic} and partition = ${partition}
        union all
        select w.next_offset from forebay.replay_positions w join forebay.replays r on r.id = w.replay
        where r.topic = ${topic} and w.partition = ${partition} and r.finished_at is null) x
      where exists (select from forebay.positions where topic = ${topic} and partition = ${partition})),
    first as materialized (
      select j."offset", j.at from ends, wanted, lateral (
        select "offset", at from forebay.journal
        where topic = ${topic} and partition = ${partition} and "offset" >= ends.start and "offset" < wanted.until
        order by "offset" limit ${chunk}) j),
    upto as (
      select coalesce(min("offset") filter (where at >= now() - ${retention}::interval), max("offset") + 1) as "offset" from first),
    gone as (
      delete from forebay.journal j using upto, ends
      where j.topic = ${topic} and j.partition = ${partition} and j."offset" >= ends.start and j."offset" < upto."offset" returning 1),
    moved as (
      update forebay.journal_ends e set start_offset = upto."offset" from upto
      where e.topic = ${topic} and e.partition = ${partition} and upto."offset" > e.start_offset returning 1)
    select (select count(*)::int from gone) as n, (select count(*) from moved)`
  return row!.n
}

/** All that may go, now. */
export const trimJournal = async (sql: Sql, retention: string, stop?: AbortSignal): Promise<number> => {
  const partitions = await sql<{ topic: string; partition: number }[]>`
    select topic, partition from forebay.journal_ends where start_offset < next_offset order by 1, 2`
  let total = 0
  for (const partition of partitions)
    for (let n = chunk; n > 0 && !stop?.aborted; total += n) n = await trimChunk(sql, partition, retention)
  if (total > 0) trimmed.inc(total)
  return total
}

/** From time to time, in every process: two that meet do no harm. */
export const startTrimming = (sql: Sql, retention: string): { stop(): Promise<void> } => {
  const stop = new AbortController()
  const run = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      await sleep(everyMs * (0.5 + Math.random()), undefined, { signal: stop.signal, ref: false }).catch(() => {})
      if (stop.signal.aborted) return
      try {
        await trimJournal(sql, retention, stop.signal)
        await forgetKeys(sql)
      } catch (error) {
        log.warn('journal not trimmed', { error })
      }
    }
  }
  const running = run()
  return {
    async stop() {
      stop.abort()
      await running
    },
  }
}
