/** A folder and a database that tests declare, migrate and edit. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { type MigrateOptions, runMigrate } from '../../src/operate/migrate.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'

export let database: Database
export let folder: string
beforeEach(async () => {
  database = await freshDatabase()
  folder = await mkdtemp(join(tmpdir(), 'forebay-migrate-'))
})
afterEach(async () => {
  await database.drop()
  await rm(folder, { recursive: true })
})

const head = 'extend schema @domain(name: "shop", owner: "sales")\n'
export const order = (fields: string, key = 'key: "id"') =>
  `type Order @entity(domain: "shop", ${key}, source: { topic: "shop.orders" }) { id: ID! ${fields} }\n`

export const declare = async (text: string): Promise<void> => {
  await mkdir(join(folder, 'schema'), { recursive: true })
  await writeFile(join(folder, 'schema', 'shop.graphql'), head + text)
}
export const migrate = async (options: Partial<MigrateOptions> = {}): Promise<{ code: number; text: string }> => {
  const printed: string[] = []
  const print = (text: string) => void printed.push(text)
  const code = await runMigrate({ schemaFolder: join(folder, 'schema'), databaseUrl: database.url, print, ...options })
  return { code, text: printed.join('\n') }
}
/** Declares, generates and applies. */
export const settle = async (text: string, options: Partial<MigrateOptions> = {}) => {
  await declare(text)
  expect(await migrate({ generate: true })).toMatchObject({ code: 0 })
  return migrate(options)
}
export const file = (name: string) => join(folder, 'drizzle', name)
export const edit = async (name: string, change: (text: string) => string) =>
  writeFile(file(name), change(await readFile(file(name), 'utf8')))
export const insert = (columns: string, values: string) =>
  database.sql.unsafe(
    `insert into shop."order" (${columns}, _epoch, _version, _tie, _partition, _offset) values (${values}, 0, 1, 0, 0, 0)`,
  )
export const run = (statement: string) => database.sql.unsafe(statement)
export const columnTypes = async (table: string) =>
  Object.fromEntries(
    (
      await run(`select attname, format_type(atttypid, atttypmod) || coalesce(' ' || (select collname from pg_collation
        where oid = attcollation and collname <> 'default'), '') || case when attnotnull then ' not null' else '' end as type
        from pg_attribute where attrelid = '${table}'::regclass and attnum > 0 and not attisdropped and attname not like '\\_%' order by attnum`)
    ).map((row) => [row.attname, row.type]),
  )
