/** The shop's state and its one way of changing: rows in memory, and every change noted for the transaction that commits it. */
import type { Message, Row, RowChange, Saved, Transaction } from '../../src/operate/demo/simulation.ts'
import { createRandom, type Random } from './random.ts'
import type { TableName, Tables } from './rows.ts'
import { tables } from './tables.ts'

export type World = {
  readonly random: Random
  /** Report what no declaration can take, use values it doesn't know yet. */
  readonly faults: boolean
  /** Milliseconds since 1970. */
  now(): number
  /** The current time as the shop writes it. */
  moment(): string
  /** A new identifier: `C-1001`, `C-1002`, … */
  id(prefix: string): string
  all<T extends TableName>(table: T): Tables[T][]
  where<T extends TableName, C extends keyof Tables[T]>(table: T, column: C, value: Tables[T][C]): Tables[T][]
  find<T extends TableName>(table: T, ...key: (string | number)[]): Tables[T]
  insert<T extends TableName>(table: T, row: Tables[T]): Tables[T]
  update<T extends TableName>(table: T, row: Tables[T], patch: Partial<Tables[T]>): Tables[T]
  remove<T extends TableName>(table: T, row: Tables[T]): void
  /** The row will never change again: no need to hold it. */
  settle<T extends TableName>(table: T, row: Tables[T]): void
  publish(message: Message): void
  /** Ends the transaction that all changes since the last commit belong to. */
  commit(): void
  /** The transactions committed since last asked. */
  take(): readonly Transaction[]
  memory(): Saved['memory']
}

const keys = new Map(tables.map((table) => [table.name, table.key]))
const keyOf = (table: string, row: Row): string =>
  keys
    .get(table)!
    .map((column) => row[column])
    .join('/')

/** ISO 8601 UTC without trailing zeros, as Debezium's isostring writes timestamps. */
export const iso = (time: number): string => new Date(time).toISOString().replace(/\.?0+Z$/, 'Z')

export const createWorld = (options: {
  readonly seed: number
  readonly now: () => number
  readonly faults: boolean
  readonly saved?: Saved
}): World => {
  const { now, saved } = options
  const random = createRandom(typeof saved?.memory.random === 'number' ? saved.memory.random : options.seed)
  const counters = new Map(Object.entries((saved?.memory.counters ?? {}) as Record<string, number>))
  // One map a table; the signatures of World say which rows it holds.
  const rows = new Map<string, Map<string, Row>>(
    tables.map(({ name }) => [name, new Map(saved?.rows.get(name)?.map((row) => [keyOf(name, row), row]))]),
  )
  const held = (table: TableName): Map<string, Row> => rows.get(table)!
  let changes: RowChange[] = []
  let messages: Message[] = []
  let settled: { table: string; row: Row }[] = []
  let done: Transaction[] = []
  const all = <T extends TableName>(table: T): Tables[T][] => [...held(table).values()] as Tables[T][]

  return {
    random,
    faults: options.faults,
    now,
    moment: () => iso(now()),
    id: (prefix) => {
      const number = (counters.get(prefix) ?? 1000) + 1
      counters.set(prefix, number)
      return `${prefix}-${number}`
    },
    all,
    where: (table, column, value) => all(table).filter((row) => row[column] === value),
    find: <T extends TableName>(table: T, ...key: (string | number)[]) => {
      const row = held(table).get(key.join('/'))
      if (!row) throw new Error(`${table} ${key.join('/')} is not held`)
      return row as Tables[T]
    },
    insert: (table, row) => {
      if (held(table).has(keyOf(table, row))) throw new Error(`${table} ${keyOf(table, row)} exists`)
      held(table).set(keyOf(table, row), row)
      changes.push({ table, op: 'insert', before: null, after: row })
      return row
    },
    update: (table, row, patch) => {
      const before = held(table).get(keyOf(table, row))
      if (!before) throw new Error(`${table} ${keyOf(table, row)} is not held`)
      const after = { ...row, ...before, ...patch }
      held(table).set(keyOf(table, row), after)
      changes.push({ table, op: 'update', before, after })
      return after
    },
    remove: (table, row) => {
      held(table).delete(keyOf(table, row))
      changes.push({ table, op: 'delete', before: row, after: null })
    },
    settle: (table, row) => {
      held(table).delete(keyOf(table, row))
      settled.push({ table, row })
    },
    publish: (message) => messages.push(message),
    commit: () => {
      if (changes.length + messages.length + settled.length === 0) return
      done.push({ at: now(), snapshot: false, changes, messages, settled })
      changes = []
      messages = []
      settled = []
    },
    take: () => {
      const taken = done
      done = []
      return taken
    },
    memory: () => ({ random: random.state(), counters: Object.fromEntries(counters) }),
  }
}
