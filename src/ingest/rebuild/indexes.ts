/**
 * Indexes that searchable fields need on tables that are there already, made while the tables are written to. They are no part of a view's
 * definition, so a field that becomes searchable costs an index and no rebuild.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { StoredView } from '../../model/stored-view.ts'
import type { Sql } from '../../platform/postgres.ts'
import { locks } from '../locks.ts'

const lookMs = 200

/** `sql` needs a connection to spare. One process makes them at a time: two on one table would wait for each other. */
export const makeIndexes = async (sql: Sql, views: readonly Pick<StoredView, 'indexes'>[]): Promise<void> => {
  const wanted = views.flatMap(({ indexes }) => indexes)
  if ((await missing(sql, wanted)).length === 0) return
  const own = await sql.reserve()
  try {
    // Waiting inside a statement would hold a snapshot, for whose end the one who makes an index waits.
    for (;;) {
      const [row] = await own<{ taken: boolean }[]>`select pg_try_advisory_lock(${locks.indexes}, 0) as taken`
      if (row!.taken) break
      await sleep(lookMs)
    }
    for (const { statement, name, broken } of await missing(own, wanted)) {
      // What was interrupted leaves an index that nothing uses and every write pays for.
      if (broken) await own.unsafe(`drop index concurrently if exists forebay_view.${name}`)
      await own.unsafe(statement.replace('create index if not exists', 'create index concurrently if not exists'))
    }
    await own`select pg_advisory_unlock(${locks.indexes}, 0)`
  } finally {
    own.release()
  }
}

type Missing = { readonly statement: string; readonly name: string; readonly broken: boolean }

const missing = async (sql: Sql, statements: readonly string[]): Promise<readonly Missing[]> => {
  const asked = statements.map((statement) => ({
    statement,
    name: /^create index if not exists (\S+) on/.exec(statement)![1]!,
  }))
  if (asked.length === 0) return []
  const rows = await sql<{ name: string; valid: boolean }[]>`
    select quote_ident(c.relname) as name, i.indisvalid as valid from pg_index i join pg_class c on c.oid = i.indexrelid
    where c.relnamespace = 'forebay_view'::regnamespace`
  const valid = new Map(rows.map(({ name, valid }) => [name.replaceAll('"', ''), valid]))
  return asked.flatMap(({ statement, name }) => {
    const found = valid.get(name.replaceAll('"', ''))
    return found === true ? [] : [{ statement, name, broken: found === false }]
  })
}
