/** Lets the simulation work at a settable rate and hands what its sources would send to a log. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { TransactionSql } from 'postgres'
import { log } from '../../platform/log.ts'
import type { Sql } from '../../platform/postgres.ts'
import { createDebezium, type OutRecord } from './debezium.ts'
import { createFaults } from './faults.ts'
import type { Simulation, Size, Transaction } from './simulation.ts'
import { loadState, saveState } from './state.ts'

/** Where records go: all of them, in this order within a topic, and `save` committed with them, or it throws. */
export type LogWriter = {
  write(records: readonly OutRecord[], save: (sql: TransactionSql) => Promise<void>): Promise<void>
  close(): Promise<void>
}
export type FeederOptions = {
  readonly simulation: Simulation
  readonly sql: Sql
  readonly writer: LogWriter
  /** Records a second. */
  readonly rate: number
  readonly faults: boolean
  readonly seed: number
  readonly size: Size
}
export type Feeder = {
  /** Records written since the start. */
  written(): number
  stop(): Promise<void>
}

const tickMs = 100
const most = 5_000

/** Writes what the sources hold before anyone listens, if this is the first start, then begins to work; resolves in between. */
export const startFeeder = async (options: FeederOptions): Promise<Feeder> => {
  const { simulation, sql, writer, rate, seed } = options
  const state = await loadState(sql)
  const run = simulation.create({
    seed,
    now: Date.now,
    faults: options.faults,
    ...(state ? { saved: state.saved } : {}),
  })
  const debezium = createDebezium(simulation.tables, state?.wal)
  const faults = createFaults({ random: Math.random, held: state?.held ?? [] })
  let written = 0
  let stopped = false
  const stopping = new AbortController()

  const write = async (transactions: readonly Transaction[], records: readonly OutRecord[]): Promise<void> => {
    const memory = { memory: run.memory(), wal: debezium.position(), held: faults.held() }
    await writer.write(records, (tx) => saveState(tx, simulation.tables, transactions, memory))
    written += records.length
  }

  /** What the simulation did can't be undone, so the same records are tried until the log takes them. */
  const writeInTheEnd = async (transactions: readonly Transaction[], records: readonly OutRecord[]): Promise<void> => {
    for (let failures = 0; ; failures += 1) {
      try {
        return await write(transactions, records)
      } catch (error) {
        if (stopped) return
        if (failures === 0) log.warn('the simulation waits for its log', { error })
        await sleep(500, undefined, { signal: stopping.signal }).catch(() => {})
      }
    }
  }

  const work = async (): Promise<void> => {
    let last = performance.now()
    let owed = 0
    while (!stopped) {
      const now = performance.now()
      owed = Math.min(owed + (rate * (now - last)) / 1000, most)
      last = now
      const transactions: Transaction[] = []
      const records: OutRecord[] = []
      while (owed >= 1) {
        const done = run.step()
        const sent = done.flatMap(debezium.render)
        transactions.push(...done)
        records.push(...sent)
        owed -= Math.max(1, sent.length)
      }
      await writeInTheEnd(transactions, options.faults ? faults.disturb(records) : records)
      await sleep(tickMs, undefined, { signal: stopping.signal }).catch(() => {})
    }
  }

  if (!state) {
    const found = run.seedData(options.size)
    await write(found, found.flatMap(debezium.render))
  }
  const working = work()
  return {
    written: () => written,
    stop: async () => {
      stopped = true
      stopping.abort()
      await working
      await writer.close()
    },
  }
}
