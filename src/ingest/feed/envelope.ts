/** Debezium's change event as this engine's own feeds write it: the same fields, so the same decoder. */
import type { PgColumn, PgTable } from './postgres-table.ts'
import { unavailableJson } from './postgres-value.ts'

/** A column's text as the server wrote it; null; or `unsent`: the log left it out, since the update left it alone. */
export type Cell = string | null | typeof unsent
export const unsent = Symbol('unsent')

/** Of one row, in the columns' order. */
export type Cells = readonly Cell[]

/**
 * `lsn`: where the change stands in the source's log, `commit` where its transaction's commit does; together they make the version
 * (C12), and without them the record's offset does. `micros`: since 1970.
 */
export type Origin = {
  readonly connection: string
  readonly table: Pick<PgTable, 'schema' | 'name'>
  readonly micros: bigint
  readonly snapshot: 'first' | 'true' | 'last' | 'false'
  readonly lsn?: bigint
  readonly commit?: bigint
  readonly xid?: number
}

const cellJson = (column: PgColumn, cell: Cell): string =>
  cell === null ? 'null' : cell === unsent ? unavailableJson(column.type) : column.write(cell)

const field = (name: string, json: string): string => `${JSON.stringify(name)}:${json}`

export const rowJson = (columns: readonly PgColumn[], cells: Cells): string =>
  `{${columns.map((column, index) => field(column.name, cellJson(column, cells[index] ?? null))).join(',')}}`

/** The key's bytes: the same for the same row whatever brought it, since they choose its partition. */
export const keyJson = ({ columns, key }: Pick<PgTable, 'columns' | 'key'>, cells: Cells): string => {
  const parts = key.map((name) => {
    const index = columns.findIndex((column) => column.name === name)
    return field(name, cellJson(columns[index]!, cells[index]!))
  })
  return `{${parts.join(',')}}`
}

/** `before` and `after` as JSON text. */
export const envelope = (op: string, before: string | null, after: string | null, origin: Origin): Buffer => {
  const { connection, table, micros, snapshot, lsn, commit, xid } = origin
  const source = [
    field('connector', '"forebay"'),
    field('name', JSON.stringify(connection)),
    field('schema', JSON.stringify(table.schema)),
    field('table', JSON.stringify(table.name)),
    field('ts_us', String(micros)),
    field('snapshot', JSON.stringify(snapshot)),
    ...(lsn === undefined ? [] : [field('lsn', String(lsn))]),
    ...(commit === undefined ? [] : [field('sequence', JSON.stringify(JSON.stringify([String(commit), String(lsn)])))]),
    ...(xid === undefined ? [] : [field('txId', String(xid))]),
  ]
  return Buffer.from(
    `{"op":"${op}","before":${before ?? 'null'},"after":${after ?? 'null'},"source":{${source.join(',')}},"ts_us":${Date.now() * 1_000}}`,
  )
}
