/**
 * One change that reaches very many rows, a product renamed, beside a steady rate of changes to others' rows: what becomes of their
 * latency, how long the fan-out takes, and whether freshness says so for as long as a single row still has the old name.
 */
import { availableParallelism, loadavg } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Sql } from '../../src/platform/postgres.ts'
import type { Message } from './changes.ts'
import { runProbes } from './probes.ts'
import { childOf, peakMemory } from './process.ts'
import { quantile, report } from './report.ts'
import { applied, openStand, pending, when } from './stand.ts'
import { send, sendAll } from './topics.ts'

export type FanoutOptions = {
  readonly rows: number
  /** Others' changes a second. */
  readonly rate: number
  /** Of the quiet time that it is compared with. */
  readonly seconds: number
}

const products = 'fanout.products'
const listings = 'fanout.listings'
const others = 1_000
const warm = 5
const patience = 300

let lsn = 1_000
const message = (topic: string, row: Readonly<Record<string, string>>): Message => {
  lsn += 100
  const source = { name: 'bench', db: 'bench', schema: 'public', ts_ms: Date.now(), snapshot: 'false', lsn }
  return {
    topic,
    key: JSON.stringify({ id: row.id }),
    value: JSON.stringify({ before: null, after: { tenant_id: 'acme', ...row }, source, op: 'u', ts_ms: Date.now() }),
  }
}
const listing = (id: string, product: string, note: string): Message =>
  message(listings, { id, product_id: product, note })

export const benchFanout = async ({ rows, rate, seconds }: FanoutOptions): Promise<void> => {
  const stand = await openStand({ folder: join(import.meta.dirname, 'fanout'), topics: [products, listings] })
  try {
    const loaded = [
      message(products, { id: 'big', name: 'old' }),
      message(products, { id: 'other', name: 'other' }),
      ...Array.from({ length: rows }, (_, n) => listing(`l${n}`, 'big', 'first')),
      ...Array.from({ length: others }, (_, n) => listing(`o${n}`, 'other', 'first')),
    ]
    await sendAll(stand.producer, loaded)
    const { sql, ...run } = await stand.run()
    const ingest = run.start('ingest')
    try {
      await when(async () => (await applied(sql)) >= loaded.length && !(await pending(sql)), ingest)
      const table = await tableOf(sql)
      let n = 0
      const given = {
        ...{ sql, producer: stand.producer, rate, table },
        others: () => listing(`o${n++ % others}`, 'other', `changed ${n}`),
        probe: (number: number, id: string) => listing(id, 'other', `n${number}`),
        check: () => {
          if (!ingest.alive()) throw new Error(`ingest ended:\n${ingest.output()}`)
        },
      }
      const quiet = await runProbes({ ...given, seconds, warm })

      const began = performance.now()
      await send(stand.producer, [message(products, { id: 'big', name: 'new' })])
      const [clock] = await sql<{ now: string }[]>`select clock_timestamp()::text as now`
      const watched = watchFanout(sql, table, clock!.now)
      let over = false
      const finished = watched.then((found) => {
        over = true
        return found
      })
      const beside = await runProbes({ ...given, seconds: patience, warm: 0, enough: () => over })
      const { looks, early, last, doneAt } = await finished
      const peak = await peakMemory(await childOf(ingest.pid))

      const took = (doneAt - began) / 1000
      const p95 = { quiet: quantile(quiet, 0.95), beside: quantile(beside, 0.95) }
      report(
        'fanout',
        [
          { name: 'rows that one change reaches', value: rows, unit: 'rows' },
          { name: 'until the last is right', value: took, unit: 's', against: `${Math.round(rows / took)} rows/s` },
          ...[0.5, 0.95, 0.99].map((q) => ({
            name: `others at ${rate}/s, sent to visible p${q * 100}`,
            value: quantile(beside, q),
            unit: 'ms',
            against: `quiet: ${quantile(quiet, q).toFixed(1)}, of ${beside.length} beside it and ${quiet.length} quiet`,
          })),
          { name: 'oldest bound that was said meanwhile', value: last, unit: 's behind' },
          { name: 'peak memory of ingest', value: peak, unit: 'MiB' },
          { name: 'load of the machine', value: loadavg()[0]!, unit: `runnable, on ${availableParallelism()} cores` },
        ],
        [
          { name: 'others’ p95 over its quiet value', value: p95.beside / p95.quiet, most: 2 },
          { name: `of ${looks} looks, those at which freshness was ahead of the rows`, value: early, most: 0 },
          { name: 'peak memory of ingest, MiB', value: peak, most: 350 },
        ],
      )
    } finally {
      await ingest.stop()
    }
  } finally {
    await stand.stop()
  }
}

const tableOf = async (sql: Sql): Promise<string> => {
  const [found] = await sql<{ table: string }[]>`
    select format('forebay_view.%I', tablename) as table from pg_tables where schemaname = 'forebay_view' and tablename ~ '^listing_overview_[0-9a-f]+$'`
  return found!.table
}

/**
 * Looks once a second, each time at rows and bounds in one snapshot, until no row has the old name. `logged`: a moment by which the change
 * was in the log, so that no bound may be later while a row lacks it.
 */
const watchFanout = async (sql: Sql, table: string, logged: string) => {
  let [looks, early, last] = [0, 0, 0]
  for (;;) {
    const [seen] = await sql.unsafe<{ left: number; early: boolean; behind: number }[]>(`
      select (select count(*)::int from ${table} where product_name = 'old') as left, bound > '${logged}' as early,
        extract(epoch from clock_timestamp() - bound)::float8 as behind
      from (select least((select min(frontier) from forebay.positions), (select min(origin) from forebay.dirty)) as bound) b`)
    if (seen!.left === 0) return { looks, early, last, doneAt: performance.now() }
    looks += 1
    if (seen!.early) early += 1
    last = Math.max(last, seen!.behind)
    await sleep(1_000)
  }
}
