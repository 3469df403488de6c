/** Lets the simulation work at a settable rate and hands what its sources would send to a log. */
import { setTimeout as sleep } from 'node:timers/promises'
import { log } from '../../platform/log.ts'
import type { Sql } from '../../platform/postgres.ts'
import { createDebezium, type OutRecord } from './debezium.ts'
import { createFaults } from './faults.ts'
import type { Simulation, Size, Transaction } from './simulation.ts'
import { loadState, saveState } from './state.ts'

/** Where records go: all of them, in this order within a topic; after a failure, some of them. */
export type LogWriter = {
  write(records: readonly OutRecord[]): Promise<void>
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
  const faults = createFaults({ random: Math.random })
  let written = 0
  let stopped = false
  const stopping = new AbortController()

  const save = (transactions: readonly Transaction[], outbox: readonly OutRecord[]): Promise<void> => {
    const memory = { memory: run.memory(), wal: debezium.position(), held: faults.held(), outbox }
    return saveState(sql, simulation.tables, transactions, memory)
  }

  /** What the simulation did can't be undone, so it waits for a database or a log that is away. False: stopped before it was done. */
  const inTheEnd = async (attempt: () => Promise<void>): Promise<boolean> => {
    for (let failures = 0; ; failures += 1) {
      try {
        await attempt()
        return true
      } catch (error) {
        if (stopped) return false
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
      const arriving = options.faults ? faults.disturb(records) : records
      if (transactions.length + arriving.length > 0) {
        const saved = await inTheEnd(() => save(transactions, arriving))
        if (saved && (await inTheEnd(() => writer.write(arriving)))) written += arriving.length
      }
      await sleep(tickMs, undefined, { signal: stopping.signal }).catch(() => {})
    }
  }

  if (state) await writer.write([...state.outbox, ...state.held])
  else {
    // Saved at the end: a start that was cut short begins with the same rows again.
    const found = run.seedData(options.size)
    const records = found.flatMap(debezium.render)
    for (let at = 0; at < records.length; at += most) await writer.write(records.slice(at, at + most))
    await save(found, [])
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
