/**
 * A steady rate of changes through Kafka and ingest into the view, for a long time: does memory stay flat, does the view keep its promise,
 * and does it hold at the end exactly what was sent? Ends with exit code 1 when a bound is broken.
 */
import { availableParallelism, loadavg } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Sql } from '../../src/platform/postgres.ts'
import { freePorts } from '../support/child.ts'
import { changes, type Message } from './changes.ts'
import { openLedger } from './expected.ts'
import { heapAfterCollection } from './heap.ts'
import { runProbes } from './probes.ts'
import { childOf, cpuSeconds, memory, peakMemory } from './process.ts'
import { type Figure, quantile, report } from './report.ts'
import { applied, openStand, pending, when } from './stand.ts'

export type SoakOptions = {
  readonly minutes: number
  readonly rate: number
  readonly customers: number
}
type Sample = { readonly at: number; readonly rss: number; readonly lagMs: number }

/** Of memory around its mean, and of the heap after a collection from warm to the end. */
const flat = 0.1
/** What the bench's view promises. */
const maxLagMs = 5_000
const everyMs = 1_000
const windowSeconds = 30

export const benchSoak = async ({ minutes, rate, customers }: SoakOptions): Promise<void> => {
  const stand = await openStand()
  try {
    const run = await stand.run()
    const [port] = (await freePorts(1)) as [number]
    const ingest = run.start('ingest', { NODE_OPTIONS: `--inspect=127.0.0.1:${port}` })
    try {
      await when(() => isObserved(run.sql), ingest)
      const pid = await childOf(ingest.pid)
      const warm = Math.min(120, Math.round(minutes * 30))
      const seconds = minutes * 60 - warm
      const ledger = openLedger()
      const samples: Sample[] = []
      const ended = new AbortController()
      const began = performance.now()
      const cpuBefore = await cpuSeconds(pid)
      const watching = watch(ended.signal, async () => {
        const at = (performance.now() - began) / 1000
        samples.push({ at, rss: await memory(pid), lagMs: await lag(run.sql) })
        if (samples.length % windowSeconds === 0) say(samples.slice(-windowSeconds), ledger.messages())
      })
      const heaps = sleep(warm * 1000, undefined, { signal: ended.signal }).then(() => heapAfterCollection(port))
      heaps.catch(() => {})
      const stream = changes(Number.MAX_SAFE_INTEGER, customers, 7)
      const latencies = await runProbes({
        ...{ sql: run.sql, producer: stand.producer, others: () => stream.next().value as Message },
        ...{ rate, seconds, warm, sending: ledger.sent },
        check: () => {
          if (!ingest.alive()) throw new Error(`ingest ended:\n${ingest.output()}`)
        },
      }).finally(() => ended.abort())
      const took = (performance.now() - began) / 1000
      await watching
      const cpu = (await cpuSeconds(pid)) - cpuBefore
      const heapBefore = await heaps
      const heapAfter = await heapAfterCollection(port)
      const sent = ledger.messages()
      const doneAt = await when(async () => (await applied(run.sql)) >= sent && !(await pending(run.sql)), ingest)
      const drift = await ledger.drift(run.sql)

      const later = samples.filter(({ at }) => at > warm)
      const windows = inWindows(later).map((some) => mean(some.map(({ rss }) => rss)))
      const level = mean(windows)
      const lags = later.map(({ lagMs }) => lagMs)
      const bounds: readonly Bound[] = [
        { name: 'the rate was kept', holds: sent >= 0.99 * rate * took },
        { name: 'memory is flat', holds: windows.every((one) => Math.abs(one - level) <= flat * level) },
        { name: 'the heap is flat', holds: heapAfter <= (1 + flat) * heapBefore },
        { name: 'lag is within maxLag', holds: Math.max(...lags) <= maxLagMs },
        { name: 'no drift', holds: drift.every(({ differ }) => differ === 0) },
      ]
      report('soak', [
        { name: 'changes sent', value: sent, unit: `at ${Math.round(sent / took)}/s` },
        {
          name: 'load of the machine',
          value: loadavg()[2]!,
          unit: `runnable over 15 minutes, on ${availableParallelism()} cores`,
        },
        { name: 'CPU of ingest a change', value: (cpu * 1e6) / sent, unit: 'µs in Node' },
        { name: `RSS from ${warm} s on`, value: level, unit: 'MiB', against: `${spread(windows)} by half-minutes` },
        { name: 'RSS at most', value: await peakMemory(pid), unit: 'MiB' },
        { name: `heap after collection at ${warm} s`, value: heapBefore, unit: 'MiB' },
        { name: 'heap after collection at the end', value: heapAfter, unit: 'MiB' },
        ...quantiles('lag by the view’s own bound', lags),
        ...quantiles('sent to visible', latencies),
        { name: 'last sent to everything visible', value: doneAt - began - took * 1000, unit: 'ms' },
        ...drift.map(({ of, expected, differ }) => ({
          name: `rows of ${of}`,
          value: expected,
          unit: `${differ} differ from what was sent`,
        })),
      ])
      for (const { name, holds } of bounds) process.stdout.write(`${holds ? 'holds' : 'BROKEN'}: ${name}\n`)
      if (bounds.some(({ holds }) => !holds)) process.exitCode = 1
    } finally {
      await ingest.stop()
    }
  } finally {
    await stand.stop()
  }
}
type Bound = { readonly name: string; readonly holds: boolean }

const isObserved = async (sql: Sql): Promise<boolean> => {
  const [row] = await sql<
    { is: boolean }[]
  >`select count(*) > 0 and bool_and(frontier is not null) as is from forebay.positions`
  return row!.is
}

/** How old the view's asOf is, milliseconds: of partitions' frontiers and of the origins of what is pending the least counts. */
const lag = async (sql: Sql): Promise<number> => {
  const [row] = await sql<{ ms: number }[]>`
    select (extract(epoch from clock_timestamp() - least((select min(frontier) from forebay.positions), (select min(origin) from forebay.dirty))) * 1000)::float8 as ms`
  return row!.ms
}

const watch = async (signal: AbortSignal, look: () => Promise<void>): Promise<void> => {
  while (!signal.aborted) {
    await look()
    await sleep(everyMs, undefined, { signal }).catch(() => {})
  }
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
const inWindows = (samples: readonly Sample[]): readonly (readonly Sample[])[] => [
  ...Map.groupBy(samples, ({ at }) => Math.floor(at / windowSeconds)).values(),
]
const spread = (values: readonly number[]): string =>
  `${Math.round(Math.min(...values))} to ${Math.round(Math.max(...values))}`
const quantiles = (name: string, values: readonly number[]): Figure[] =>
  [0.5, 0.95, 0.99, 1].map((q) => ({
    name: `${name} ${q === 1 ? 'at most' : `p${q * 100}`}`,
    value: quantile(values, q),
    unit: 'ms',
  }))

const say = (samples: readonly Sample[], sent: number): void => {
  const rss = samples.map((sample) => sample.rss)
  const lags = samples.map(({ lagMs }) => lagMs)
  process.stdout.write(
    `${String(Math.round(samples.at(-1)!.at)).padStart(5)} s  RSS ${Math.round(mean(rss))} MiB (${spread(rss)})  lag at most ${Math.round(Math.max(...lags))} ms  ${sent} sent\n`,
  )
}
