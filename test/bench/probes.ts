/** Twenty probes a second among a steady rate of other changes: from sent to visible in a row of a table. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Producer } from 'kafkajs'
import type { Sql } from '../../src/platform/postgres.ts'
import { type Message, message } from './changes.ts'
import { viewTable } from './expected.ts'
import { send } from './topics.ts'

export type ProbeOptions = {
  readonly sql: Sql
  readonly producer: Producer
  /** One change more; undefined: there are none but probes. */
  readonly others: () => Message
  readonly rate: number
  readonly seconds: number
  /** Seconds at the beginning of which no latency counts. */
  readonly warm: number
  /** Where they become visible: its `note` is `n` and the probe's number. By default the view of customers. */
  readonly table?: string
  readonly probe?: (n: number, id: string) => Message
  readonly sending?: (batch: readonly Message[]) => void
  /** Throws what ends it early. */
  readonly check?: () => void
  /** Ends it before its seconds are over, without a fault. */
  readonly enough?: () => boolean
}

const tick = 20
const probes = 20
let numbered = 0

/** Milliseconds each. Throws what sending throws. */
export const runProbes = async (options: ProbeOptions): Promise<number[]> => {
  const { sql, producer, others, rate, seconds, warm, sending = () => {}, check = () => {} } = options
  const { probe = ofCustomer, enough = () => false, table = await viewTable(sql) } = options
  const waiting = new Map<number, number>()
  const ended = new AbortController()
  const seen = watchProbes(sql, table, waiting, ended.signal)
  const inFlight = new Set<Promise<unknown>>()
  // Numbers go on from run to run: a later version of a probe is never older than one that was seen.
  const base = numbered
  let failure: unknown
  try {
    const started = performance.now()
    for (let n = 0; n < ((seconds + warm) * 1000) / tick && !enough(); n++) {
      check()
      if (failure !== undefined) throw failure
      const batch = Array.from({ length: Math.round((rate * tick) / 1000) - 1 }, others)
      numbered = base + n + 1
      batch.push(probe(base + n, `probe${(base + n) % probes}`))
      const due = started + n * tick
      await sleep(Math.max(0, due - performance.now()))
      sending(batch)
      // From when it was due: what a late sender keeps waiting is latency too.
      if (n * tick > warm * 1000) waiting.set(base + n, due)
      const acknowledged = send(producer, batch).catch((error: unknown) => {
        failure = error
      })
      inFlight.add(acknowledged)
      void acknowledged.finally(() => inFlight.delete(acknowledged))
    }
    await Promise.all(inFlight)
  } finally {
    ended.abort()
  }
  const latencies = await seen
  return [...latencies, ...[...waiting.values()].map((at) => performance.now() - at)]
}

const ofCustomer = (n: number, id: string): Message => {
  const row = { id, tenant_id: 'acme', email: `${id}@example.org`, full_name: id, tier: 'GOLD', note: `n${n}` }
  return message({ table: 'customers', op: 'u', at: Date.now(), lsn: 9_000_000_000 + n * 1_000, row })
}

/** Takes off what waits as it becomes visible, until the signal. */
const watchProbes = async (
  sql: Sql,
  table: string,
  waiting: Map<number, number>,
  signal: AbortSignal,
): Promise<number[]> => {
  const latencies: number[] = []
  while (!signal.aborted) {
    await sleep(2)
    if (waiting.size === 0) continue
    const rows = await sql.unsafe<{ note: string }[]>(
      `select note from ${table} where id >= 'probe' and id < 'probf'`,
      [],
      { prepare: true },
    )
    const now = performance.now()
    for (const { note } of rows) {
      const newest = Number(note.slice(1))
      for (const [n, at] of waiting) {
        if (n > newest || n % probes !== newest % probes) continue
        latencies.push(now - at)
        waiting.delete(n)
      }
    }
  }
  return latencies
}
