/**
 * The migrations that are committed: `0001_initial.sql`, and beside it `0001_initial.json`, the database that it leads to.
 * Statements are reviewed and may be edited by hand (a backfill, another order) as long as they lead to the same database.
 */
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { empty, type Physical } from './physical.ts'
import { Refusal } from './refusal.ts'

export type Migration = {
  /** `0001_initial`. */
  readonly name: string
  readonly sql: string
  readonly physical: Physical
  /** SHA-256 of both files, whatever their line ends. */
  readonly checksum: string
}

/** FOREBAY_MIGRATIONS, else `drizzle` beside the schema folder. */
export const migrationsFolder = (schemaFolder: string, env: NodeJS.ProcessEnv = process.env): string =>
  resolve(env.FOREBAY_MIGRATIONS || join(dirname(resolve(schemaFolder)), 'drizzle'))

/** In order; none where the folder is empty or missing. Throws a Refusal for a gap in the numbers or a file without its other half. */
export const readMigrations = async (folder: string): Promise<readonly Migration[]> => {
  const files = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  const names = [
    ...new Set(files.filter((file) => /^\d{4}_.*\.(sql|json)$/.test(file)).map((file) => file.replace(/\.\w+$/, ''))),
  ]
  return Promise.all(names.sort().map((name, index) => readMigration(folder, name, index + 1)))
}

const readMigration = async (folder: string, name: string, number: number): Promise<Migration> => {
  if (Number(name.slice(0, 4)) !== number)
    throw new Refusal(
      `${join(folder, name)}: migration ${prefix(number)} was expected here; give each its own number, without gaps`,
    )
  const read = (extension: string) =>
    readFile(join(folder, name + extension), 'utf8').catch((cause: unknown) => {
      throw new Refusal(`${join(folder, name + extension)} can't be read; restore it from version control`, { cause })
    })
  const [sql, json] = (await Promise.all([read('.sql'), read('.json')])).map((text) =>
    text.replaceAll('\r\n', '\n'),
  ) as [string, string]
  const checksum = createHash('sha256').update(`${sql}\0${json}`).digest('hex')
  try {
    return { name, sql, physical: JSON.parse(json) as Physical, checksum }
  } catch (cause) {
    throw new Refusal(`${join(folder, name)}.json is not JSON; restore it from version control`, { cause })
  }
}

/** What the last migration leads to. */
export const latest = (migrations: readonly Migration[]): Physical => migrations.at(-1)?.physical ?? empty

/** Writes the next migration and returns its path. Never overwrites. */
export const writeMigration = async (
  folder: string,
  number: number,
  title: string,
  content: { readonly statements: readonly string[]; readonly notes: readonly string[]; readonly physical: Physical },
): Promise<string> => {
  const path = join(folder, `${prefix(number)}_${title}`)
  const notes = content.notes.map((note) => `-- ${note}\n`).join('')
  // A blank line around each statement of several lines, none between short ones.
  const blocks = content.statements.map((text) => (text.includes('\n') ? `\n${text}\n` : text))
  const statements = blocks
    .join('\n')
    .replaceAll('\t', '  ')
    .replaceAll(/\n{3,}/g, '\n\n')
    .trim()
  const sql = `${notes}${notes && '\n'}${statements}\n`
  await mkdir(folder, { recursive: true })
  await writeFile(`${path}.sql`, sql, { flag: 'wx' })
  await writeFile(`${path}.json`, snapshotText(content.physical), { flag: 'wx' })
  return `${path}.sql`
}

/** JSON with one line for each column and index, so that a review shows what changed. */
const snapshotText = (physical: Physical): string => {
  const lines = (items: readonly unknown[], indent: string) =>
    items.length === 0
      ? '[]'
      : `[\n${items.map((item) => `${indent}  ${JSON.stringify(item)}`).join(',\n')}\n${indent}]`
  const tables = physical.tables.map(({ schema, name, columns, indexes, ...rest }) => {
    const fields = Object.entries({ schema, name, ...rest }).map(([key, value]) => `"${key}": ${JSON.stringify(value)}`)
    return `    {\n      ${[...fields, `"columns": ${lines(columns, '      ')}`, `"indexes": ${lines(indexes, '      ')}`].join(',\n      ')}\n    }`
  })
  return `{\n  "tables": [\n${tables.join(',\n')}\n  ],\n  "objects": ${lines(physical.objects, '  ')}\n}\n`
}

const prefix = (number: number): string => String(number).padStart(4, '0')
