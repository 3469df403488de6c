/**
 * Ingest from a real Kafka: first what comes before maintenance alone (decoded and applied, entries written to the dirty log), then
 * all of it with a view, as `forebay ingest` runs it; then live at a steady rate. Paired in the same run with the bare consumer and
 * the bare two-connection upsert of the same changes.
 */
import { availableParallelism, loadavg } from 'node:os'
import { join } from 'node:path'
import { startChild } from '../support/child.ts'
import { changes, type Message } from './changes.ts'
import { bareUpsertRate } from './limits/upsert.ts'
import { runLive } from './live.ts'
import { childOf, cpuSeconds, peakMemory } from './process.ts'
import { quantile, report } from './report.ts'
import { applied, openStand, pending, type Stand, when } from './stand.ts'
import { sendAll, topics } from './topics.ts'

export type IngestOptions = {
  readonly changes: number
  readonly customers: number
  readonly rate: number
  readonly seconds: number
}

export const benchIngest = async (options: IngestOptions): Promise<void> => {
  const stand = await openStand()
  try {
    const messages = [...changes(options.changes, options.customers)]
    const count = messages.length
    const sample = messages.slice(0, 10_000)
    const bytes = sample.reduce((total, { value }) => total + Buffer.byteLength(value), 0) / sample.length
    await sendAll(stand.producer, messages)

    // A broker's first reader finds its JVM cold.
    const consumer = Math.max(await bareConsumerRate(stand, count), await bareConsumerRate(stand, count))
    // In turn, so that a machine that gets slower or faster does so for both.
    const before = await measureUpsert(stand, messages)
    const apply = await measureIntake(stand, count)
    const after = await measureUpsert(stand, messages)
    const upsert = mean(before, after)
    const slower = Math.min(consumer, upsert.bare)
    const against = (rate: number): string =>
      `${(rate / slower).toFixed(2)} × the slower limit, ${(rate / Math.min(consumer, upsert.indexed)).toFixed(2)} × with the indexes`
    const full = await stand.run()
    const began = performance.now()
    const ingest = full.start('ingest')
    try {
      const firstAt = await when(async () => (await applied(full.sql)) > 0, ingest)
      const first = await applied(full.sql)
      const doneAt = await when(async () => (await applied(full.sql)) >= count && !(await pending(full.sql)), ingest)
      const rate = (count - first) / ((doneAt - firstAt) / 1000)
      const [view] = await full.sql<{ rows: number }[]>`select count(*)::int as rows from bench.customer where _live`
      const others = changes(Number.MAX_SAFE_INTEGER, 1_000, 7)
      const live = await runLive({ sql: full.sql, producer: stand.producer, others, warm: 5, ...options })
      const sentToVisible = `live at ${options.rate}/s, sent to visible`
      report('ingest', [
        { name: 'changes', value: count, unit: `of ${Math.round(bytes)} B` },
        { name: 'customers', value: view!.rows, unit: 'view rows' },
        { name: 'limit: bare consumer, every value parsed', value: consumer, unit: 'changes/s' },
        { name: 'limit: bare upsert, two connections', value: upsert.bare, unit: 'changes/s' },
        { name: 'the same with the joins’ indexes, JSON written', value: upsert.indexed, unit: 'changes/s' },
        {
          name: 'decoded and applied, no maintenance',
          value: apply.rate,
          unit: 'changes/s',
          against: against(apply.rate),
        },
        {
          name: 'its CPU a change',
          value: apply.cpuMicros,
          unit: `µs in Node, ${apply.postgresMicros.toFixed(2)} in Postgres`,
          against: `bare upsert: ${upsert.bareMicros.toFixed(2)} in Postgres, ${upsert.indexedMicros.toFixed(2)} with the indexes`,
        },
        { name: 'its peak memory', value: apply.peak, unit: 'MiB' },
        { name: 'start to first commit', value: (firstAt - began) / 1000, unit: 's' },
        {
          name: 'catch-up, views included',
          value: rate,
          unit: 'changes/s',
          against: against(rate),
        },
        { name: `${sentToVisible} p50`, value: quantile(live, 0.5), unit: 'ms' },
        { name: `${sentToVisible} p95`, value: quantile(live, 0.95), unit: 'ms' },
        { name: `${sentToVisible} p99`, value: quantile(live, 0.99), unit: 'ms' },
        { name: 'load of the machine', value: loadavg()[0]!, unit: `runnable, on ${availableParallelism()} cores` },
        { name: 'peak memory of ingest', value: await peakMemory(await childOf(ingest.pid)), unit: 'MiB' },
      ])
    } finally {
      await ingest.stop()
    }
  } finally {
    await stand.stop()
  }
}

const bareConsumerRate = async ({ brokers }: Stand, count: number): Promise<number> => {
  const script = join(import.meta.dirname, 'limits/consumer.ts')
  const child = startChild(process.execPath, [script, brokers.join(), String(count), ...topics])
  await child.ended
  const rate = /([\d.]+) messages a second/.exec(child.output())?.[1]
  if (rate === undefined) throw new Error(`the bare consumer ended:\n${child.output()}`)
  return Number(rate)
}

type Upserts = Readonly<Record<'bare' | 'bareMicros' | 'indexed' | 'indexedMicros', number>>
/** Changes a second, and microseconds of Postgres each. */
const measureUpsert = async (stand: Stand, messages: readonly Message[]): Promise<Upserts> => {
  const measure = async (indexed: boolean) => {
    const before = await stand.postgresCpu()
    const rate = await bareUpsertRate(stand.postgresUrl, messages, indexed)
    return { rate, micros: (((await stand.postgresCpu()) - before) * 1e6) / messages.length }
  }
  const [bare, indexed] = [await measure(false), await measure(true)]
  return { bare: bare.rate, bareMicros: bare.micros, indexed: indexed.rate, indexedMicros: indexed.micros }
}
const mean = (a: Upserts, b: Upserts): Upserts => ({
  bare: (a.bare + b.bare) / 2,
  bareMicros: (a.bareMicros + b.bareMicros) / 2,
  indexed: (a.indexed + b.indexed) / 2,
  indexedMicros: (a.indexedMicros + b.indexedMicros) / 2,
})

const measureIntake = async (stand: Stand, count: number) => {
  const run = await stand.run()
  const child = run.start('intake')
  try {
    const firstAt = await when(async () => (await applied(run.sql)) > 0, child)
    const pid = await childOf(child.pid)
    const before = { applied: await applied(run.sql), cpu: await cpuSeconds(pid), postgres: await stand.postgresCpu() }
    const doneAt = await when(async () => (await applied(run.sql)) >= count, child)
    const changes = count - before.applied
    return {
      rate: changes / ((doneAt - firstAt) / 1000),
      cpuMicros: (((await cpuSeconds(pid)) - before.cpu) * 1e6) / changes,
      postgresMicros: (((await stand.postgresCpu()) - before.postgres) * 1e6) / changes,
      peak: await peakMemory(pid),
    }
  } finally {
    await child.kill9()
  }
}
