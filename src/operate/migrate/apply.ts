/** Committed migrations to a database, and the record of them in `forebay.migrations`. */
import type { Sql, TransactionSql } from 'postgres'
import { codeOf } from '../../platform/postgres.ts'
import { drift } from './drift.ts'
import type { Migration } from './folder.ts'
import { countLosses, type Loss, losses } from './loss.ts'
import { empty, type Physical } from './physical.ts'
import { Refusal, refuseAny } from './refusal.ts'

export type Applied = { readonly name: string; readonly checksum: string; readonly physical: Physical }

/** How the names begin of what was done without a committed migration. */
export const installed = 'installed '
export const isInstalled = ({ name }: Applied): boolean => name.startsWith(installed)

/**
 * Applies what is pending, each migration in a transaction of its own, and returns the names. Any number of processes may do this at
 * once: each step takes the lock and looks anew at what has been applied. Throws a Refusal with nothing of that step done.
 */
export const applyPending = async (
  sql: Sql,
  migrations: readonly Migration[],
  options: { readonly allowDrop?: boolean } = {},
): Promise<readonly string[]> => {
  const names: string[] = []
  for (;;) {
    const name = await sql.begin((tx) => applyNext(tx, migrations, options.allowDrop ?? false))
    if (name === undefined) return names
    names.push(name)
  }
}

const applyNext = async (
  tx: TransactionSql,
  migrations: readonly Migration[],
  allowDrop: boolean,
): Promise<string | undefined> => {
  const applied = await lockHistory(tx)
  refuseOtherHistory(applied, migrations)
  const before = applied.at(-1)?.physical ?? empty
  refuseAny(
    'the database is not as its migrations left it',
    await drift(tx, before),
    'Undo what was changed by hand, or bring the same change into the schema folder.',
  )
  const next = migrations[applied.length]
  if (next === undefined) return undefined
  if (!allowDrop) await refuseLosses(tx, losses(before, next.physical), `migration ${next.name}`)
  await execute(tx, next.sql, `migration ${next.name}`)
  refuseAny(
    `migration ${next.name} does not lead to the database of ${next.name}.json`,
    await drift(tx, next.physical),
    `Correct ${next.name}.sql, or generate it anew.`,
  )
  await record(tx, next)
  return next.name
}

/** Takes the lock that all who migrate take, until the transaction ends, and tells what was applied, in order. */
export const lockHistory = async (tx: TransactionSql): Promise<readonly Applied[]> => {
  await tx`select pg_advisory_xact_lock(hashtextextended('forebay migrate', 0))`
  await tx.unsafe(`
    set local client_min_messages = warning;
    set local lock_timeout = '10s';
    create schema if not exists forebay;
    create table if not exists forebay.migrations (
      number int generated always as identity primary key, name text not null unique, checksum text not null,
      physical jsonb not null, applied_at timestamptz not null default now())`)
  return readHistory(tx)
}

/** Throws undefined_table (42P01) or invalid_schema_name (3F000) on a database that was never migrated. */
export const readHistory = async (sql: Sql | TransactionSql): Promise<readonly Applied[]> =>
  sql<Applied[]>`select name, checksum, physical from forebay.migrations order by number`

export const record = async (tx: TransactionSql, { name, checksum, physical }: Applied): Promise<void> => {
  await tx`insert into forebay.migrations (name, checksum, physical)
    values (${name}, ${checksum}, ${JSON.stringify(physical)}::text::jsonb)`
}

const refuseOtherHistory = (applied: readonly Applied[], migrations: readonly Migration[]): void => {
  if (applied.some(isInstalled))
    throw new Refusal(
      'this database was made by the demo, without migrations; set DATABASE_URL to a database of its own',
    )
  for (const [index, { name, checksum }] of applied.entries()) {
    const file = migrations.find((migration) => migration.name === name)
    const where = `migration ${name}, which this database has,`
    if (file === undefined)
      throw new Refusal(`${where} is not in the migrations folder; restore it from version control`)
    if (file.checksum !== checksum)
      throw new Refusal(`${where} was changed afterwards; restore its files and put the change into a new migration`)
    if (migrations[index] !== file)
      throw new Refusal(`${where} now comes after one that it does not have; give the newer one the higher number`)
  }
}

/** Refuses what would take stored rows or values away. */
export const refuseLosses = async (tx: TransactionSql, items: readonly Loss[], who: string): Promise<void> => {
  const counted = await countLosses(tx, items)
  refuseAny(
    `${who} takes data away`,
    counted.map(
      ({ what, count, column }) =>
        `${what}: ${count} ${column === undefined ? 'row' : 'value'}${count === '1' ? '' : 's'}`,
    ),
    'A renamed field counts as one dropped and one new. If it is meant, run again with --allow-drop.',
  )
}

/** Several statements at once. Of a value that does not fit only the fact is told, since it may be personal. */
export const execute = async (tx: TransactionSql, text: string, who: string): Promise<void> => {
  await tx.unsafe(text).catch((cause: unknown) => {
    const code = codeOf(cause)
    const told = /^2[23]/.test(code)
      ? 'a stored value does not fit'
      : cause instanceof Error
        ? cause.message
        : String(cause)
    const remedy =
      code === '55P03' ? 'something holds a lock on the table: stop it, or try again later' : 'nothing of it was done'
    throw new Refusal(`${who}: ${told} (SQLSTATE ${code}); ${remedy}`, { cause })
  })
}
