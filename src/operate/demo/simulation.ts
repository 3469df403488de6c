/**
 * What the demo and the tests need of a schema folder's workload: a small OLTP simulation of the sources that the folder declares.
 * A folder offers one by a file `simulation.ts` that exports `simulation`. Nothing here knows what is simulated.
 */
import { access } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

/** A value of a source row: timestamps as ISO 8601 UTC, numerics as text, bigint and integer as numbers, jsonb as JSON. */
export type Value = string | number | boolean | null | readonly string[] | { readonly [name: string]: Value }
export type Row = Readonly<Record<string, Value>>

export type SourceTable = {
  readonly name: string
  /** `<prefix>.<schema>.<table>`, the topic of a Debezium connector; absent: its service publishes messages itself. */
  readonly topic?: string
  readonly key: readonly string[]
  /** Column → Postgres type with its `not null`. */
  readonly columns: Readonly<Record<string, string>>
  /** Columns too large for their row (TOAST): an update that leaves them alone doesn't carry them. */
  readonly toasted?: readonly string[]
}

export type RowChange = {
  readonly table: string
  readonly op: 'insert' | 'update' | 'delete'
  readonly before: Row | null
  readonly after: Row | null
}

/** What a service publishes by itself. `value`: text as it stands on the log. */
export type Message = { readonly topic: string; readonly key: string; readonly value: string }

/** What one database transaction did, and what its service published with it. */
export type Transaction = {
  /** Commit time, milliseconds since 1970. */
  readonly at: number
  /** Rows that were there before anyone listened: a connector reads them as its snapshot. */
  readonly snapshot: boolean
  readonly changes: readonly RowChange[]
  readonly messages: readonly Message[]
  /** Rows that will never change again, which the simulation no longer holds. */
  readonly settled: readonly { readonly table: string; readonly row: Row }[]
}

export type Size = 'tiny' | 'small' | 'large'

/** All that a simulation knows, to go on from where it stopped: its rows by table, and the rest. */
export type Saved = {
  readonly rows: ReadonlyMap<string, readonly Row[]>
  readonly memory: { readonly [name: string]: Value }
}

export type Run = {
  /** The state in which the sources are found: a history of orders ending at the clock's time. Once, on an empty simulation. */
  seedData(size: Size): readonly Transaction[]
  /** One thing that happens: one or a few transactions, at least one change or message. */
  step(): readonly Transaction[]
  memory(): Saved['memory']
}

/** Someone who asks: what the demo makes a token for. */
export type Caller = {
  readonly role: string
  readonly tenant?: string
  readonly claims?: Readonly<Record<string, readonly string[]>>
}

export type Simulation = {
  readonly tables: readonly SourceTable[]
  readonly callers: readonly Caller[]
  /** The operation that the demo offers for pasting; every seed answers it. */
  readonly query: string
  /**
   * The same seed, clock and number of steps give the same transactions. `now`: milliseconds since 1970; without it a clock that
   * starts at a fixed moment and moves a second a step. `faults`: messages that no declaration can take, values it doesn't know yet.
   */
  create(options: {
    readonly seed: number
    readonly now?: () => number
    readonly faults?: boolean
    readonly saved?: Saved
  }): Run
}

/** The folder's simulation, or undefined where it has none. */
export const loadSimulation = async (schemaFolder: string): Promise<Simulation | undefined> => {
  const file = resolve(schemaFolder, 'simulation.ts')
  try {
    await access(file)
  } catch {
    return undefined
  }
  const loaded = (await import(pathToFileURL(file).href)) as { readonly simulation?: Simulation }
  if (!loaded.simulation)
    throw new Error(`${file} exports no "simulation": export const simulation: Simulation = { … }`)
  return loaded.simulation
}
