/**
 * Ingest from a real Kafka: first what comes before maintenance alone (decoded and applied, entries written to the dirty log), then
 * all of it with a view, as `forebay ingest` runs it. Paired in the same run with the bare consumer and the bare two-connection
 * upsert of the same changes; and, if asked, with what others make of the same topics.
 */
import { availableParallelism, loadavg } from 'node:os'
import { join } from 'node:path'
import { startChild } from '../support/child.ts'
import { changes, type Message } from './changes.ts'
import { type Drift, openLedger } from './expected.ts'
import { bareUpsertRate } from './limits/upsert.ts'
import { childOf, cpuSeconds, peakMemory } from './process.ts'
import { type Figure, type Goal, report } from './report.ts'
import type { Order } from './sinks/flink.ts'
import { measureFlink, measureJdbcSink, type Peer } from './sinks/peers.ts'
import { applied, openStand, pending, type Stand, when } from './stand.ts'
import { sendAll, topics } from './topics.ts'

export type IngestOptions = {
  readonly changes: number
  readonly customers: number
  readonly peers: boolean
  readonly order: Order
}

export const benchIngest = async ({ customers, peers, order, ...options }: IngestOptions): Promise<void> => {
  const stand = await openStand()
  try {
    const messages = [...changes(options.changes, customers)]
    const count = messages.length
    const ledger = openLedger()
    ledger.sent(messages)
    const sample = messages.slice(0, 10_000)
    const bytes = sample.reduce((total, { value }) => total + Buffer.byteLength(value), 0) / sample.length
    await sendAll(stand.producer, messages)

    // A broker's first reader finds its JVM cold.
    const consumer = Math.max(await bareConsumerRate(stand, count), await bareConsumerRate(stand, count))
    // In turn, so that a machine that gets slower or faster does so for both.
    const before = await measureUpsert(stand, messages)
    const apply = await measureIntake(stand, count)
    const full = await measureIngest(stand, count)
    const after = await measureUpsert(stand, messages)
    const upsert = mean(before, after)
    const sink = peers ? await measureJdbcSink(stand, count, ledger) : undefined
    const flink = peers ? await measureFlink(stand, count, ledger, order) : undefined
    const drift = await ledger.drift(full.sql)

    const slower = Math.min(consumer, upsert.bare)
    const against = (rate: number): string =>
      `${(rate / slower).toFixed(2)} × the slower limit, ${(rate / Math.min(consumer, upsert.indexed)).toFixed(2)} × with the indexes`
    const peer = (name: string, measured: Peer | undefined): readonly Figure[] =>
      measured === undefined
        ? []
        : [
            {
              name,
              value: measured.rate,
              unit: 'changes/s',
              against: `${(full.rate / measured.rate).toFixed(2)} × it; ${told(measured.drift)}`,
            },
          ]
    const ahead = (name: string, least: number, measured: Peer | undefined): readonly Goal[] =>
      measured === undefined ? [] : [{ name, value: full.rate / measured.rate, least }]
    report(
      'ingest',
      [
        { name: 'changes', value: count, unit: `of ${Math.round(bytes)} B` },
        { name: 'customers', value: full.rows, unit: 'view rows' },
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
        { name: 'start to first commit', value: full.startSeconds, unit: 's' },
        {
          name: 'catch-up, views included',
          value: full.rate,
          unit: 'changes/s',
          against: `${against(full.rate)}; ${told(drift)}`,
        },
        {
          name: 'its CPU a change',
          value: full.cpuMicros,
          unit: `µs in Node, ${full.postgresMicros.toFixed(2)} in Postgres`,
        },
        { name: 'peak memory of ingest', value: full.peak, unit: 'MiB' },
        ...peer('peer: Debezium JDBC sink, flat tables', sink),
        ...peer('peer: Flink SQL to JDBC, the same view', flink),
        { name: 'load of the machine', value: loadavg()[0]!, unit: `runnable, on ${availableParallelism()} cores` },
      ],
      [
        { name: 'catch-up over the bare upsert', value: full.rate / upsert.bare, least: 0.4 },
        ...ahead('catch-up over the JDBC sink', 4, sink),
        ...ahead('catch-up over Flink SQL', 6, flink),
        { name: 'peak memory of ingest, MiB', value: full.peak, most: 350 },
        { name: 'rows other than hand-written SQL says', value: differing(drift), most: 0 },
      ],
    )
  } finally {
    await stand.stop()
  }
}

const differing = (drift: readonly Drift[]): number => drift.reduce((total, { differ }) => total + differ, 0)
/** A row that is other than it must be counts once as missing and once as superfluous. */
const told = (drift: readonly Drift[]): string =>
  drift.every(({ differ }) => differ === 0)
    ? 'nothing wrong'
    : `wrong rows: ${drift.flatMap(({ of, differ }) => (differ > 0 ? [`${differ} in ${of}`] : [])).join(', ')}`

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

/** From the first commit on; `isDone` is asked for once all is applied. */
const measure = async (
  stand: Stand,
  what: 'ingest' | 'intake',
  count: number,
  env: Readonly<Record<string, string>>,
) => {
  const run = await stand.run()
  const { sql } = run
  const began = performance.now()
  const child = run.start(what, env)
  try {
    const firstAt = await when(async () => (await applied(sql)) > 0, child)
    const pid = await childOf(child.pid)
    const before = { applied: await applied(sql), cpu: await cpuSeconds(pid), postgres: await stand.postgresCpu() }
    const isDone = async () => (await applied(sql)) >= count && (what === 'intake' || !(await pending(sql)))
    const doneAt = await when(isDone, child)
    const changes = count - before.applied
    return {
      sql,
      startSeconds: (firstAt - began) / 1000,
      rate: changes / ((doneAt - firstAt) / 1000),
      cpuMicros: (((await cpuSeconds(pid)) - before.cpu) * 1e6) / changes,
      postgresMicros: (((await stand.postgresCpu()) - before.postgres) * 1e6) / changes,
      peak: await peakMemory(pid),
    }
  } finally {
    await child.kill9()
  }
}
const measureIntake = (stand: Stand, count: number) => measure(stand, 'intake', count, {})
const measureIngest = async (stand: Stand, count: number) => {
  const measured = await measure(stand, 'ingest', count, {})
  const [view] = await measured.sql<{ rows: number }[]>`select count(*)::int as rows from bench.customer where _live`
  return { ...measured, rows: view!.rows }
}
