/** A primary of its own with a streaming standby of it, both embedded. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type EmbeddedPostgres, startPostgres } from '../../src/platform/embedded-postgres.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { freePorts } from './child.ts'
import { found, run } from './find.ts'
import type { Database } from './postgres.ts'

export type Replicated = {
  readonly database: Database
  readonly standby: {
    readonly url: string
    /** Of the standby itself. */
    readonly sql: Sql
    pause(): Promise<void>
    resume(): Promise<void>
    /** Until it has replayed all that the primary has written so far. */
    caughtUp(): Promise<void>
    /** As a crash would end it. */
    kill(): Promise<void>
    start(): Promise<void>
  }
  stop(): Promise<void>
}

const settings = {
  fsync: 'off',
  full_page_writes: 'off',
  wal_level: 'replica',
  max_wal_senders: '4',
  max_connections: '60',
  shared_buffers: '32MB',
  hot_standby_feedback: 'on',
}

export const startReplicated = async (): Promise<Replicated> => {
  const [own, copied] = await Promise.all([
    mkdtemp(join(tmpdir(), 'forebay-primary-')),
    mkdtemp(join(tmpdir(), 'forebay-standby-')),
  ])
  const [port, standbyPort] = (await freePorts(2)) as [number, number]
  const launch = () => startPostgres({ dataDir: own, port, settings })
  await (await launch()).stop()
  await run('cp', ['-a', join(own, 'postgres'), copied])
  const signal = join(copied, 'postgres', 'standby.signal')
  await writeFile(signal, '')
  const primary = await launch()
  const { password } = new URL(primary.url)
  const primary_conninfo = `host=127.0.0.1 port=${port} user=postgres password=${decodeURIComponent(password)}`
  const startStandby = (): Promise<EmbeddedPostgres> =>
    startPostgres({
      dataDir: copied,
      port: standbyPort,
      settings: {
        ...settings,
        primary_conninfo,
        max_standby_streaming_delay: '-1',
        wal_retrieve_retry_interval: '100ms',
      },
    })
  let server = await startStandby()
  found('Replica', 'embedded, streaming from a primary of its own')
  const sql = connect(primary.url, { max: 10, name: 'test' })
  const there = connect(server.url, { max: 2, name: 'test of the standby' })
  const database: Database = {
    url: primary.url,
    sql,
    drop: async () => {
      await sql.end({ timeout: 1 })
    },
  }
  return {
    database,
    standby: {
      url: server.url,
      sql: there,
      pause: async () => void (await there`select pg_wal_replay_pause()`),
      resume: async () => void (await there`select pg_wal_replay_resume()`),
      caughtUp: async () => {
        const [row] = await sql<{ lsn: string }[]>`select pg_current_wal_lsn()::text as lsn`
        const deadline = Date.now() + 60_000
        for (;;) {
          const [state] = await there<{ there: boolean }[]>`
            select pg_last_wal_replay_lsn() >= ${row!.lsn}::text::pg_lsn as there`.catch(() => [{ there: false }])
          if (state!.there) return
          if (Date.now() > deadline) throw new Error('the standby did not catch up in 60 s')
          await new Promise((done) => setTimeout(done, 20))
        }
      },
      kill: async () => {
        process.kill(server.pid, 'SIGKILL')
        await server.exited
      },
      start: async () => {
        server = await startStandby()
      },
    },
    stop: async () => {
      await sql.end({ timeout: 1 })
      await there.end({ timeout: 1 })
      await server.stop()
      await primary.stop()
      await Promise.all([own, copied].map((path) => rm(path, { recursive: true, force: true })))
    },
  }
}
