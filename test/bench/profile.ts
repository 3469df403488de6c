/**
 * Where catch-up goes: CPU of the process and of each kind of connection, as the kernel counts it, and the statements that took longest, as
 * Postgres counts them. The statements' times are wall-clock: on a busy machine only their shares mean anything.
 */
import { changes } from './changes.ts'
import { childOf, cpuSeconds, peakMemory } from './process.ts'
import { type Figure, report } from './report.ts'
import { applied, openStand, pending, when } from './stand.ts'
import { sendAll } from './topics.ts'

export type ProfileOptions = { readonly changes: number; readonly customers: number; readonly statements: number }

export const benchProfile = async ({ customers, statements, ...options }: ProfileOptions): Promise<void> => {
  const stand = await openStand({ settings: { shared_preload_libraries: 'pg_stat_statements' } })
  try {
    const messages = [...changes(options.changes, customers)]
    await sendAll(stand.producer, messages)
    const { sql, ...run } = await stand.run()
    await sql`create extension pg_stat_statements`
    const ingest = run.start('ingest')
    try {
      await when(async () => (await applied(sql)) >= messages.length && !(await pending(sql)), ingest)
      const pid = await childOf(ingest.pid)
      const each = (seconds: number): number => (seconds * 1e6) / messages.length
      const backends = await sql<{ pid: number; name: string }[]>`
        select pid, substr(application_name, 9) as name from pg_stat_activity
        where datname = current_database() and application_name like 'forebay %' and application_name <> 'forebay bench'`
      const spent = new Map<string, number>()
      for (const backend of backends)
        spent.set(backend.name, (spent.get(backend.name) ?? 0) + (await cpuSeconds(backend.pid)))
      const top = await sql<{ text: string; calls: number; rows: number; ms: number; share: number }[]>`
        select left(regexp_replace(query, '[[:space:]]+', ' ', 'g'), 60) as text, calls::int, rows::int, total_exec_time as ms,
          total_exec_time / sum(total_exec_time) over () as share
        from pg_stat_statements where dbid = (select oid from pg_database where datname = current_database())
        order by total_exec_time desc limit ${statements}`
      report('profile', [
        { name: 'changes', value: messages.length, unit: `of ${customers} customers` },
        { name: 'Node, its start included', value: each(await cpuSeconds(pid)), unit: 'µs of CPU a change' },
        ...[...spent]
          .filter(([, seconds]) => seconds >= 0.1)
          .map(
            ([name, seconds]): Figure => ({
              name: `connections “${name}”`,
              value: each(seconds),
              unit: 'µs of CPU a change',
            }),
          ),
        { name: 'peak memory of ingest', value: await peakMemory(pid), unit: 'MiB' },
        ...top.map(
          ({ text, calls, rows, share }): Figure => ({
            name: text,
            value: share * 100,
            unit: `% of statements’ time, ${calls} calls, ${rows} rows`,
          }),
        ),
      ])
    } finally {
      await ingest.stop()
    }
  } finally {
    await stand.stop()
  }
}
