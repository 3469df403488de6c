/**
 * A replay as a job in Postgres: who asked for what, and how far it is. Where it is moves in the transaction that writes its rows,
 * so that whoever takes the job up again, after a crash or elsewhere, goes on from there.
 */
import type { Sql } from '../../platform/postgres.ts'
import { locks } from '../locks.ts'
import type { Range } from '../source.ts'

export type Job = {
  readonly id: number
  readonly entity: string
  readonly topic: string
  /** See `fromText`. */
  readonly since: string
}
/** `epoch`: the partition's when the replay began. */
export type JobRange = Range & { readonly epoch: number }
/** What was done, in all or since it was last written down. */
export type Progress = {
  readonly records: number
  /** Rows that weren't there, or were older. */
  readonly added: number
  /** Rows that their own record came to mean something else for. */
  readonly refreshed: number
  /** Records that don't carry every column: those keep what is stored. */
  readonly partial: number
  /** Records that lie in quarantine: left there, or put there. */
  readonly parked: number
  /** Records that can't be read and are passed over, since a later one of their key is stored or their key can't be told. */
  readonly unreadable: number
  /** Offsets a second, lately. */
  readonly rate: number | null
  /** What it waits for; null: nothing. */
  readonly waiting: string | null
}

/** Those that somebody should be working, the oldest first. */
export const openJobs = (sql: Sql): Promise<readonly Job[]> =>
  sql<Job[]>`select id, entity, topic, since from forebay.replays where state = 'RUNNING' order by id`

/** The lock belongs to the connection, so `sql` is a pool of one. False: another process works it. */
export const lockJob = async (sql: Sql, { id }: Job): Promise<boolean> => {
  const [row] = await sql<{ taken: boolean }[]>`
    select exists (${ownLock(sql, id)}) or pg_try_advisory_lock(${locks.replay}, ${id}) as taken`
  return row!.taken
}
export const unlockJob = async (sql: Sql, { id }: Job): Promise<void> => {
  await sql`select pg_advisory_unlock(${locks.replay}, ${id})`
}
const ownLock = (sql: Sql, id: number) => sql`
  select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid() and classid = ${locks.replay} and objid = ${id} and granted`

/** What is left to be read; undefined: where it begins hasn't been worked out yet. */
export const rangesLeft = async (sql: Sql, { id, topic }: Job): Promise<readonly JobRange[] | undefined> => {
  const rows = await sql<{ partition: number; epoch: number; from: string; until: string }[]>`
    select partition, epoch, next_offset as from, until_offset as until from forebay.replay_positions
    where replay = ${id} order by partition`
  if (rows.length === 0) return undefined
  return rows
    .map((row) => ({ ...row, topic, from: BigInt(row.from), until: BigInt(row.until) }))
    .filter(({ from, until }) => from < until)
}

export const storeRanges = async (sql: Sql, { id }: Job, ranges: readonly JobRange[]): Promise<void> => {
  const rows = ranges.map(({ partition, epoch, from, until }) => ({
    partition,
    epoch,
    first: String(from),
    until: String(until),
  }))
  await sql`
    insert into forebay.replay_positions (replay, partition, epoch, first_offset, next_offset, until_offset)
    select ${id}, partition, epoch, first, first, until
    from json_to_recordset(${JSON.stringify(rows)}::text::json) as x(partition int, epoch int, first bigint, until bigint)
    on conflict do nothing`
}

export const report = async (sql: Sql, { id }: Job, progress: Progress): Promise<void> => {
  const { records, added, refreshed, partial, parked, unreadable, rate, waiting } = progress
  await sql`
    update forebay.replays set records = records + ${records}, added = added + ${added}, refreshed = refreshed + ${refreshed},
      partial = partial + ${partial}, parked = parked + ${parked}, unreadable = unreadable + ${unreadable}, rate = ${rate}, waiting = ${waiting}
    where id = ${id}`
}

/** What keeps it from going on; nothing of a row. */
export const waitsFor = async (sql: Sql, { id }: Job, why: string): Promise<void> => {
  await sql`update forebay.replays set waiting = ${why}, rate = null where id = ${id}`
}

/** Ends it, unless it was cancelled meanwhile. */
export const finishJob = async (sql: Sql, { id }: Job, error: string | null): Promise<void> => {
  await sql`
    update forebay.replays set state = ${error === null ? 'DONE' : 'FAILED'}, error = ${error}, finished_at = now(), waiting = null
    where id = ${id} and state = 'RUNNING'`
}
