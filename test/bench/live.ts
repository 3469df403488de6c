/** Twenty probes a second among a steady rate of other changes: from sent to visible in a row of the view. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Producer } from 'kafkajs'
import type { Sql } from '../../src/platform/postgres.ts'
import { changes, type Message, message } from './changes.ts'
import { send } from './topics.ts'

/** Milliseconds each. */
export const benchLive = async (
  sql: Sql,
  producer: Producer,
  { rate, seconds }: { readonly rate: number; readonly seconds: number },
): Promise<number[]> => {
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
