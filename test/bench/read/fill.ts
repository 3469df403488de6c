/** The rows that are read: written to the journal as a source would, kept up by ingest, and shown to peers as a plain view. */

import { append, createTopics } from '../../../src/ingest/source/journal.ts'
import { loadSchema } from '../../../src/model/load.ts'
import { ident } from '../../../src/model/names.ts'
import { compileView } from '../../../src/model/sql/compile-view.ts'
import { installModel } from '../../../src/operate/migrate/install.ts'
import type { Sql } from '../../../src/platform/postgres.ts'
import { changes, type Message } from '../changes.ts'

const batch = 5_000

export const appendAll = async (sql: Sql, messages: readonly Message[]): Promise<void> => {
  const byTopic = Map.groupBy(messages, ({ topic }) => topic)
  await sql.begin(async (tx) => {
    for (const topic of [...byTopic.keys()].sort()) {
      const records = byTopic
        .get(topic)!
        .map(({ key, value }) => ({ key: Buffer.from(key), value: Buffer.from(value) }))
      await append(tx, topic, records)
    }
  })
}

/** So many more; `take` would end what it takes from. */
export const next = (more: Generator<Message>, count: number): readonly Message[] =>
  Array.from({ length: count }, () => more.next().value as Message)

export type Filled = {
  /** The view's own table. */
  readonly table: string
  /** What comes after the rows that are there. */
  readonly more: Generator<Message>
}
/** Writes the log; ingest does the rest. */
export const fill = async (sql: Sql, folder: string, customers: number): Promise<Filled> => {
  const loaded = await loadSchema(folder)
  if (!loaded.ok) throw new Error('the bench schema has faults: forebay check says which')
  const { model } = loaded
  await installModel(sql, model)
  await createTopics(sql, [...new Set([...model.entities.values()].map(({ source }) => source.topic))])
  const more = changes(Number.MAX_SAFE_INTEGER, customers)
  for (let left = customers * 12; left > 0; left -= batch) await appendAll(sql, next(more, Math.min(left, batch)))
  const { table } = compileView(model, model.views.get('CustomerOverview')!)
  return { table: table.table, more }
}

/** All that is in the log is in the view. */
export const isWorkedIn = async (sql: Sql): Promise<boolean> => {
  const [row] = await sql<{ done: boolean }[]>`
    select not exists (select from forebay.dirty)
      and not exists (select from forebay.journal_ends e where e.next_offset > coalesce(
        (select next_offset from forebay.positions p where p.topic = e.topic and p.partition = e.partition), 0)) as done`
  return row!.done
}

/** The same rows under plain names, in a schema of their own, as peers like them. */
export const showToPeers = async (sql: Sql, table: string): Promise<void> => {
  const columns = ['id', 'email', 'full_name', 'tier', 'note', 'order_count', 'spent', 'last_order_at', 'recent_orders']
  await sql.unsafe(`create schema peers`)
  await sql.unsafe(`create view peers.customer_overview as
    select ${columns.map(ident).join(', ')} from ${table} where _tenant = 'acme'`)
  await sql.unsafe(`comment on view peers.customer_overview is E'@primaryKey id'`)
}
