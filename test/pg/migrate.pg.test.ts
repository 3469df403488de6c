/** `forebay migrate`, from a schema folder to a database and through its changes. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { loadSchema } from '../../src/model/load.ts'
import { startupCheck } from '../../src/operate/migrate/install.ts'
import { runMigrate } from '../../src/operate/migrate.ts'
import { columnTypes, database, declare, edit, file, folder, insert, migrate, order, run, settle } from './migrating.ts'

test('a fresh database gets its tables, and a second run has nothing to do', async () => {
  expect(await settle(order('note: String'))).toEqual({ code: 0, text: 'Applied 0001_initial.' })
  expect(await migrate()).toEqual({ code: 0, text: 'Nothing to do: the database is up to date.' })
  expect(await migrate({ generate: true })).toEqual({
    code: 0,
    text: 'Nothing to do: the migrations lead to the schema folder.',
  })
  expect((await readdir(join(folder, 'drizzle'))).sort()).toEqual(['0001_initial.json', '0001_initial.sql'])
})

test('every kind of column has its exact type, and text its order by code point', async () => {
  await settle(`enum Kind { A B }
    type Many @entity(domain: "shop", key: ["tenant", "number"], source: { topic: "shop.many" }) {
      tenant: ID! number: Long! text: String kind: Kind! tags: [String!]! kinds: [Kind!] counts: [Long!] whole: Int float: Float
      flag: Boolean price: Decimal @column(scale: 2) at: DateTime day: Date doc: JSON
    }`)
  expect(await columnTypes('shop.many')).toEqual({
    tenant: 'text C not null',
    number: 'bigint not null',
    text: 'text C',
    kind: 'text C',
    tags: 'text[] C',
    kinds: 'text[] C',
    counts: 'bigint[]',
    whole: 'integer',
    float: 'double precision',
    flag: 'boolean',
    price: 'numeric',
    at: 'timestamp with time zone',
    day: 'date',
    doc: 'jsonb',
  })
  const [key] = await run(
    `select pg_get_constraintdef(oid) as definition from pg_constraint where conrelid = 'shop.many'::regclass and contype = 'p'`,
  )
  expect(key).toEqual({ definition: 'PRIMARY KEY (tenant, number)' })
  await run(`insert into shop.many (tenant, number, _epoch, _version, _tie, _partition, _offset)
    values ('t', 9223372036854775807, 0, 9223372036854775807, 0, 0, 0)`)
  expect(await run('select number, _version, _live from shop.many')).toEqual([
    { number: '9223372036854775807', _version: '9223372036854775807', _live: false },
  ])
})

test('an added column keeps the rows; where it is promised they are not live until it has come', async () => {
  await settle(order(''))
  await insert('id', `'1'`)
  expect(await settle(order('note: String! extra: String'))).toEqual({ code: 0, text: 'Applied 0002_change.' })
  expect(await run('select id, note, _live from shop."order"')).toEqual([{ id: '1', note: null, _live: false }])
  await run(`update shop."order" set note = 'x'`)
  expect(await run('select _live from shop."order"')).toEqual([{ _live: true }])
})

test('a dropped column is refused with what it holds, and dropped when told to', async () => {
  await settle(order('note: String'))
  await insert('id, note', `'1', 'x'`)
  const refused = await settle(order('remark: String'))
  expect(refused.code).toBe(1)
  expect(refused.text).toContain('migration 0002_change takes data away')
  expect(refused.text).toContain('column shop.order.note: 1 value\n')
  expect(refused.text).toContain('--allow-drop')
  expect(await run('select note from shop."order"')).toEqual([{ note: 'x' }])
  expect(await migrate({ allowDrop: true })).toEqual({ code: 0, text: 'Applied 0002_change.' })
  expect(await columnTypes('shop.order')).toEqual({ id: 'text C not null', remark: 'text C' })
})

test('a dropped table and a narrowed type are refused likewise; where there is nothing to lose they go', async () => {
  const other = 'type Other @entity(domain: "shop", key: "id", source: { topic: "shop.others" }) { id: ID! }'
  await settle(order('n: Long') + other)
  await insert('id, n', `'1', 7`)
  await run(
    `insert into shop.other (id, _epoch, _version, _tie, _partition, _offset) values ('1', 0, 1, 0, 0, 0), ('2', 0, 1, 0, 0, 0)`,
  )
  const refused = await settle(order('n: Int'))
  expect(refused.text).toContain('table shop.other: 2 rows\n  column shop.order.n (bigint becomes integer): 1 value\n')
  await run('delete from shop.other')
  await run('delete from shop."order"')
  expect(await migrate()).toEqual({ code: 0, text: 'Applied 0002_change.' })
  expect(await columnTypes('shop.order')).toEqual({ id: 'text C not null', n: 'integer' })
})

test('a wider type needs no leave and keeps the values', async () => {
  await settle(order('n: Int'))
  await insert('id, n', `'1', 7`)
  expect((await settle(order('n: Long'))).text).toBe('Applied 0002_change.')
  expect(await run('select n from shop."order"')).toEqual([{ n: '7' }])
})

test('what generating would take away is said at once, and stands in the file', async () => {
  await settle(order('note: String'))
  await declare(order(''))
  const generated = await migrate({ generate: true, name: 'forget_note' })
  expect(generated.text).toContain('It takes data away')
  expect(await readFile(file('0002_forget_note.sql'), 'utf8')).toMatch(/^-- Takes away: column shop\.order\.note\n/)
})

test('a migration edited so that it leads elsewhere is rolled back', async () => {
  await settle(order(''))
  await declare(order('note: String'))
  await migrate({ generate: true })
  await edit('0002_change.sql', (text) => text.replace('"note"', '"noted"'))
  const refused = await migrate()
  expect(refused.code).toBe(1)
  expect(refused.text).toContain('shop.order column note is missing')
  expect(await columnTypes('shop.order')).toEqual({ id: 'text C not null' })
})

test('a migration that fails is rolled back, and a stored value is not told', async () => {
  await settle(order('note: String'))
  await insert('id, note', `'1', 'private'`)
  const refused = await settle(order('note: Int'), { allowDrop: true })
  expect(refused).toEqual({
    code: 1,
    text: 'migration 0002_change: a stored value does not fit (SQLSTATE 22P02); nothing of it was done',
  })
  expect(await columnTypes('shop.order')).toEqual({ id: 'text C not null', note: 'text C' })
})

test('processes that migrate at once apply each migration once', async () => {
  await declare(order(''))
  await migrate({ generate: true })
  await declare(order('note: String'))
  await migrate({ generate: true })
  const results = await Promise.all([1, 2, 3].map(() => migrate()))
  expect(results.map(({ code }) => code)).toEqual([0, 0, 0])
  const applied = results.flatMap(({ text }) => text.match(/Applied \S+/g) ?? []).sort()
  expect(applied).toEqual(['Applied 0001_initial.', 'Applied 0002_change.'])
  expect(await run('select name from forebay.migrations order by number')).toEqual([
    { name: '0001_initial' },
    { name: '0002_change' },
  ])
})

test('a start is refused on a database that is not migrated, or migrated for another folder', async () => {
  const model = async () => {
    const loaded = await loadSchema(join(folder, 'schema'))
    if (!loaded.ok) throw new Error('faults')
    return loaded.model
  }
  await declare(order(''))
  await expect(startupCheck(database.sql, await model())).rejects.toThrow('has not been migrated; run: forebay migrate')
  await settle(order(''))
  await expect(startupCheck(database.sql, await model())).resolves.toBeUndefined()
  await declare(order('note: String'))
  await expect(startupCheck(database.sql, await model())).rejects.toThrow('shop.order column note: new')
})

test('with --json one object tells what was done', async () => {
  const { text } = await settle(order(''), { json: true })
  expect(JSON.parse(text)).toEqual({ ok: true, applied: ['0001_initial'], messages: ['Applied 0001_initial.'] })
})

test('without DATABASE_URL the remedy is said', async () => {
  await settle(order(''))
  const printed: string[] = []
  const code = await runMigrate({ schemaFolder: join(folder, 'schema'), print: (text) => void printed.push(text) })
  expect({ code, printed }).toEqual({
    code: 1,
    printed: ['DATABASE_URL is not set; set it to the Postgres to migrate'],
  })
})

test('faults of the schema folder are all told, and nothing is written', async () => {
  await declare(order('note: Nothing other: Neither'))
  const refused = await migrate({ generate: true })
  expect(refused.code).toBe(1)
  expect(refused.text).toMatch(/shop\.graphql:2:\d+: .*\n.*shop\.graphql:2:\d+: /)
  await expect(readdir(join(folder, 'drizzle'))).rejects.toThrow('ENOENT')
})
