/**
 * Keeps quarantine bounded and in sight: a topic with more records in it than the cap pauses, all its partitions, and goes on once
 * enough of them are redriven or dropped (C19). Nothing is lost meanwhile: the positions stay where they are.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { log } from '../platform/log.ts'
import { gauge } from '../platform/metrics.ts'
import type { Sql } from '../platform/postgres.ts'
import { isHeld } from './apply/quarantine.ts'
import type { TopicsRead } from './generations.ts'
import { partitionName } from './source.ts'

const held = gauge({
  name: 'forebay_quarantine_records',
  help: 'Records in quarantine that their key waits for, by topic and state.',
  labels: ['topic', 'state'],
})
const paused = gauge({
  name: 'forebay_source_paused',
  help: '1: the partition is PAUSED or STUCK until somebody acts.',
  labels: ['topic', 'partition'],
})

export type QuarantineWatch = {
  /** Judges the cap now. */
  check(): Promise<void>
  stop(): Promise<void>
}

/** `read`: the topics of each generation. */
export const watchQuarantine = ({
  sql,
  cap,
  read,
  everyMs = 1_000,
}: {
  readonly sql: Sql
  readonly cap: number
  readonly read: () => readonly TopicsRead[]
  readonly everyMs?: number
}): QuarantineWatch => {
  const stopped = new AbortController()
  let failing = false

  const check = async (): Promise<void> => {
    const rows = await sql<{ topic: string; state: string; n: number }[]>`
      select topic, state, count(*)::int as n from forebay.quarantine where ${sql.unsafe(isHeld)} group by topic, state`
    held.reset()
    for (const { topic, state, n } of rows) held.set({ topic, state }, n)
    const total = Map.groupBy(rows, ({ topic }) => topic)
    const over = [...total].flatMap(([topic, states]) => {
      const n = states.reduce((sum, one) => sum + one.n, 0)
      return n > cap ? [{ topic, reason: reasonFor(topic, n, cap) }] : []
    })
    const moved = await sql<{ topic: string; partition: number; state: string; reason: string | null }[]>`
      with over as (select * from json_to_recordset(${JSON.stringify(over)}::text::json) as o(topic text, reason text)),
      moving as materialized (
        select p.topic, p.partition, o.reason from forebay.positions p left join over o using (topic)
        where p.state = 'RUNNING' and o.topic is not null or p.state = 'PAUSED' and p.paused_by = 'CAP' and o.topic is null
        order by p.topic, p.partition for update of p)
      update forebay.positions p
      set state = case when m.reason is null then 'RUNNING' else 'PAUSED' end, reason = m.reason,
        paused_by = case when m.reason is not null then 'CAP' end,
        stopped_at = case when m.reason is not null then clock_timestamp() end
      from moving m where p.topic = m.topic and p.partition = m.partition
      returning p.topic, p.partition, p.state, p.reason`
    for (const { state, reason, ...partition } of moved)
      if (state === 'PAUSED') log.error('partition.paused', { partition: partitionName(partition), reason })
  }

  const look = async (): Promise<void> => {
    await check()
    const states = await sql<{ topic: string; partition: number; state: string }[]>`
      select topic, partition, state from forebay.positions`
    paused.reset()
    for (const { topic, partition, state } of states)
      paused.set({ topic, partition: String(partition) }, state === 'RUNNING' ? 0 : 1)
    await forgetSettled(sql, read())
  }

  const loop = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      try {
        await look()
        failing = false
      } catch (error) {
        if (!failing && !stopped.signal.aborted) log.warn('quarantine.not-watched', { error })
        failing = true
      }
      await sleep(everyMs, undefined, { signal: stopped.signal }).catch(() => undefined)
    }
  }
  const running = loop()
  return {
    check,
    async stop() {
      stopped.abort()
      await running
    },
  }
}

/**
 * Rows are DEGRADED until what left quarantine is in them: once the bound about the log has passed the moment at which it did, no entry of the
 * dirty log stands for it any more.
 */
const forgetSettled = async (sql: Sql, read: readonly TopicsRead[]): Promise<void> => {
  await sql`
    with settled as materialized (select distinct generation from forebay.degraded where settled_at is not null),
    bounds as materialized (
      select r.generation, least(
        (select coalesce(case when bool_and(p.frontier is not null) then min(p.frontier) end, '-infinity')
          from forebay.positions p where p.topic in (select json_array_elements_text(r.topics))),
        case when exists (select from forebay.dirty d where d.generation = r.generation and d.origin is null)
          or exists (select from forebay.generations g where g.generation = r.generation and g.filled_at is null) then '-infinity'::timestamptz end,
        (select d.origin from forebay.dirty d where d.generation = r.generation order by d.origin limit 1)) as bound
      from json_to_recordset(${JSON.stringify(read)}::text::json) as r (generation int, topics json) join settled using (generation))
    delete from forebay.degraded d using bounds b where b.generation = d.generation and d.settled_at < b.bound`
}

const reasonFor = (topic: string, n: number, cap: number): string =>
  `${n} records of ${topic} are in quarantine, more than FOREBAY_QUARANTINE_CAP (${cap}): it goes on once enough are gone. See them: forebay quarantine list --topic ${topic}. After a fix: forebay quarantine redrive --topic ${topic}`
