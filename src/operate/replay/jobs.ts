/** Replays as people see them: asked for, listed, cancelled. The ingest processes work them. */
import { hostname, userInfo } from 'node:os'
import { locks } from '../../ingest/locks.ts'
import type { Job, Progress } from '../../ingest/replay/job.ts'
import type { Sql } from '../../platform/postgres.ts'

export type ReplayState = 'RUNNING' | 'DONE' | 'FAILED' | 'CANCELLED'
/** Its progress is the sum of what was done by now. */
export type Replay = Job &
  Progress & {
    readonly state: ReplayState
    readonly requestedAt: string
    readonly requestedBy: string
    readonly finishedAt: string | null
    /** Offsets read, and to be read in all; null until an ingest process has worked out where it begins. */
    readonly done: number
    readonly total: number | null
    readonly error: string | null
    /** An ingest process is at work on it. */
    readonly worked: boolean
    /** An earlier replay that is at work: a process works one at a time. */
    readonly behind: number | null
    readonly partitions: readonly { readonly partition: number; readonly next: string; readonly until: string }[]
  }

export const requestReplay = async (sql: Sql, entity: string, topic: string, since: string): Promise<number> => {
  const by = `${userInfo().username}@${hostname()}`
  const [row] = await sql<{ id: number }[]>`
    insert into forebay.replays (entity, topic, since, requested_by) values (${entity}, ${topic}, ${since}, ${by}) returning id`
  return row!.id
}

/** The newest first. */
export const readReplays = (sql: Sql, id?: number): Promise<readonly Replay[]> => sql<Replay[]>`
  with working as materialized (
    select objid::bigint::int as id from pg_locks where locktype = 'advisory' and classid = ${locks.replay} and granted
      and database = (select oid from pg_database where datname = current_database()))
  select j.id, j.entity, j.topic, j.since, j.state, forebay.iso(j.requested_at) as "requestedAt", j.requested_by as "requestedBy",
    forebay.iso(j.finished_at) as "finishedAt", coalesce(at.done, 0)::float8 as done, at.total::float8 as total,
    j.records::float8 as records, j.added::float8 as added, j.refreshed::float8 as refreshed, j.partial::float8 as partial,
    j.parked::float8 as parked, j.unreadable::float8 as unreadable, j.rate, j.waiting, j.error,
    exists (select from working w where w.id = j.id) as worked, (select max(w.id) from working w where w.id < j.id) as behind,
    coalesce(at.partitions, '[]') as partitions
  from forebay.replays j left join lateral (
    select sum(next_offset - first_offset) as done, sum(until_offset - first_offset) as total,
      json_agg(json_build_object('partition', partition, 'next', next_offset::text, 'until', until_offset::text) order by partition) as partitions
    from forebay.replay_positions p where p.replay = j.id) at on true
  where ${id ?? null}::int is null or j.id = ${id ?? null}
  order by j.id desc limit 100`

/** False when it isn't running. What it has written stays. */
export const cancelReplay = async (sql: Sql, id: number): Promise<boolean> => {
  const rows = await sql`
    update forebay.replays set state = 'CANCELLED', finished_at = now(), waiting = null where id = ${id} and state = 'RUNNING' returning id`
  return rows.length > 0
}
