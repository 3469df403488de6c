/**
 * Ingest from a real Kafka into entities and a view, as `forebay ingest` runs it; then live at a steady rate.
 * Paired in the same run with the bare two-connection upsert of the same rows.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Kafka, logLevel, type Producer } from 'kafkajs'
import { loadSchema } from '../../src/model/load.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { startPostgres } from '../../src/platform/embedded-postgres.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { startChild } from '../support/child.ts'
import { ownKafka } from '../support/kafka.ts'
import { changes, type Message, message, tables } from './changes.ts'
import { bareUpsertRate } from './limits/upsert.ts'
import { childOf, peakMemory } from './process.ts'
import { quantile, report } from './report.ts'

const folder = join(import.meta.dirname, 'schema')
export type IngestOptions = {
  readonly changes: number
  readonly customers: number
  readonly rate: number
  readonly seconds: number
}

export const benchIngest = async (options: IngestOptions): Promise<void> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'forebay-bench-'))
  const [kafka, postgres] = [await ownKafka(4), await startPostgres({ dataDir })]
  const sql = connect(postgres.url, { max: 4, name: 'bench' })
  const client = new Kafka({ brokers: kafka.brokers, logLevel: logLevel.NOTHING })
  const producer = client.producer({ allowAutoTopicCreation: false })
  try {
    const loaded = await loadSchema(folder)
    if (!loaded.ok) throw new Error('the bench schema has faults: forebay check says which')
    await installModel(sql, loaded.model)
    const admin = client.admin()
    await admin.connect()
    await admin.createTopics({
      topics: tables.map((table) => ({ topic: `bench.${table}`, numPartitions: 4, replicationFactor: 1 })),
    })
    await admin.disconnect()

    const messages = [...changes(options.changes, options.customers)]
    const bytes =
      messages.slice(0, 10_000).reduce((total, { value }) => total + Buffer.byteLength(value), 0) /
      Math.min(10_000, messages.length)
    await producer.connect()
    for (let start = 0; start < messages.length; start += 2_000)
      await send(producer, messages.slice(start, start + 2_000))

    const limit = await bareUpsertRate(postgres.url, messages)
    const began = performance.now()
    const ingest = startChild(join(import.meta.dirname, '../../bin/forebay'), ['ingest'], {
      env: {
        FOREBAY_SCHEMA: folder,
        DATABASE_URL: postgres.url,
        KAFKA_BROKERS: kafka.brokers.join(),
        PORT: '0',
        FOREBAY_DATA: dataDir,
      },
    })
    try {
      const firstAt = await when(async () => (await applied(sql)) > 0, ingest.alive, ingest.output)
      await when(
        async () => (await applied(sql)) >= messages.length && !(await pending(sql)),
        ingest.alive,
        ingest.output,
      )
      const took = (performance.now() - firstAt) / 1000
      const rate = messages.length / took
      const [view] = await sql<{ rows: number }[]>`select count(*)::int as rows from bench.customer where _live`
      const live = await benchLive(sql, producer, options)
      report('ingest', [
        { name: 'changes', value: messages.length, unit: `of ${Math.round(bytes)} B` },
        { name: 'customers', value: view!.rows, unit: 'view rows' },
        { name: 'start to first commit', value: (firstAt - began) / 1000, unit: 's' },
        { name: 'limit: bare upsert, two connections', value: limit, unit: 'changes/s' },
        {
          name: 'catch-up, views included',
          value: rate,
          unit: 'changes/s',
          against: `${(rate / limit).toFixed(2)} × the limit`,
        },
        { name: `live at ${options.rate}/s, sent to visible p50`, value: quantile(live, 0.5), unit: 'ms' },
        { name: `live at ${options.rate}/s, sent to visible p95`, value: quantile(live, 0.95), unit: 'ms' },
        { name: `live at ${options.rate}/s, sent to visible p99`, value: quantile(live, 0.99), unit: 'ms' },
        { name: 'peak memory of ingest', value: await peakMemory(await childOf(ingest.pid)), unit: 'MiB' },
      ])
    } finally {
      await ingest.stop()
    }
  } finally {
    await producer.disconnect()
    await sql.end()
    await postgres.stop()
    await kafka.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
}

const send = (producer: Producer, batch: readonly Message[]) =>
  producer.sendBatch({
    topicMessages: [...Map.groupBy(batch, ({ topic }) => topic)].map(([topic, group]) => ({
      topic,
      messages: group.map(({ key, value }) => ({ key, value })),
    })),
  })

const applied = async (sql: Sql): Promise<number> => {
  const [row] = await sql<{ n: number }[]>`select coalesce(sum(next_offset), 0)::int as n from forebay.positions`
  return row!.n
}
const pending = async (sql: Sql): Promise<boolean> => {
  const [row] = await sql<{ any: boolean }[]>`select exists (select from forebay.dirty) as any`
  return row!.any
}
const when = async (condition: () => Promise<boolean>, alive: () => boolean, output: () => string): Promise<number> => {
  while (!(await condition())) {
    if (!alive()) throw new Error(`ingest ended:\n${output()}`)
    await sleep(20)
  }
  return performance.now()
}
/** Twenty probes a second among a steady rate of other changes: milliseconds from send to a view row that shows it. */
const benchLive = async (sql: Sql, producer: Producer, { rate, seconds }: IngestOptions): Promise<number[]> => {
  const [gen] = await sql<{ table: string }[]>`
    select format('forebay_view.%I', tablename) as table from pg_tables where schemaname = 'forebay_view' and tablename like 'customer_overview%'`
  const stream = changes(Number.MAX_SAFE_INTEGER, 1_000, 7)
  const sent = new Map<string, number>()
  const latencies: number[] = []
  const warm = 5
  const tick = 20
  const started = performance.now()
  let lsn = 9_000_000_000
  for (let n = 0; n < ((seconds + warm) * 1000) / tick; n++) {
    const batch: Message[] = Array.from({ length: Math.round((rate * tick) / 1000) - 1 }, () => stream.next().value!)
    const id = `probe${n % 20}`
    const note = `n${n}`
    lsn += 1_000
    batch.push(
      message({
        table: 'customers',
        op: 'u',
        at: Date.now(),
        lsn,
        row: { id, tenant_id: 'acme', email: `${id}@example.org`, full_name: id, tier: 'GOLD', note },
      }),
    )
    const due = started + n * tick
    if (n * tick > warm * 1000) sent.set(note, Math.max(due, performance.now()))
    send(producer, batch).catch(() => {})
    const until = due + tick
    do {
      if (sent.size) {
        const rows = await sql.unsafe<{ note: string }[]>(`select note from ${gen!.table} where id like 'probe%'`, [], {
          prepare: true,
        })
        for (const { note: seen } of rows) {
          const number = Number(seen.slice(1))
          for (const [waiting, at] of sent) {
            if (Number(waiting.slice(1)) > number || Number(waiting.slice(1)) % 20 !== number % 20) continue
            latencies.push(performance.now() - at)
            sent.delete(waiting)
          }
        }
      }
      await sleep(2)
    } while (performance.now() < until)
  }
  return [...latencies, ...[...sent.values()].map((at) => performance.now() - at)]
}
