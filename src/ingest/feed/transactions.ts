/** A slot's messages → records. A change's version is its commit's place in the log, then its own: each key's changes in the order they came true. */
import type { FeedRecord } from '../feed.ts'
import { type Cells, envelope, keyJson, type Origin, rowJson, unsent } from './envelope.ts'
import { type Message, type Relation, readMessage } from './pgoutput.ts'
import type { PgTable } from './postgres-table.ts'
import { type PgType, valueWriter } from './postgres-value.ts'

/** Where to go on: behind every commit before `lsn`, and behind the first `inside` changes of the transaction that commits at `at`. */
export type Place = { readonly lsn: bigint; readonly at?: bigint; readonly inside?: number }

export type Followed = { readonly topic: string; readonly table: PgTable }
export type TransactionsOptions = {
  readonly connection: string
  readonly followed: readonly Followed[]
  readonly from: Place
  /** Types that no table had when the feed began. */
  types(oids: readonly number[]): Promise<ReadonlyMap<number, PgType>>
}

type Open = { readonly lsn: bigint; readonly micros: bigint; readonly xid: number; changes: number }

export const readTransactions = ({ connection, followed, from, types }: TransactionsOptions) => {
  const relations = new Map<number, Followed>()
  let place = from
  let open: Open | undefined

  /** A transaction that was left in its middle comes again after whatever the server says first: what is known of it stays until then. */
  const behind = (lsn: bigint): Place => (place.at !== undefined && lsn <= place.at ? { ...place, lsn } : { lsn })

  /** Columns as they are now in the log: a table may change while it is followed. */
  const remember = async (relation: Relation): Promise<void> => {
    const known = followed.find(({ table }) => table.schema === relation.schema && table.name === relation.table)
    if (known === undefined) return void relations.delete(relation.oid)
    const found = await types([...new Set(relation.columns.map(({ type }) => type))])
    const columns = relation.columns.map(({ name, type, modifier }) => {
      const resolved = { ...found.get(type)!, modifier }
      return { name, sqlType: '', type: resolved, write: valueWriter(resolved) }
    })
    for (const name of known.table.key)
      if (!columns.some((column) => column.name === name))
        throw new Error(`the source's table ${relation.schema}.${relation.table} no longer has its key column ${name}`)
    relations.set(relation.oid, { ...known, table: { ...known.table, columns } })
  }

  const recordsOf = (message: Message, lsn: bigint, { lsn: commit, micros, xid }: Open): readonly FeedRecord[] => {
    const origin = (table: PgTable): Origin => ({ connection, table, micros, xid, lsn, commit, snapshot: 'false' })
    switch (message.kind) {
      case 'insert': {
        const of = relations.get(message.oid)
        return of ? [written(of, 'c', message.cells, null, origin(of.table))] : []
      }
      case 'update': {
        const of = relations.get(message.oid)
        return of ? updated(of, message, origin(of.table)) : []
      }
      case 'delete': {
        const of = relations.get(message.oid)
        return of ? [deleted(of, message.old.cells, origin(of.table))] : []
      }
      case 'truncate':
        return message.oids.flatMap((oid) => {
          const of = relations.get(oid)
          return of ? [{ topic: of.topic, key: null, value: envelope('t', null, null, origin(of.table)) }] : []
        })
      default:
        return []
    }
  }

  return {
    /** Of the records so far. */
    place: (): Place => place,
    /** Nothing is half read. */
    idle: (): boolean => open === undefined,
    /** All that commits before this is read. */
    passed(lsn: bigint): void {
      if (open === undefined && lsn > place.lsn) place = behind(lsn)
    },
    async read(bytes: Buffer, lsn: bigint): Promise<readonly FeedRecord[]> {
      const message = readMessage(bytes)
      switch (message.kind) {
        case 'begin':
          open = { ...message, changes: 0 }
          return []
        case 'commit':
          open = undefined
          place = behind(message.end)
          return []
        case 'relation':
          await remember(message.relation)
          return []
        case 'other':
          return []
        default: {
          if (open === undefined) throw new Error('the source sends a change outside of a transaction')
          open.changes += 1
          if (place.at === open.lsn && open.changes <= (place.inside ?? 0)) return []
          place = { lsn: place.lsn, at: open.lsn, inside: open.changes }
          return recordsOf(message, lsn, open)
        }
      }
    },
  }
}

const bytesOf = (table: PgTable, cells: Cells): Buffer => Buffer.from(keyJson(table, cells))

const written = (
  { topic, table }: Followed,
  op: string,
  cells: Cells,
  old: Cells | null,
  origin: Origin,
  headers?: FeedRecord['headers'],
): FeedRecord => ({
  topic,
  key: bytesOf(table, cells),
  value: envelope(op, old && rowJson(table.columns, old), rowJson(table.columns, cells), origin),
  ...(headers ? { headers } : {}),
})

const deleted = (
  { topic, table }: Followed,
  cells: Cells,
  origin: Origin,
  headers?: FeedRecord['headers'],
): FeedRecord => {
  const key = keyJson(table, cells)
  return { topic, key: Buffer.from(key), value: envelope('d', key, null, origin), ...(headers ? { headers } : {}) }
}

/** Of an update that moves its row to another key: a delete and a create, each naming the other's key, as Debezium has them. */
const updated = (
  of: Followed,
  { old, cells }: Extract<Message, { kind: 'update' }>,
  origin: Origin,
): readonly FeedRecord[] => {
  const whole = old?.whole ? old.cells : null
  const full = cells.map((cell, index) => (cell === unsent ? (whole?.[index] ?? unsent) : cell))
  const before = old && keyJson(of.table, old.cells)
  const after = keyJson(of.table, full)
  if (old === undefined || before === undefined || before === after) return [written(of, 'u', full, whole, origin)]
  return [
    deleted(of, old.cells, origin, { '__debezium.newkey': after }),
    written(of, 'c', full, null, origin, { '__debezium.oldkey': before }),
  ]
}
