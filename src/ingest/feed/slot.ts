/** The source's side of a slot feed: its server, its publication and its slot, each judged with what to do about it. */
import { codeOf, type Sql } from '../../platform/postgres.ts'
import { Stuck } from '../feed.ts'
import { type PgTable, tableSql } from './postgres-table.ts'
import { lsnOf, walSender } from './replication.ts'

/** Of the slot and the publication, at the source. */
export const slotName = (connection: string): string => `forebay_${connection}`

/** What a log position of a server belongs to: another system or timeline is another order. */
export type History = { readonly system: string; readonly timeline: number }

/** A connection, and one of the entities that are read by it: for what is said to operators. */
export type Followed = { readonly connection: string; readonly entity: string }

/** Throws where the server can't be followed by a slot. */
export const judgeServer = async (source: Sql): Promise<History> => {
  const [server] = await source<
    { walLevel: string; standby: boolean; replicates: boolean; system: string; timeline: number }[]
  >`
    select current_setting('wal_level') as "walLevel", pg_is_in_recovery() as standby,
      (select rolreplication or rolsuper from pg_roles where rolname = current_user) as replicates,
      (select system_identifier::text from pg_control_system()) as system,
      case when pg_is_in_recovery() then 0
        else ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int end as timeline`
  if (server!.walLevel !== 'logical')
    throw new Error(
      `the source has wal_level=${server!.walLevel}, and a slot needs logical: alter system set wal_level = 'logical', then restart it; or give the table a watermark`,
    )
  if (server!.standby)
    throw new Error('the source is a standby, which keeps no slot of its own: connect to its primary')
  if (!server!.replicates)
    throw new Error("the source's user may not replicate: alter role <it> replication; or give the table a watermark")
  return { system: server!.system, timeline: server!.timeline }
}

/** A table whose rows can't be told by its replica identity must not be published: its source would refuse updates and deletes of it. */
export const judgeTable = ({ schema, name, kind, identities, deferrable }: PgTable): void => {
  const table = `the source's table ${schema}.${name}`
  if (kind !== 'r' && kind !== 'p')
    throw new Error(`${table} is no table but a view, which no slot follows: give it a watermark`)
  if (identities.includes('n') || identities.includes('i'))
    throw new Error(
      `${table}${kind === 'p' ? ', or a partition of it,' : ''} has a replica identity that is not its primary key, so that deletes can't be told: alter table ${schema}.${name} replica identity default`,
    )
  if (deferrable && identities.includes('d'))
    throw new Error(
      `${table} has a deferrable primary key, which is no replica identity: make it not deferrable, or alter table ${schema}.${name} replica identity full`,
    )
}

/**
 * Makes the publication hold these tables, and gives those that it did not hold before: what changed until now was never sent.
 * `expected`: a slot is read by it already; Stuck where it is gone, since the slot's log can't be read without it.
 */
export const ensurePublication = async (
  source: Sql,
  of: Followed,
  tables: readonly PgTable[],
  expected: boolean,
): Promise<readonly PgTable[]> => {
  const name = slotName(of.connection)
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
      throw new Stuck(`the source's publication ${name} is gone, and with it the changes since: ${newSnapshot(of)}`)
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

/** The one command that helps a STUCK feed. */
const newSnapshot = ({ connection, entity }: Followed): string =>
  `forebay replay --entity ${entity} --snapshot makes a new slot and reads all tables of ${connection} anew`

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

/** What was read of a source: all of this history that commits before `lsn`. */
export type ReadSoFar = History & { readonly lsn: bigint }

/** Throws Stuck where changes after what was read were or may have been lost (C14). */
export const judgeSlot = async (
  source: Sql,
  { url, now, read, ...of }: Followed & { readonly url: string; readonly now: History; readonly read: ReadSoFar },
): Promise<void> => {
  const { connection } = of
  const name = slotName(connection)
  const again = newSnapshot(of)
  if (read.system !== now.system)
    throw new Stuck(
      `the source of ${connection} is another server than before (system identifier ${now.system}, was ${read.system}), whose order begins anew: ${again}`,
    )
  if (read.timeline !== now.timeline) {
    const left = await leftAt(url, connection, read.timeline, now.timeline)
    if (left === undefined || left < read.lsn)
      throw new Stuck(
        `the source of ${connection} failed over to a server without the last changes that were read of it (timeline ${now.timeline}, was ${read.timeline}): ${again}`,
      )
  }
  const [flushed] = await source<{ lsn: string }[]>`select pg_current_wal_flush_lsn()::text as lsn`
  if (lsnOf(flushed!.lsn) < read.lsn)
    throw new Stuck(`the source of ${connection} is behind what was read of it, so it was restored: ${again}`)
  const slot = await findSlot(source, name)
  if (slot === undefined) throw new Stuck(`the source's slot ${name} is gone, and with it the changes since: ${again}`)
  if (slot.lost)
    throw new Stuck(
      `the source has thrown away what slot ${name} had not read yet (max_slot_wal_keep_size, or a limit of idle time): ${again}`,
    )
  if (slot.confirmed > read.lsn)
    throw new Stuck(
      `the source's slot ${name} is ahead of what is in the journal, since somebody else reads it or this database was restored: ${again}`,
    )
}

/** Where the server's timeline left the older one; undefined: it never was on it. */
const leftAt = async (url: string, connection: string, older: number, now: number): Promise<bigint | undefined> => {
  const sender = walSender(url, `feed ${connection}`)
  try {
    const rows = (await sender.unsafe(`TIMELINE_HISTORY ${now}`).raw()) as unknown as readonly (readonly Buffer[])[]
    const lines = rows[0]![1]!.toString('utf8').split('\n')
    const line = lines.map((text) => text.split('\t')).find(([timeline]) => timeline === String(older))
    return line && lsnOf(line[1]!)
  } finally {
    await sender.end({ timeout: 0 }).catch(() => {})
  }
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

export type Published = {
  /** `schema.name` of each. */
  readonly tables: ReadonlySet<string>
  /** Those of them, or partitions of them, that have lost what tells their rows. */
  readonly unidentified: readonly string[]
}
/** What the publication holds now. */
export const published = async (source: Sql, name: string): Promise<Published> => {
  const [row] = await source<{ tables: string[]; unidentified: string[] }[]>`
    with held as materialized (
      select schemaname || '.' || tablename as name, format('%I.%I', schemaname, tablename)::regclass as id
      from pg_publication_tables where pubname = ${name})
    select array(select name from held) as tables,
      array(
        select name from held join pg_class c on c.oid = id or c.oid in (select relid from pg_partition_tree(id))
        where c.relreplident = 'n' or c.relreplident = 'd' and not exists (
          select from pg_index i where i.indrelid = c.oid and i.indisprimary and i.indimmediate)) as unidentified`
  return { tables: new Set(row!.tables), unidentified: row!.unidentified }
}

/** Throws where the source refuses updates and deletes of what is published. */
export const judgePublished = (name: string, { unidentified: [table] }: Published): void => {
  if (table !== undefined)
    throw new Error(
      `the source's table ${table} no longer has a primary key or a replica identity, so the source itself refuses updates and deletes of it for as long as ${name} publishes it: give it its primary key back, or run there: alter publication "${name}" drop table ${table}`,
    )
}
