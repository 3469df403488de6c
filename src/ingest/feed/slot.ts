/** The source's side of a slot feed: its server, its publication and its slot, each judged with what to do about it. */
import { codeOf, type Sql } from '../../platform/postgres.ts'
import { Stuck } from '../feed.ts'
import { type PgTable, tableSql } from './postgres-table.ts'
import { lsnOf } from './replication.ts'

/** Of the slot and the publication, at the source. */
export const slotName = (connection: string): string => `forebay_${connection}`

/** Throws where the server can't be followed by a slot. Gives its identity: another one is another history. */
export const judgeServer = async (source: Sql): Promise<string> => {
  const [server] = await source<{ walLevel: string; standby: boolean; replicates: boolean; system: string }[]>`
    select current_setting('wal_level') as "walLevel", pg_is_in_recovery() as standby,
      (select rolreplication or rolsuper from pg_roles where rolname = current_user) as replicates,
      (select system_identifier::text from pg_control_system()) as system`
  if (server!.walLevel !== 'logical')
    throw new Error(
      `the source has wal_level=${server!.walLevel}, and a slot needs logical: alter system set wal_level = 'logical', then restart it; or give the table a watermark`,
    )
  if (server!.standby)
    throw new Error('the source is a standby, which keeps no slot of its own: connect to its primary')
  if (!server!.replicates)
    throw new Error("the source's user may not replicate: alter role <it> replication; or give the table a watermark")
  return server!.system
}

export const judgeTable = ({ schema, name, kind, identity }: PgTable): void => {
  const table = `the source's table ${schema}.${name}`
  if (kind !== 'r' && kind !== 'p')
    throw new Error(`${table} is no table but a view, which no slot follows: give it a watermark`)
  if (identity === 'n' || identity === 'i')
    throw new Error(
      `${table} has a replica identity that is not its primary key, so that deletes can't be told: alter table ${schema}.${name} replica identity default`,
    )
}

/**
 * Makes the publication hold these tables, and gives those that it did not hold before: what changed until now was never sent.
 * `expected`: a slot is read by it already; Stuck where it is gone, since the slot's log can't be read without it.
 */
export const ensurePublication = async (
  source: Sql,
  connection: string,
  tables: readonly PgTable[],
  expected: boolean,
): Promise<readonly PgTable[]> => {
  const name = slotName(connection)
  const [known] = await source<{ all: boolean; complete: boolean }[]>`
    select puballtables as all, pubinsert and pubupdate and pubdelete and pubtruncate as complete from pg_publication where pubname = ${name}`
  const list = (of: readonly PgTable[]) => of.map(tableSql).join(', ')
  const run = async (statement: string): Promise<void> => {
    try {
      await source.unsafe(statement)
    } catch (error) {
      if (codeOf(error) !== '42501') throw error
      throw new Error(`the source's user may not publish; have the tables' owner run: ${statement}`, { cause: error })
    }
  }
  if (known === undefined) {
    if (expected)
      throw new Stuck(
        `the source's publication ${name} is gone, and with it the changes since: ${newSnapshot(connection)}`,
      )
    await run(`create publication "${name}" for table ${list(tables)} with (publish_via_partition_root = true)`)
    return tables
  }
  if (!known.complete) await run(`alter publication "${name}" set (publish = 'insert, update, delete, truncate')`)
  if (known.all) return []
  const held = await source<{ schema: string; name: string }[]>`
    select n.nspname::text as schema, c.relname::text as name
    from pg_publication p join pg_publication_rel r on r.prpubid = p.oid join pg_class c on c.oid = r.prrelid join pg_namespace n on n.oid = c.relnamespace
    where p.pubname = ${name}`
  const missing = tables.filter((table) => !held.some((one) => one.schema === table.schema && one.name === table.name))
  // Tables that nobody reads any more stay: another version of the schema folder may be running beside this one.
  if (missing.length > 0) await run(`alter publication "${name}" add table ${list(missing)}`)
  return missing
}

const newSnapshot = (connection: string): string =>
  `the tables of ${connection} need a new snapshot, for which there is no command yet`

type Slot = { readonly confirmed: bigint; readonly lost: boolean }
const findSlot = async (source: Sql, name: string): Promise<Slot | undefined> => {
  const [slot] = await source<{ confirmed: string | null; lost: boolean; own: boolean }[]>`
    select confirmed_flush_lsn::text as confirmed, coalesce(wal_status = 'lost', false) as lost,
      plugin = 'pgoutput' and database = current_database() as own
    from pg_replication_slots where slot_name = ${name}`
  if (slot === undefined) return undefined
  if (!slot.own)
    throw new Error(
      `the source's slot ${name} is another program's: drop it there, or read by a connection of another name`,
    )
  return { confirmed: lsnOf(slot.confirmed ?? '0/0'), lost: slot.lost }
}

/** Throws Stuck where changes after `from` were or may have been lost. */
export const judgeSlot = async (
  source: Sql,
  connection: string,
  { from, system, now }: { readonly from: bigint; readonly system: string; readonly now: string },
): Promise<void> => {
  const name = slotName(connection)
  const again = newSnapshot(connection)
  if (system !== now)
    throw new Stuck(
      `the source of ${connection} is another server than before (system identifier ${now}, was ${system}): its order begins anew, so start a new epoch of its topics with forebay replay --new-epoch, then ${again}`,
    )
  const [flushed] = await source<{ lsn: string }[]>`select pg_current_wal_flush_lsn()::text as lsn`
  if (lsnOf(flushed!.lsn) < from)
    throw new Stuck(
      `the source of ${connection} is behind what was read of it: it was restored; start a new epoch of its topics with forebay replay --new-epoch, then ${again}`,
    )
  const slot = await findSlot(source, name)
  if (slot === undefined) throw new Stuck(`the source's slot ${name} is gone, and with it the changes since: ${again}`)
  if (slot.lost)
    throw new Stuck(`the source has thrown away what slot ${name} had not read yet (max_slot_wal_keep_size): ${again}`)
  if (slot.confirmed > from)
    throw new Stuck(
      `the source's slot ${name} is ahead of what is in the journal: somebody else reads it, or this database was restored; ${again}`,
    )
}

export const slotExists = async (source: Sql, name: string): Promise<boolean> =>
  (await findSlot(source, name)) !== undefined

/** In place of one that an earlier try has made, which was never read. Gives where its changes begin. */
export const createSlot = async (source: Sql, name: string): Promise<bigint> => {
  if (await slotExists(source, name)) await source`select pg_drop_replication_slot(${name})`
  const [made] = await source<
    { lsn: string }[]
  >`select lsn::text from pg_create_logical_replication_slot(${name}, 'pgoutput')`
  return lsnOf(made!.lsn)
}

/** How far the source is, by what is on its disk, and the tables (`schema.name`) that its publication holds. */
export const published = async (
  source: Sql,
  name: string,
): Promise<{ readonly lsn: bigint; readonly tables: ReadonlySet<string> }> => {
  const [row] = await source<{ lsn: string; tables: string[] }[]>`
    select pg_current_wal_flush_lsn()::text as lsn,
      array(select schemaname || '.' || tablename from pg_publication_tables where pubname = ${name}) as tables`
  return { lsn: lsnOf(row!.lsn), tables: new Set(row!.tables) }
}
