/**
 * What Debezium's Postgres connector sends for a source's transactions: JSON without the schema wrapper, `isostring` times, `string`
 * decimals, default replica identity (no `before` on update, only the key on delete), a tombstone after each delete.
 */
import type { Row, RowChange, SourceTable, Transaction, Value } from './simulation.ts'

/** A record as a producer hands it over. Key and value are text; `null` value: a tombstone. */
export type OutRecord = {
  readonly topic: string
  readonly key: string
  readonly value: string | null
  readonly headers: Readonly<Record<string, string>>
}

/** Where the source's write-ahead log is. */
export type WalPosition = { readonly lsn: number; readonly txId: number }

/** A record's own mark: what a service publishes by itself doesn't carry it. */
export const isCaptured = (record: OutRecord): boolean => '__debezium.context.connectorName' in record.headers

const placeholder = '__debezium_unavailable_value'

/** The value in the connector's JSON, by the column's Postgres type. */
const wire = (value: Value | undefined, type: string): Value => {
  if (value === null || value === undefined) return null
  if (type.startsWith('jsonb')) return JSON.stringify(value)
  if (type.startsWith('date')) return `${String(value)}Z`
  return value
}

const wireRow = (table: SourceTable, row: Row, omitted: ReadonlySet<string>): Row =>
  Object.fromEntries(
    Object.entries(table.columns).map(([column, type]) => [
      column,
      omitted.has(column) ? placeholder : wire(row[column], type),
    ]),
  )

const keyRow = (table: SourceTable, row: Row): Row =>
  Object.fromEntries(table.key.map((column) => [column, row[column] ?? null]))

const nulls = (table: SourceTable): Row =>
  Object.fromEntries(Object.keys(table.columns).map((column) => [column, null]))

/** Columns kept outside the row that an update left alone: the connector doesn't see their value. */
const unseen = (table: SourceTable, { before, after }: RowChange): ReadonlySet<string> =>
  new Set(table.toasted?.filter((column) => before?.[column] && before[column] === after?.[column]))

/** Renders transactions in commit order; every call moves the write-ahead log on. `position` is where to go on from after a stop. */
export const createDebezium = (tables: readonly SourceTable[], from: WalPosition = { lsn: 20_000_000, txId: 700 }) => {
  const byName = new Map(tables.map((table) => [table.name, table]))
  let { lsn, txId } = from

  const render = (transaction: Transaction): OutRecord[] => {
    txId += 1
    const began = lsn
    const orders = new Map<string, number>()
    const records: OutRecord[] = []
    for (const change of transaction.changes) {
      const table = byName.get(change.table)
      const row = change.after ?? change.before
      if (!table?.topic || !row) continue
      const [prefix = '', schema = ''] = table.topic.split('.')
      if (!transaction.snapshot) lsn += 56 + 8 * (JSON.stringify(row).length >> 3)
      const order = (orders.get(table.name) ?? 0) + 1
      orders.set(table.name, order)
      const key = JSON.stringify(keyRow(table, row))
      const headers = {
        '__debezium.context.connectorLogicalName': prefix,
        '__debezium.context.taskId': '0',
        '__debezium.context.connectorName': 'postgresql',
      }
      const value = {
        before: change.op === 'delete' ? { ...nulls(table), ...keyRow(table, row) } : null,
        after: change.after && wireRow(table, change.after, unseen(table, change)),
        source: {
          version: '3.4.0.Final',
          connector: 'postgresql',
          name: prefix,
          ts_ms: transaction.at,
          snapshot: transaction.snapshot ? 'true' : 'false',
          db: prefix,
          sequence: transaction.snapshot ? `[null,"${lsn}"]` : `["${began}","${lsn}"]`,
          ts_us: transaction.at * 1000,
          ts_ns: transaction.at * 1_000_000,
          schema,
          table: table.name,
          txId,
          lsn,
          xmin: null,
        },
        transaction: transaction.snapshot
          ? null
          : { id: `${txId}:${lsn}`, total_order: records.length + 1, data_collection_order: order },
        op: transaction.snapshot ? 'r' : change.op === 'insert' ? 'c' : change.op === 'update' ? 'u' : 'd',
        ts_ms: transaction.at,
        ts_us: transaction.at * 1000,
        ts_ns: transaction.at * 1_000_000,
      }
      records.push({ topic: table.topic, key, value: JSON.stringify(value), headers })
      if (change.op === 'delete') records.push({ topic: table.topic, key, value: null, headers })
    }
    // The commit record.
    lsn += transaction.snapshot ? 0 : 48
    return [...records, ...transaction.messages.map((message) => ({ ...message, headers: {} }))]
  }

  return { render, position: (): WalPosition => ({ lsn, txId }) }
}
