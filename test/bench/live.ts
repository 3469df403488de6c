/**
 * Live at steady rates through Kafka, everything warm: from sent to visible in the view, beside a plain consumer that upserts the same
 * changes into flat tables in the same run; what waits at the end, what it costs, and whether the view holds what was sent.
 */
import { availableParallelism, loadavg } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Sql } from '../../src/platform/postgres.ts'
import { type Child, startChild } from '../support/child.ts'
import { changes, type Message } from './changes.ts'
import { openLedger } from './expected.ts'
import { runProbes } from './probes.ts'
import { childOf, cpuSeconds, memory, peakMemory } from './process.ts'
import { type Figure, type Goal, quantile, report } from './report.ts'
import { applied, openStand, pending, type Stand, when } from './stand.ts'
import { sendAll } from './topics.ts'

export type LiveOptions = {
  readonly rates: readonly number[]
  readonly seconds: number
  readonly customers: number
  /** Changes that are there, and in the view, before anything is timed. */
  readonly preload: number
}
type Measured = {
  readonly rate: number
  readonly latencies: readonly number[]
  /** Changes that were sent and not yet in the view, by the second. */
  readonly backlog: readonly number[]
  readonly drainMs: number
  readonly cpuMicros: number
  readonly postgresMicros: number
  readonly rss: number
}

const warm = 5

export const benchLive = async ({ rates, seconds, customers, preload }: LiveOptions): Promise<void> => {
  const stand = await openStand()
  try {
    const stream = changes(Number.MAX_SAFE_INTEGER, customers)
    const others = () => stream.next().value as Message
    const sent: Message[] = []
    const sending = (batch: readonly Message[]): void => void sent.push(...batch)
    const loaded = Array.from({ length: preload }, others)
    sending(loaded)
    await sendAll(stand.producer, loaded)
    const given = { producer: stand.producer, others, seconds, warm, sending }

    const limit = await measureLimit(stand, rates, given)
    const run = await stand.run()
    const ingest = run.start('ingest')
    try {
      const visible = async () => (await applied(run.sql)) >= sent.length && !(await pending(run.sql))
      await when(visible, ingest)
      const pid = await childOf(ingest.pid)
      const measured: Measured[] = []
      for (const rate of rates) {
        const before = { sent: sent.length, cpu: await cpuSeconds(pid), postgres: await stand.postgresCpu() }
        const { backlog, stop } = watchBacklog(run.sql, () => sent.length)
        const latencies = await runProbes({ ...given, sql: run.sql, rate, check: () => alive(ingest) }).finally(stop)
        const at = performance.now()
        const drainMs = (await when(visible, ingest)) - at
        const count = sent.length - before.sent
        measured.push({
          ...{ rate, latencies, backlog, drainMs, rss: await memory(pid) },
          cpuMicros: (((await cpuSeconds(pid)) - before.cpu) * 1e6) / count,
          postgresMicros: (((await stand.postgresCpu()) - before.postgres) * 1e6) / count,
        })
      }
      const peak = await peakMemory(pid)
      const ledger = openLedger()
      ledger.sent(sent)
      const wrong = (await ledger.drift(run.sql)).reduce((total, { differ }) => total + differ, 0)
      report(
        'live',
        [
          { name: 'changes before', value: preload, unit: `of ${customers} customers` },
          ...measured.flatMap((one) => figuresOf(one, limit.get(one.rate)!)),
          { name: 'peak memory of ingest', value: peak, unit: 'MiB' },
          { name: 'load of the machine', value: loadavg()[0]!, unit: `runnable, on ${availableParallelism()} cores` },
        ],
        [
          ...measured.flatMap(goalsOf),
          { name: 'peak memory of ingest, MiB', value: peak, most: 350 },
          { name: 'rows other than hand-written SQL says', value: wrong, most: 0 },
        ],
      )
    } finally {
      await ingest.stop()
    }
  } finally {
    await stand.stop()
  }
}

const alive = (child: Child): void => {
  if (!child.alive()) throw new Error(`ingest ended:\n${child.output()}`)
}

type Given = Omit<Parameters<typeof runProbes>[0], 'sql' | 'rate'>
const measureLimit = async (stand: Stand, rates: readonly number[], given: Given) => {
  const { sql, url } = await stand.database()
  const limit = startChild(process.execPath, [
    join(import.meta.dirname, 'limits/single-upsert.ts'),
    stand.brokers.join(),
    url,
  ])
  try {
    await when(async () => limit.output().includes('ready'), limit)
    const latencies = new Map<number, readonly number[]>()
    for (const rate of rates) latencies.set(rate, await runProbes({ ...given, sql, rate, table: 'customers' }))
    return latencies
  } finally {
    await limit.kill9()
  }
}

const watchBacklog = (sql: Sql, sent: () => number) => {
  const backlog: number[] = []
  const ended = new AbortController()
  const watch = async (): Promise<void> => {
    while (!ended.signal.aborted) {
      await sleep(1_000, undefined, { signal: ended.signal }).catch(() => {})
      const before = sent()
      const [row] = await sql<{ keys: number }[]>`select coalesce(sum(n), 0)::int as keys from forebay.dirty`
      backlog.push(Math.max(0, before - (await applied(sql))) + row!.keys)
    }
  }
  const watching = watch()
  const stop = async (): Promise<void> => {
    ended.abort()
    await watching
  }
  return { backlog, stop }
}

const quantiles = [0.5, 0.95, 0.99] as const
const figuresOf = (measured: Measured, limit: readonly number[]): readonly Figure[] => {
  const { rate, latencies, backlog, drainMs, cpuMicros, postgresMicros, rss } = measured
  const at = `${rate}/s`
  return [
    ...quantiles.map((q) => ({
      name: `${at}: sent to visible p${q * 100}`,
      value: quantile(latencies, q),
      unit: 'ms',
      against: `plain consumer and upsert: ${quantile(limit, q).toFixed(1)}`,
    })),
    {
      name: `${at}: waiting at the end`,
      value: backlog.at(-1) ?? 0,
      unit: 'changes and keys',
      against: `half-way ${backlog[Math.floor(backlog.length / 2)] ?? 0}, at most ${Math.max(0, ...backlog)}; worked off in ${Math.round(drainMs)} ms`,
    },
    { name: `${at}: CPU a change`, value: cpuMicros, unit: `µs in Node, ${Math.round(postgresMicros)} in Postgres` },
    { name: `${at}: RSS at its end`, value: rss, unit: 'MiB' },
  ]
}

/** What is promised: latency at rates up to 2,000 a second, beyond that only to keep up. */
const goalsOf = ({ rate, latencies, drainMs }: Measured): readonly Goal[] => {
  const p = (q: number): number => quantile(latencies, q)
  if (rate <= 500) return [{ name: `p95 at ${rate}/s, ms`, value: p(0.95), most: 20 }]
  if (rate <= 2_000)
    return [
      { name: `p95 at ${rate}/s, ms`, value: p(0.95), most: 40 },
      { name: `p99 at ${rate}/s, ms`, value: p(0.99), most: 80 },
    ]
  return [{ name: `worked off after ${rate}/s, ms`, value: drainMs, most: 1_000 }]
}
