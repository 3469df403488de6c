/**
 * Databases that runs share one after another. Making the engine's own tables takes longer than most of what a law does with them, so they
 * stay; what a run put into them, its entities and its views are taken away behind it, and whoever is still connected is sent off.
 */
import { afterAll } from 'vitest'
import type { Model } from '../../src/model/model.ts'
import { engineObjects } from '../../src/operate/migrate/engine-objects.ts'
import { engineTables } from '../../src/operate/migrate/engine-tables.ts'
import { empty, type Physical } from '../../src/operate/migrate/physical.ts'
import { physicalOf } from '../../src/operate/migrate/physical-of.ts'
import { plan } from '../../src/operate/migrate/plan.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'

/** What is dropped stays in the catalogs for a while: a database that has seen many runs plans slower. */
const MOST_RUNS = 60

type Kept = { readonly database: Database; readonly restore: string; runs: number }
const free: Kept[] = []

afterAll(async () => {
  for (const { database } of free.splice(0)) await database.drop()
})

const engine: Physical = { tables: engineTables, objects: engineObjects }

const make = async (): Promise<Kept> => {
  const database = await freshDatabase(1)
  const { sql } = database
  await sql.unsafe((await plan(empty, engine)).join('\n'))
  return { database, restore: await restoring(sql), runs: 0 }
}

/** Statements that bring the engine's tables back to what they hold now, though a trigger may keep what is written. */
const restoring = async (sql: Sql): Promise<string> => {
  await sql.unsafe('create schema before_runs')
  const tables = await sql<{ name: string }[]>`
    select format('%I', c.relname) as name from pg_class c
    where c.relnamespace = 'forebay'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition`
  const statements: string[] = []
  for (const { name } of tables) {
    statements.push(`delete from forebay.${name}`)
    const { count } = await sql.unsafe(`create table before_runs.${name} as select * from forebay.${name}`)
    if (count > 0)
      statements.push(`insert into forebay.${name} overriding system value select * from before_runs.${name}`)
  }
  return `begin; set local session_replication_role = replica; ${statements.join('; ')}; commit`
}

const SPARED = ['forebay', 'forebay_view', 'before_runs', 'public', 'information_schema']

const clean = async ({ database: { sql }, restore }: Kept): Promise<void> => {
  await sql`select pg_terminate_backend(pid, 10000) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`
  const dropped = await sql<{ name: string }[]>`
    select format('schema %I', nspname) as name from pg_namespace where nspname <> all(${SPARED}) and nspname !~ '^pg_'
    union all select format('table forebay_view.%I', relname) from pg_class where relnamespace = 'forebay_view'::regnamespace and relkind in ('r', 'p')`
  await sql.unsafe([...dropped.map(({ name }) => `drop ${name} cascade`), restore].join('; '))
}

/** A database that has a model's tables and has applied nothing. What fails in `use` fails here. */
export const withModelTables = async (
  model: Model,
  use: (database: Pick<Database, 'url' | 'sql'>) => Promise<void>,
): Promise<void> => {
  const kept = free.pop() ?? (await make())
  const { tables, objects } = physicalOf(model)
  const own = tables.filter((table) => !engineTables.includes(table))
  await kept.database.sql.unsafe((await plan({ tables: [], objects }, { tables: own, objects })).join('\n'))
  const { url } = kept.database
  const sql = connect(url, { max: 10, name: 'test' })
  let over = false
  try {
    await use({ url, sql })
    over = true
  } finally {
    await sql.end({ timeout: 1 })
    kept.runs += 1
    if (over && kept.runs < MOST_RUNS) {
      await clean(kept)
      free.push(kept)
    } else await kept.database.drop()
  }
}
