/** Twenty probes a second among a steady rate of other changes: from sent to visible in a row of the view. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Producer } from 'kafkajs'
import type { Sql } from '../../src/platform/postgres.ts'
import { type Message, message } from './changes.ts'
import { viewTable } from './expected.ts'
import { send } from './topics.ts'

export type LiveOptions = {
  readonly sql: Sql
  readonly producer: Producer
  readonly others: Iterator<Message, void>
  readonly rate: number
  readonly seconds: number
  /** Seconds at the beginning of which no latency counts. */
  readonly warm: number
  readonly sending?: (batch: readonly Message[]) => void
  /** Throws what ends it early. */
  readonly check?: () => void
}

/** Milliseconds each. Throws what sending throws. */
export const runLive = async (options: LiveOptions): Promise<number[]> => {
  const { sql, producer, others, rate, seconds, warm, sending = () => {}, check = () => {} } = options
  const table = await viewTable(sql)
  const sent = new Map<string, number>()
  const latencies: number[] = []
  const tick = 20
  const started = performance.now()
  const inFlight = new Set<Promise<unknown>>()
  let failure: unknown
  let lsn = 9_000_000_000
  for (let n = 0; n < ((seconds + warm) * 1000) / tick; n++) {
    check()
    if (failure !== undefined) throw failure
    const batch = Array.from({ length: Math.round((rate * tick) / 1000) - 1 }, () => others.next().value as Message)
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
    sending(batch)
    const acknowledged = send(producer, batch).catch((error: unknown) => {
      failure = error
    })
    inFlight.add(acknowledged)
    void acknowledged.finally(() => inFlight.delete(acknowledged))
    const until = due + tick
    do {
      if (sent.size) {
        const rows = await sql.unsafe<{ note: string }[]>(`select note from ${table} where id like 'probe%'`, [], {
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
  await Promise.all(inFlight)
  return [...latencies, ...[...sent.values()].map((at) => performance.now() - at)]
}
