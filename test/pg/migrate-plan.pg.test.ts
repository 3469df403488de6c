/** The step from any database to any other: it leads there, keeps what it does not name as lost, and never asks at a terminal. */
import * as fc from 'fast-check'
import type { TransactionSql } from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { drift } from '../../src/operate/migrate/drift.ts'
import { engineObjects } from '../../src/operate/migrate/engine-objects.ts'
import { engineTables } from '../../src/operate/migrate/engine-tables.ts'
import { losses } from '../../src/operate/migrate/loss.ts'
import { empty, type Physical, type Table, type TableColumn } from '../../src/operate/migrate/physical.ts'
import { plan } from '../../src/operate/migrate/plan.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'

let database: Database
beforeAll(async () => {
  database = await freshDatabase()
})
afterAll(() => database.drop())

const types = [
  ...[
    'text collate "C"',
    'integer',
    'bigint',
    'double precision',
    'boolean',
    'numeric',
    'timestamptz',
    'date',
    'jsonb',
  ],
  ...['text[] collate "C"', 'bigint[]', 'bytea'],
]
const keyTypes = ['text collate "C"', 'integer', 'bigint', 'date']
const someOf = (names: readonly string[], least: number) => fc.subarray([...names], { minLength: least })

const columns = fc.uniqueArray(
  fc.record({ name: fc.constantFrom('a', 'b', 'c', 'order', 'from_at'), type: fc.constantFrom(...types) }),
  { selector: (column) => column.name, maxLength: 4 },
)
const table = fc
  .record({
    schema: fc.constantFrom('shop', 'stock', 'public'),
    name: fc.constantFrom('order', 'order_line', 'user', 'x'),
    key: someOf(['id', 'kind'], 1),
    keyType: fc.constantFrom(...keyTypes),
    columns,
    promised: fc.nat(3),
    indexed: fc.nat(3),
    way: fc.constantFrom('', 'desc', 'desc nulls last', 'asc nulls first'),
    keyed: fc.boolean(),
    only: fc.boolean(),
  })
  .map(({ schema, name, key, keyType, columns: plain, promised, indexed, way, keyed, only }): Table => {
    const promises = plain.slice(0, promised).map((column) => ` and "${column.name}" is not null`)
    const indexes = plain.filter((column) => column.type !== 'jsonb').slice(0, indexed)
    return {
      schema,
      name,
      columns: [
        ...key.map((column) => ({ name: column, type: keyType, notNull: true })),
        ...plain,
        { name: '_deleted', type: 'boolean', notNull: true, default: 'false' },
        { name: '_live', type: 'boolean', generated: `not _deleted${promises.join('')}` },
      ],
      key,
      indexes: indexes.map((column) => ({
        name: `${name}_${column.name}_idx`,
        columns: [...(keyed ? key.slice(0, 1) : []), column.name],
        ...(way === '' ? {} : { orders: { [column.name]: way } }),
        // Of a column that the index may not have.
        where: `_live${only ? ` and "${plain.at(-1)!.name}" is not null` : ''}`,
      })),
    }
  })
const physical = fc
  .uniqueArray(table, { selector: (each) => `${each.schema}.${each.name}`, maxLength: 3 })
  .map((tables): Physical => ({ tables, objects: [] }))

const undo = Symbol('undo')
const inScratch = (work: (tx: TransactionSql) => Promise<void>): Promise<void> =>
  database.sql
    .begin(async (tx) => {
      await work(tx)
      throw undo
    })
    .then(
      () => {},
      (error: unknown) => {
        if (error !== undo) throw error
      },
    )
const step = async (tx: TransactionSql, from: Physical, to: Physical) => {
  const statements = await plan(from, to)
  if (statements.length > 0) await tx.unsafe(statements.join('\n'))
}

test('any database can be brought to any other, and then is that one', async () => {
  await fc.assert(
    fc.asyncProperty(physical, physical, async (from, to) => {
      await inScratch(async (tx) => {
        await step(tx, empty, from)
        expect(await drift(tx, from)).toEqual([])
        await step(tx, from, to)
        expect(await drift(tx, to)).toEqual([])
        expect(await plan(to, to)).toEqual([])
      })
    }),
    { numRuns: 60 },
  )
})

test('the engine’s own tables are as declared, partitions included', async () => {
  const engine: Physical = { tables: engineTables, objects: engineObjects }
  await inScratch(async (tx) => {
    await step(tx, empty, engine)
    expect(await drift(tx, engine)).toEqual([])
    await tx`drop table forebay.dirty_2`
    expect(await drift(tx, engine)).toEqual(['partition forebay.dirty_2 is missing'])
  })
})

