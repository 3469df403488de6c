/**
 * The first reading of tables that a slot follows, exact to the change: a temporary slot exports the snapshot that belongs to the place in the
 * log where it begins. A read row carries that place as its version, so it loses to every change that commits after it and beats every
 * one before, whichever comes first. So snapshot and stream run side by side and neither waits.
 */
import type { TransactionSql } from '../../platform/postgres.ts'
import { connect } from '../../platform/postgres.ts'
import type { FeedRecord } from '../feed.ts'
import { envelope, keyJson, type Origin, rowJson } from './envelope.ts'
import { type PgTable, tableSql } from './postgres-table.ts'
import { textOfBytes } from './postgres-value.ts'
import { lsnOf, walSender } from './replication.ts'

export type SnapshotTable = { readonly topic: string; readonly table: PgTable }
export type SnapshotPage = { readonly topic: string; readonly records: readonly FeedRecord[]; readonly last: boolean }

const pageRows = 1_000

/** One snapshot of all these tables, in pages. It is one transaction at the source: broken off, it begins anew. */
export async function* readSnapshot(
  { url, connection, slot }: { readonly url: string; readonly connection: string; readonly slot: string },
  tables: readonly SnapshotTable[],
): AsyncGenerator<SnapshotPage> {
  const sender = walSender(url, `snapshot of ${connection}`)
  const reader = connect(url, {
    max: 1,
    name: `snapshot of ${connection}`,
    settings: { default_transaction_read_only: 'on' },
  })
  try {
    // Waits for the transactions that are open at the source.
    const [exported] = (await sender.unsafe(
      `CREATE_REPLICATION_SLOT "${slot}_${process.pid}" TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT`,
    )) as unknown as { consistent_point: string; snapshot_name: string }[]
    const sql = await reader.reserve()
    await sql`begin isolation level repeatable read read only`
    await sql.unsafe(`set transaction snapshot '${exported!.snapshot_name}'`)
    // The transaction holds the snapshot from here on; the slot would hold the source's log.
    await sender.end({ timeout: 0 }).catch(() => {})
    const [now] = await sql<{ micros: string }[]>`select (extract(epoch from now()) * 1000000)::bigint as micros`
    const origin = { connection, lsn: lsnOf(exported!.consistent_point), micros: BigInt(now!.micros) }
    for (const table of tables) yield* readTable(sql, table, origin)
    await sql`commit`
    sql.release()
  } finally {
    await Promise.all([sender, reader].map((pool) => pool.end({ timeout: 0 }).catch(() => {})))
  }
}

async function* readTable(
  sql: Pick<TransactionSql, 'unsafe'>,
  { topic, table }: SnapshotTable,
  from: Pick<Origin, 'connection' | 'lsn' | 'micros'>,
): AsyncGenerator<SnapshotPage> {
  const columns = table.columns.map(({ name }) => `"${name.replaceAll('"', '""')}"`).join(', ')
  const pages = sql
    .unsafe(`select ${columns} from ${tableSql(table)}`)
    .raw()
    .cursor(pageRows) as unknown as AsyncIterable<readonly (readonly (Buffer | null)[])[]>
  const record = (row: readonly (Buffer | null)[], last: boolean): FeedRecord => {
    const cells = row.map((bytes) => (bytes === null ? null : textOfBytes(bytes)))
    const origin: Origin = { ...from, table, snapshot: last ? 'last' : 'true' }
    return {
      topic,
      key: Buffer.from(keyJson(table, cells)),
      value: envelope('r', null, rowJson(table.columns, cells), origin),
    }
  }
  // The last row is known only when no page follows.
  let held: readonly (readonly (Buffer | null)[])[] | undefined
  for await (const page of pages) {
    if (held) yield { topic, last: false, records: held.map((row) => record(row, false)) }
    held = [...page]
  }
  const rows = held ?? []
  const records = rows.map((row, index) => record(row, index === rows.length - 1))
  // Of a table without rows only a truncate can say that none is left of what was there before.
  const nothing = { topic, key: null, value: envelope('t', null, null, { ...from, table, snapshot: 'last' }) }
  yield { topic, last: true, records: records.length > 0 ? records : [nothing] }
}
