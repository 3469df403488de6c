/** `forebay migrate`: brings a database to the model by reviewed migrations, and writes those. */
import { formatFault, loadSchema } from '../model/load.ts'
import type { Model } from '../model/model.ts'
import { connect, untilReachable } from '../platform/postgres.ts'
import { applyPending } from './migrate/apply.ts'
import { changes } from './migrate/changes.ts'
import { latest, migrationsFolder, readMigrations, writeMigration } from './migrate/folder.ts'
import { losses } from './migrate/loss.ts'
import { fingerprint } from './migrate/physical.ts'
import { physicalOf } from './migrate/physical-of.ts'
import { plan, rewrites } from './migrate/plan.ts'
import { Refusal, refuseAny } from './migrate/refusal.ts'

export type MigrateOptions = {
  readonly schemaFolder: string
  /** Needed unless `generate`. */
  readonly databaseUrl?: string
  /** Writes the next migration instead of applying. */
  readonly generate?: boolean
  /** The generated migration's name: letters, digits and `_`. */
  readonly name?: string
  /** Applies migrations that take stored data away. */
  readonly allowDrop?: boolean
  /** Prints one JSON object instead of lines. */
  readonly json?: boolean
  readonly print?: (text: string) => void
}

type Report = { readonly lines: readonly string[]; readonly [detail: string]: unknown }

/** The verb. Prints what was done or why not; returns the exit code, 0 or 1. */
export const runMigrate = async (options: MigrateOptions): Promise<number> => {
  const print = options.print ?? ((text: string) => process.stdout.write(`${text}\n`))
  const tell = (ok: boolean, { lines, ...details }: Report) =>
    print(options.json ? JSON.stringify({ ok, ...details, messages: lines }) : lines.join('\n'))
  try {
    tell(true, await (options.generate ? generate(options) : apply(options)))
    return 0
  } catch (error) {
    if (!(error instanceof Error)) throw error
    tell(false, { lines: [error.message] })
    return 1
  }
}

const load = async (folder: string): Promise<Model> => {
  const loaded = await loadSchema(folder)
  if (!loaded.ok) throw new Refusal(loaded.faults.map(formatFault).join('\n'))
  return loaded.model
}

const generate = async ({ schemaFolder, name }: MigrateOptions): Promise<Report> => {
  const folder = migrationsFolder(schemaFolder)
  const [model, migrations] = [await load(schemaFolder), await readMigrations(folder)]
  const [from, to] = [latest(migrations), physicalOf(model)]
  if (fingerprint(from) === fingerprint(to))
    return { lines: ['Nothing to do: the migrations lead to the schema folder.'] }
  const title = name ?? (migrations.length === 0 ? 'initial' : 'change')
  if (!/^\w+$/.test(title)) throw new Refusal(`--name ${title}: use letters, digits and _`)
  const lost = losses(from, to).map(({ what }) => what)
  const rewritten = rewrites(from, to)
  const notes = [
    ...lost.map((what) => `Takes away: ${what}`),
    ...rewritten.map((what) => `Writes every row anew, under a lock that nothing passes: ${what}`),
  ]
  const file = await writeMigration(folder, migrations.length + 1, title, {
    statements: await plan(from, to),
    notes,
    physical: to,
  })
  return {
    lines: [
      `Wrote ${file}. Review it and commit it, then run: forebay migrate`,
      ...changes(from, to).map((change) => `  ${change}`),
      ...(lost.length === 0 ? [] : ['It takes data away, so applying it needs --allow-drop where there is any:']),
      ...lost.map((what) => `  ${what}`),
      ...(rewritten.length === 0
        ? []
        : ['It writes every row of these tables anew, under a lock that nothing passes meanwhile:']),
      ...rewritten.map((what) => `  ${what}`),
    ],
    file,
    losses: lost,
    rewrites: rewritten,
  }
}

const apply = async ({ schemaFolder, databaseUrl, allowDrop = false }: MigrateOptions): Promise<Report> => {
  if (!databaseUrl) throw new Refusal('DATABASE_URL is not set; set it to the Postgres to migrate')
  const migrations = await readMigrations(migrationsFolder(schemaFolder))
  const wanted = changes(latest(migrations), physicalOf(await load(schemaFolder)))
  refuseAny(
    'the schema folder asks for more than the migrations give',
    wanted,
    'Run: forebay migrate --generate, review what it writes, then run this again.',
  )
  const sql = connect(databaseUrl, { max: 1, name: 'migrate' })
  try {
    await untilReachable(sql, databaseUrl)
    const applied = await applyPending(sql, migrations, { allowDrop })
    const lines =
      applied.length === 0 ? ['Nothing to do: the database is up to date.'] : applied.map((name) => `Applied ${name}.`)
    return { lines, applied }
  } finally {
    await sql.end()
  }
}
