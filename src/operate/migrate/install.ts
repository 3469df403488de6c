/** Databases without reviewed migrations, and the check that a database fits the model. */
import type { Sql } from 'postgres'
import type { Model } from '../../model/model.ts'
import { codeOf } from '../../platform/postgres.ts'
import {
  type Applied,
  applyPending,
  execute,
  installed,
  isInstalled,
  lockHistory,
  readHistory,
  record,
  refuseLosses,
} from './apply.ts'
import { changes } from './changes.ts'
import { latest, migrationsFolder, readMigrations } from './folder.ts'
import { losses } from './loss.ts'
import { empty, fingerprint } from './physical.ts'
import { physicalOf } from './physical-of.ts'
import { plan } from './plan.ts'
import { Refusal, refuseAny } from './refusal.ts'

/**
 * Brings a database to the model at once, without committed migrations: for tests, and for the demo on a folder that has none. The
 * database is empty or was made by this function. Throws a Refusal, with nothing done, where stored data would go.
 */
export const installModel = async (sql: Sql, model: Model): Promise<void> => {
  const physical = physicalOf(model)
  const checksum = fingerprint(physical)
  await sql.begin(async (tx) => {
    const applied = await lockHistory(tx)
    const from = applied.at(-1)?.physical ?? empty
    if (fingerprint(from) === checksum) return
    if (applied.length > 0 && !applied.every(isInstalled))
      throw new Refusal('this database is kept by migrations; run: forebay migrate')
    await refuseLosses(tx, losses(from, physical), 'the changed schema folder')
    await execute(tx, (await plan(from, physical)).join('\n'), 'making the tables')
    await record(tx, { name: `${installed}${applied.length + 1}`, checksum, physical })
  })
}

/** For the demo: by committed migrations where they lead to the model, else by `installModel`. */
export const prepareDatabase = async (sql: Sql, model: Model, schemaFolder: string): Promise<void> => {
  const migrations = await readMigrations(migrationsFolder(schemaFolder))
  const committed = fingerprint(latest(migrations)) === fingerprint(physicalOf(model))
  if (committed && !(await history(sql)).some(isInstalled)) await applyPending(sql, migrations)
  else await installModel(sql, model)
}

/** Throws a Refusal unless the database was migrated to exactly this model. Reads only, so a replica will do. */
export const startupCheck = async (sql: Sql, model: Model): Promise<void> => {
  const from = (await history(sql)).at(-1)?.physical
  if (from === undefined) throw new Refusal('the database has not been migrated; run: forebay migrate')
  const missing = changes(from, physicalOf(model))
  const more = missing.length > 10 ? [`and ${missing.length - 10} more`] : []
  refuseAny(
    'the database was migrated for another schema folder; to get to this one',
    [...missing.slice(0, 10), ...more],
    'Run: forebay migrate',
  )
}

const history = (sql: Sql): Promise<readonly Applied[]> =>
  readHistory(sql).catch((error: unknown) => {
    if (['42P01', '3F000'].includes(codeOf(error))) return []
    throw error
  })
