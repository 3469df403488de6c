/** What is known of comparisons: the last whole one of each view and entity, the one under way, and what was ever found. */
import { locks } from '../../ingest/locks.ts'
import { comparableEntities } from '../../ingest/reconcile/entities.ts'
import type { PassKind, Subject } from '../../ingest/reconcile/pass.ts'
import type { Model } from '../../model/model.ts'
import type { Sql } from '../../platform/postgres.ts'

export type Outcome = {
  readonly id: string
  readonly kind: PassKind
  readonly name: string
  readonly state: 'READING' | 'JUDGING' | 'DONE'
  readonly startedAt: string
  readonly finishedAt: string | null
  readonly compared: number
  readonly drifted: number
  readonly repaired: number
  readonly waiting: string | null
}
/** `last`: the last pass that is over. `now`: one that isn't. */
export type Compared = {
  readonly kind: PassKind
  readonly name: string
  readonly last: Outcome | null
  readonly now: Outcome | null
}

const columns = `r.id::text, r.kind, r.name, r.state, forebay.iso(r.started_at) as "startedAt", forebay.iso(r.finished_at) as "finishedAt",
  r.compared::float8 as compared, r.waiting,
  case when r.finished_at is null then (select count(*) from forebay.drift d where d.pass = r.id and d.found_at is not null) else r.drifted end::float8 as drifted,
  case when r.finished_at is null then (select count(*) from forebay.drift d where d.pass = r.id and d.repaired_at is not null) else r.repaired end::float8 as repaired`

/** What can be compared: the folder's views, by what serves them, and entities that a slot follows in their database. */
export const subjectsOf = async (sql: Sql, model: Model): Promise<readonly Subject[]> => {
  const views = await sql<{ name: string; generation: number }[]>`
    select view as name, generation from forebay.generations where state = 'ACTIVE' and retired_at is null order by view`
  return [
    ...views.filter(({ name }) => model.views.has(name)).map((one): Subject => ({ kind: 'VIEW', ...one })),
    ...comparableEntities(model).map(({ name }): Subject => ({ kind: 'ENTITY', name, generation: null })),
  ]
}

export const readCompared = (sql: Sql, subjects: readonly Subject[]): Promise<readonly Compared[]> =>
  sql.unsafe<Compared[]>(
    `select s.kind, s.name, last.row as last, now.row as now
    from json_to_recordset($1::text::json) as s(kind text, name text)
    left join lateral (
      select to_jsonb(o) as row from (
        select ${columns} from forebay.reconciliations r where r.kind = s.kind and r.name = s.name and r.finished_at is not null
        order by r.finished_at desc limit 1) o) last on true
    left join lateral (
      select to_jsonb(o) as row from (
        select ${columns} from forebay.reconciliations r where r.kind = s.kind and r.name = s.name and r.finished_at is null
        order by r.asked_by is null, r.id limit 1) o) now on true
    order by s.kind desc, s.name`,
    [JSON.stringify(subjects)],
  )

export const readOutcomes = (sql: Sql, ids: readonly string[]): Promise<readonly Outcome[]> =>
  sql.unsafe<Outcome[]>(
    `select ${columns} from forebay.reconciliations r where r.id = any($1::bigint[]) order by r.id`,
    [ids as string[]],
  )

/** Whether anybody keeps the views of this database up. */
export const ingestRuns = async (sql: Sql): Promise<boolean> => {
  const [row] = await sql<{ runs: boolean }[]>`
    select exists (
      select from pg_locks where locktype = 'advisory' and classid = ${locks.maintainer} and granted
        and database = (select oid from pg_database where datname = current_database())) as runs`
  return row!.runs
}

/** Takes back what was asked for and nobody has worked. */
export const withdraw = async (sql: Sql, ids: readonly string[]): Promise<void> => {
  await sql`delete from forebay.reconciliations where id = any(${[...ids]}::bigint[]) and finished_at is null`
}