test('forebay.iso writes instants as answers do, fractions without trailing zeros', async () => {
  await inScratch(async (tx) => {
    await step(tx, empty, { tables: engineTables, objects: engineObjects })
    const [row] = await tx`
      select forebay.iso('2026-11-21 10:30:00.500+01') as half, forebay.iso('2026-11-21 09:30:00Z') as whole,
             forebay.iso('2026-11-21 09:30:00.000001Z') as least, forebay.iso('2026-11-20 00:00:10Z') as ten, forebay.iso(null) as none`
    expect(row).toEqual({
      half: '2026-11-21T09:30:00.5Z',
      whole: '2026-11-21T09:30:00Z',
      least: '2026-11-21T09:30:00.000001Z',
      ten: '2026-11-20T00:00:10Z',
      none: null,
    })
  })
})

const order = (plain: readonly TableColumn[], key: readonly string[] = ['id'], idType = 'bigint'): Physical => ({
  tables: [
    {
      schema: 'shop',
      name: 'order',
      key,
      columns: [
        { name: 'id', type: idType, notNull: true },
        { name: 'kind', type: 'text collate "C"', notNull: true },
        ...plain,
        {
          name: '_live',
          type: 'boolean',
          generated: ['true', ...plain.map(({ name }) => `"${name}" is not null`)].join(' and '),
        },
      ],
      indexes: plain.slice(0, 1).map(({ name }) => ({ name: `order_${name}_idx`, columns: [name], where: '_live' })),
    },
  ],
  objects: [],
})

/** What becomes of the stored value `before` when column `a` changes its type. */
const retyped: readonly { from: string; to: string; before: string; after: string | null; lost: boolean }[] = [
  { from: 'integer', to: 'bigint', before: '7', after: '7', lost: false },
  { from: 'bigint', to: 'numeric', before: '9007199254740993', after: '9007199254740993', lost: false },
  { from: 'bigint', to: 'text collate "C"', before: '9007199254740993', after: '9007199254740993', lost: false },
  { from: 'bigint', to: 'integer', before: '7', after: '7', lost: true },
  { from: 'bigint', to: 'double precision', before: '7', after: '7', lost: true },
  { from: 'numeric', to: 'integer', before: '7.5', after: '8', lost: true },
  { from: 'text collate "C"', to: 'integer', before: '7', after: '7', lost: true },
  { from: 'text collate "C"', to: 'text[] collate "C"', before: 'x', after: null, lost: true },
  { from: 'boolean', to: 'date', before: 'true', after: null, lost: true },
]
for (const { from, to, before, after, lost } of retyped) {
  test(`a column of ${from} becomes ${to}: ${before} is ${after ?? 'gone'}${lost ? ', and it is named as a loss' : ''}`, async () => {
    const [old, next] = [order([{ name: 'a', type: from }]), order([{ name: 'a', type: to }])]
    expect(losses(old, next).map(({ what }) => what)).toEqual(
      lost ? [`column shop.order.a (${from} becomes ${to})`] : [],
    )
    await inScratch(async (tx) => {
      await step(tx, empty, old)
      await tx`insert into shop."order" (id, kind, a) values (1, 'x', ${before}::text::${tx.unsafe(from.replace(/ collate.*/, ''))})`
      await step(tx, old, next)
      expect(await tx.unsafe('select a::text as a, _live from shop."order"')).toEqual([
        { a: after, _live: after !== null },
      ])
    })
  })
}

test('a dropped, an added and a renamed column are named by what is lost', () => {
  const text = (name: string): TableColumn => ({ name, type: 'text collate "C"' })
  const named = (from: Physical, to: Physical) => losses(from, to).map(({ what }) => what)
  expect(named(order([text('a'), text('b')]), order([text('a')]))).toEqual(['column shop.order.b'])
  expect(named(order([text('a')]), order([text('a'), text('b')]))).toEqual([])
  expect(named(order([text('a')]), order([text('renamed')]))).toEqual(['column shop.order.a'])
  expect(named(order([]), empty)).toEqual(['table shop.order'])
})

test('a changed key makes the table anew, and a wider key type does not', async () => {
  const [old, wider, next] = [order([]), order([], ['id'], 'numeric'), order([], ['kind', 'id'])]
  expect(losses(old, next).map(({ what }) => what)).toEqual(['table shop.order (its key changes)'])
  expect(losses(old, wider)).toEqual([])
  await inScratch(async (tx) => {
    await step(tx, empty, old)
    await tx`insert into shop."order" (id, kind) values (1, 'x')`
    await step(tx, old, wider)
    expect(await tx.unsafe('select id::text from shop."order"')).toEqual([{ id: '1' }])
    await step(tx, wider, next)
    expect(await drift(tx, next)).toEqual([])
    expect(await tx.unsafe('select from shop."order"')).toHaveLength(0)
  })
})
