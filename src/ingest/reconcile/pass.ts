/**
 * A pass: one view, or one entity, compared from its first key to its last. It is a row in Postgres, so that whoever walks it next
 * goes on where the last one was, and a request is a pass that somebody asked for.
 *
 *   READING ─► the last key is compared ─► JUDGING ─► nothing of it is in doubt or unrepaired ─► DONE
 */
import type { Sql } from '../../platform/postgres.ts'
import type { Tx } from '../apply/fence.ts'
import { locks } from '../locks.ts'

export type PassKind = 'VIEW' | 'ENTITY'
/** `generation`: null for entities. */
export type Subject = { readonly kind: PassKind; readonly name: string; readonly generation: number | null }
/** `cursor`: what is compared next, as whoever compares has it; null: it has not begun. */
export type Pass = Subject & {
  readonly id: string
  readonly askedBy: string | null
  readonly state: 'READING' | 'JUDGING'
  readonly cursor: unknown
}

/** How often a difference that was repaired and is still there is repaired again. */
export const mostRepairs = 20
/** Passes of a subject that are remembered. */
const remembered = 20
/** Who asks for those that a build is proven by. */
export const byRebuild = 'rebuild'

/** Asks whoever runs ingest for a whole pass, at once. Answers with its id. */
export const requestPass = async (sql: Sql, { kind, name, generation }: Subject, by: string): Promise<string> => {
  const [row] = await sql<{ id: string }[]>`
    insert into forebay.reconciliations (kind, name, generation, asked_by) values (${kind}, ${name}, ${generation}, ${by}) returning id::text`
  return row!.id
}

/** Those that are not over, what somebody waits for first. While a view is being filled there is nothing to compare. */
export const openPasses = (sql: Sql): Promise<readonly Pass[]> =>
  sql<Pass[]>`
    select id::text, kind, name, generation, asked_by as "askedBy", state, cursor from forebay.reconciliations r
    where finished_at is null
      and not exists (select from forebay.generations g where g.generation = r.generation and g.filled_at is null)
    order by asked_by is null, id`

/** Begins a pass of each of these that has none, and whose last one is over for so long. */
export const beginPasses = async (sql: Sql, subjects: readonly Subject[], restMs: number): Promise<void> => {
  await sql.begin(async (tx) => {
    await tx`select pg_advisory_xact_lock(${locks.reconcile}, 0)`
    await tx`
      insert into forebay.reconciliations (kind, name, generation)
      select s.kind, s.name, s.generation
      from json_to_recordset(${JSON.stringify(subjects)}::text::json) as s(kind text, name text, generation int)
      where not exists (select from forebay.generations g where g.generation = s.generation and g.filled_at is null) and not exists (
        select from forebay.reconciliations r where r.kind = s.kind and r.name = s.name and r.generation is not distinct from s.generation
          and (r.finished_at is null or r.finished_at > now() - ${restMs} * interval '1 millisecond'))`
  })
}

/** Those of views that are kept up no longer can't be ended otherwise. */
export const dropPasses = async (sql: Sql): Promise<void> => {
  await sql`
    delete from forebay.reconciliations r where finished_at is null and generation is not null
      and not exists (select from forebay.generations g where g.generation = r.generation and g.retired_at is null)`
}

/** False: another process is at it. The lock belongs to the connection, so `sql` is a pool of one. */
export const lockPass = async (sql: Sql, { id }: Pass): Promise<boolean> => {
  const [row] = await sql<{ taken: boolean }[]>`
    select pg_try_advisory_lock(${locks.reconcile}, (${id}::bigint % 2147483647)::int) as taken`
  return row!.taken
}
export const unlockPass = async (sql: Sql, { id }: Pass): Promise<void> => {
  await sql`select pg_advisory_unlock(${locks.reconcile}, (${id}::bigint % 2147483647)::int)`
}

/** Where it is now; under its lock, where it may have been moved since it was listed. */
export const readPass = async (sql: Sql, { id }: Pass): Promise<Pass | undefined> => {
  const [row] = await sql<Pass[]>`
    select id::text, kind, name, generation, asked_by as "askedBy", state, cursor from forebay.reconciliations
    where id = ${id} and finished_at is null`
  return row
}

/** `cursor` undefined: there is no more to compare. */
export const movePass = async (tx: Tx, { id }: Pass, cursor: unknown, compared: number): Promise<void> => {
  const text = cursor === undefined ? null : JSON.stringify(cursor)
  await tx`
    update forebay.reconciliations set cursor = ${text}::text::jsonb, compared = compared + ${compared}, waiting = null,
      state = ${cursor === undefined ? 'JUDGING' : 'READING'}
    where id = ${id}`
}

/** What keeps it from going on; nothing of a row. */
export const waitsFor = async (sql: Sql, { id }: Pass, why: string): Promise<void> => {
  await sql`update forebay.reconciliations set waiting = ${why} where id = ${id} and waiting is distinct from ${why}`
}

/** Ends those of which nothing is left to judge. What could not be repaired stays as it is said to be; a build counts its passes. */
export const finishPasses = async (sql: Sql): Promise<void> => {
  const ended = await sql<{ kind: string; name: string }[]>`
    update forebay.reconciliations r set state = 'DONE', finished_at = now(), waiting = null,
      drifted = (select count(*) from forebay.drift d where d.pass = r.id and d.found_at is not null),
      repaired = (select count(*) from forebay.drift d where d.pass = r.id and d.repaired_at is not null)
    where r.finished_at is null and r.state = 'JUDGING'
      and not exists (select from forebay.drift d where d.pass = r.id and d.repaired_at is null and d.tries < ${mostRepairs})
    returning kind, name`
  for (const { kind, name } of ended)
    await sql`
      delete from forebay.reconciliations where id in (
        select id from forebay.reconciliations r where kind = ${kind} and name = ${name} and finished_at is not null
          and not exists (select from forebay.generations g where g.generation = r.generation and g.state = 'BUILDING')
        order by finished_at desc offset ${remembered})`
}
