/**
 * Up to where a source has to be read so that nothing is missing that was committed by now. A commit that doesn't wait for the disk
 * (synchronous_commit=off) is seen by everybody before it is there, and only what is there is sent. It gets there within three turns of the WAL
 * writer; so it is waited for, though what lies behind it may never be written by itself.
 * https://www.postgresql.org/docs/current/wal-async-commit.html
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Sql } from '../../platform/postgres.ts'
import { lsnOf } from './replication.ts'

const lookMs = 40
const turns = 3

type Log = { readonly written: bigint; readonly flushed: bigint; readonly turnMs: number }

const ask = async (source: Sql): Promise<Log> => {
  const [row] = await source<{ written: string; flushed: string; turnMs: number }[]>`
    select pg_current_wal_insert_lsn()::text as written, pg_current_wal_flush_lsn()::text as flushed,
      (select setting::int from pg_settings where name = 'wal_writer_delay') as "turnMs"`
  return { written: lsnOf(row!.written), flushed: lsnOf(row!.flushed), turnMs: row!.turnMs }
}

/** All that was committed before a call lies before what it answers, which is on the source's disk. */
export const committedOnDisk = (source: Sql): (() => Promise<bigint>) => {
  /** So far, nothing that is committed is off the disk. */
  let known = -1n
  return async () => {
    const { written, flushed, turnMs } = await ask(source)
    if (written === known || written <= flushed) return flushed
    const until = performance.now() + turns * turnMs
    for (;;) {
      await sleep(Math.min(lookMs, turnMs))
      const over = performance.now() > until
      const now = await ask(source)
      if (!over && now.flushed < written) continue
      if (now.written === written) known = written
      return now.flushed
    }
  }
}
