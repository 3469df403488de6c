/** What others come to on the same topics, each in a database of its own, and whether what they end with is right. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Admin } from 'kafkajs'
import type { Sql } from '../../../src/platform/postgres.ts'
import { tables } from '../changes.ts'
import { type Drift, type Ledger, namesOf } from '../expected.ts'
import type { Stand } from '../stand.ts'
import { type Order, startFlink } from './flink.ts'
import { startJdbcSink } from './jdbc-sink.ts'

/** `rate`: changes a second, from the first rows that can be seen to the end of the log, so that no program's start counts. */
export type Peer = { readonly rate: number; readonly seconds: number; readonly drift: readonly Drift[] }

export const measureJdbcSink = async (stand: Stand, count: number, ledger: Ledger): Promise<Peer> => {
  const database = await stand.database()
  const { sql } = database
  const sink = await startJdbcSink(stand.brokers, database)
  try {
    const anything = tables.map((table) => `exists (select from public.${table})`).join(' or ')
    const firstAt = await until(() => isTrue(sql, anything))
    const doneAt = await until(async () => (await committed(stand.admin, sink.groups)) >= count)
    const drift = await ledger.drift(sql, { table: (table) => `select ${namesOf(table)} from public.${table}` })
    return { ...rateOf(count, firstAt, doneAt), drift }
  } finally {
    await sink.stop()
  }
}

export const measureFlink = async (stand: Stand, count: number, ledger: Ledger, order: Order): Promise<Peer> => {
  const database = await stand.database()
  const { sql } = database
  const flink = await startFlink(stand.brokers, database, order)
  try {
    const firstAt = await until(async () => {
      if (!flink.child.alive()) throw new Error(`Flink ended:\n${flink.child.output()}`)
      return isTrue(sql, 'exists (select from public.customer_overview)')
    })
    const code = await flink.child.ended
    const doneAt = performance.now()
    if (code !== 0 || /\[ERROR\]/.test(flink.child.output())) throw new Error(`Flink failed:\n${flink.child.output()}`)
    return { ...rateOf(count, firstAt, doneAt), drift: await ledger.drift(sql, { view: flinkView, ordered: false }) }
  } finally {
    await flink.stop()
  }
}
const flinkView = `
  select id, email, full_name, tier, note, order_count::int, spent, last_order_at::timestamptz,
    (select coalesce(jsonb_agg(e || jsonb_build_object('placedAt', (e->>'placedAt')::timestamptz)), '[]')
      from jsonb_array_elements(recent_orders::jsonb) e) as recent_orders
  from public.customer_overview`

const rateOf = (count: number, firstAt: number, doneAt: number) => {
  const seconds = (doneAt - firstAt) / 1000
  return { rate: count / seconds, seconds }
}

const patienceMs = 600_000
const until = async (condition: () => Promise<boolean>): Promise<number> => {
  const deadline = performance.now() + patienceMs
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${patienceMs / 1000} s`)
    await sleep(50)
  }
  return performance.now()
}
const isTrue = async (sql: Sql, condition: string): Promise<boolean> => {
  const [row] = await sql.unsafe<{ is: boolean }[]>(`select ${condition} as is`)
  return row!.is
}
const committed = async (admin: Admin, groups: readonly string[]): Promise<number> => {
  const offsets = await Promise.all(groups.map((groupId) => admin.fetchOffsets({ groupId })))
  return offsets
    .flat(2)
    .flatMap(({ partitions }) => partitions)
    .reduce((total, { offset }) => total + Math.max(0, Number(offset)), 0)
}
