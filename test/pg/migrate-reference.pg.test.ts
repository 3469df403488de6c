/** The schema folders that ship: what they make of a database, by migrations and at once. */
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { formatFault, loadSchema, parseSchema } from '../../src/model/load.ts'
import type { Model } from '../../src/model/model.ts'
import { applyPending } from '../../src/operate/migrate/apply.ts'
import { changes } from '../../src/operate/migrate/changes.ts'
import { drift } from '../../src/operate/migrate/drift.ts'
import { latest, migrationsFolder, readMigrations } from '../../src/operate/migrate/folder.ts'
import { installModel, prepareDatabase, startupCheck } from '../../src/operate/migrate/install.ts'
import { physicalOf } from '../../src/operate/migrate/physical-of.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'

let database: Database
beforeEach(async () => {
  database = await freshDatabase()
})
afterEach(() => database.drop())

const root = join(import.meta.dirname, '../..')
const reference = join(root, 'schema')
const modelOf = async (folder: string): Promise<Model> => {
  const loaded = await loadSchema(folder)
  if (!loaded.ok) throw new Error(loaded.faults.map(formatFault).join('\n'))
  return loaded.model
}
const differences = async (model: Model) => database.sql.begin((tx) => drift(tx, physicalOf(model)))

test('the committed migrations lead to the reference schema', async () => {
  const migrations = await readMigrations(migrationsFolder(reference))
  expect(changes(latest(migrations), physicalOf(await modelOf(reference)))).toEqual([])
})

test('applying the committed migrations makes the database that the reference schema needs', async () => {
  const [model, migrations] = [await modelOf(reference), await readMigrations(migrationsFolder(reference))]
  expect(await applyPending(database.sql, migrations)).toEqual(migrations.map(({ name }) => name))
  expect(await differences(model)).toEqual([])
  await startupCheck(database.sql, model)
})

test('the demo prepares the reference schema by its committed migrations, and again without a change', async () => {
  const model = await modelOf(reference)
  await prepareDatabase(database.sql, model, reference)
  await prepareDatabase(database.sql, model, reference)
  const migrations = await readMigrations(migrationsFolder(reference))
  expect(await database.sql`select name from forebay.migrations order by number`).toEqual(
    migrations.map(({ name }) => ({ name })),
  )
})

for (const folder of ['schema', 'test/schemas/northwind', 'test/schemas/github']) {
  test(`${folder} is installed at once, as its model says, and again without a change`, async () => {
    const model = await modelOf(join(root, folder))
    expect(model.entities.size).toBeGreaterThan(0)
    await installModel(database.sql, model)
    await installModel(database.sql, model)
    expect(await differences(model)).toEqual([])
    await startupCheck(database.sql, model)
    expect(await database.sql`select name from forebay.migrations`).toEqual([{ name: 'installed 1' }])
  })
}

test('a database that was installed follows its folder, but gives up no stored data', async () => {
  const model = async (fields: string): Promise<Model> => {
    const text = `extend schema @domain(name: "shop", owner: "sales")
      type Order @entity(domain: "shop", key: "id", source: { topic: "shop.orders" }) { id: ID! ${fields} }`
    const loaded = await parseSchema([{ name: 'shop.graphql', text }])
    if (!loaded.ok) throw new Error(loaded.faults.map(formatFault).join('\n'))
    return loaded.model
  }
  await installModel(database.sql, await model('note: String'))
  await installModel(database.sql, await model('note: String extra: [Long!]'))
  expect(await differences(await model('note: String extra: [Long!]'))).toEqual([])
  await database.sql`insert into shop."order" (id, note, _epoch, _version, _tie, _partition, _offset) values ('1', 'x', 0, 1, 0, 0, 0)`
  await expect(installModel(database.sql, await model('extra: [Long!]'))).rejects.toThrow(
    'column shop.order.note: 1 value',
  )
  await installModel(database.sql, await model('note: String'))
  expect(await database.sql.unsafe('select * from shop."order"')).toMatchObject([{ id: '1', note: 'x' }])
})
