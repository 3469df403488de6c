/** Computed fields of entities: what `check` lets pass Postgres makes a column of, personal data travels through them, and a changed one is another view. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseSchema } from '../../src/model/load.ts'
import { compileView } from '../../src/model/sql/compile-view.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { physicalOf } from '../../src/operate/migrate/physical-of.ts'
import { rewrites } from '../../src/operate/migrate/plan.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'
import { base, fieldOf, modelOf } from './folder.ts'

const thing = (fields: readonly string[]): string => `${base}
type Thing @entity(domain: "shop", key: "id", source: { topic: "things" }) {
  id: ID!
  units: Int!
  totalPrice: Decimal
  ratio: Float!
  big: Long!
  at: DateTime!
  day: Date
  name: String! @pii(kind: NAME)
  label: String
  tags: [String!]!
  note: JSON
  tier: Tier!
  order: Boolean!
  ${fields.join('\n  ')}
}
`
const load = async (text: string) => modelOf(await parseSchema([{ name: 'thing.graphql', text }]))

const accepted: readonly (readonly [type: string, sql: string])[] = [
  ['Decimal', 'totalPrice * units'],
  ['Decimal', 'round(TOTALPRICE / nullif(units, 0), 2)'],
  ['Int!', "case tier when 'GOLD' then 2 when 'SILVER' then 1 else 0 end"],
  ['Boolean!', "tier in ('GOLD', 'SILVER') and \\\"order\\\" -- a comment"],
  ['Boolean!', "at > '2026-01-01T00:00:00Z' or units between 1 and 3"],
  ['Boolean', "day >= '2026-01-01'"],
  ['Date', "(at at time zone 'UTC')::date"],
  ['DateTime!', "date_trunc('hour', at at time zone 'UTC') at time zone 'UTC'"],
  ['DateTime!', "date_bin('15 minutes', at, timestamptz '2001-01-01T00:00:00Z')"],
  ['Int', "extract(hour from at at time zone 'UTC')"],
  ['Int', 'extract(dow from day)'],
  ['Int', "day - date '2020-01-01'"],
  ['Date', 'day + 7'],
  ['Date', 'make_date(units, 1, 1)'],
  ['String', 'lower(label) || units::text || big::text || totalPrice::text || ratio::text'],
  ['String!', "coalesce(label, 'é''') || '-' || left(name, 1)"],
  ['String', "note->>'a'"],
  ['Int', "(note->'n')::integer"],
  ['Int!', 'cardinality(tags)'],
  ['String', 'tags[1]'],
  ['Boolean!', "label is distinct from 'x' or tags @> array['a']"],
  ['Float!', 'sqrt(abs(ratio)) * units'],
  ['Long!', 'big + units * 2'],
  ['Tier', "case when units > 3 then 'GOLD' end"],
  ['Boolean', "label ~ '^a' or label like 'b%' or starts_with(label, 'c')"],
  ['String', "regexp_replace(split_part(label, '-', 1), '[0-9]+', '')"],
  ['Int', 'greatest(units, 3) % 2'],
  ['DateTime!', 'at - (at - at)'.replace('at - (at - at)', "greatest(at, timestamptz '2020-01-01T00:00:00Z')")],
  ['Int', "extract(epoch from (at - timestamptz '2020-01-01T00:00:00Z'))"],
]

/** Each is refused by `check`, and Postgres would refuse the column. */
const bound: readonly (readonly [type: string, sql: string])[] = [
  ['Date', 'at::date'],
  ['DateTime', "date_trunc('day', at)"],
  ['Int', 'extract(hour from at)'],
  ['DateTime!', "at + interval '1 day'"],
  ['DateTime!', "interval '1 day' + at"],
  ['DateTime', 'day::timestamptz'],
  ['String', 'at::text'],
  ['String', 'day::text'],
  ['Date', 'label::date'],
  ['String', "to_char(at, 'YYYY')"],
  ['String', 'concat(label, units)'],
  ['String', "'n' || at"],
  ['Boolean', 'at > day'],
  ['DateTime', 'coalesce(day, at)'],
  ['DateTime', 'case when units > 1 then day else at end'],
  ['DateTime', "day at time zone 'UTC'"],
  ['Boolean', 'day::timestamp > at'],
]
const scalarTypes: Readonly<Record<string, string>> = {
  Date: 'date',
  DateTime: 'timestamptz',
  Int: 'integer',
  String: 'text',
  Boolean: 'boolean',
}

let database: Database
beforeAll(async () => {
  database = await freshDatabase()
})
afterAll(() => database.drop())

describe('a computed field of an entity', () => {
  test('is one that Postgres makes a column of', async () => {
    const model = await load(thing(accepted.map(([type, sql], n) => `x${n}: ${type} @expr(sql: "${sql}")`)))
    await installModel(database.sql, model)
    await database.sql.unsafe(`insert into shop.thing (id, units, total_price, ratio, big, at, day, name, label, tags, note, tier, "order", _epoch, _version, _tie, _partition, _offset)
      values ('1', 4, 2.50, 0.25, 10, '2026-03-29T23:30:00Z', '2026-03-29', 'Ann', 'A-1', '{a,b}', '{"a":"z","n":7}', 'GOLD', true, 0, 0, 0, 0, 0)`)
    const [row] = await database.sql.unsafe(
      `select x0::text, x1::text, x2, x6::text, x9, x12::text, x15, x17, x20, x23, _live from shop.thing`,
    )
    expect(row).toEqual({
      x0: '10.00',
      x1: '0.63',
      x2: 2,
      x6: '2026-03-29',
      x9: 23,
      x12: '2026-04-05',
      x15: 'A-1-A',
      x17: 7,
      x20: true,
      x23: 'GOLD',
      _live: true,
    })
  })

  test.each(bound)('is no %s by %s, which goes by a session’s settings', async (type, sql) => {
    const loaded = await parseSchema([{ name: 'thing.graphql', text: thing([`x: ${type} @expr(sql: "${sql}")`]) }])
    expect(loaded.ok).toBe(false)
    const column = scalarTypes[type.replace('!', '')]
    const made = database.sql.unsafe(
      `create table t (units integer, at timestamptz, day date, label text, x ${column} generated always as ((${sql})::${column}) stored)`,
    )
    await expect(made).rejects.toThrow('generation expression is not immutable')
  })

  test('is as personal as what it reads', async () => {
    const model = await load(
      `${thing(['initial: String @expr(sql: "left(name, 1)")', 'greeting: String @pii(kind: EMAIL) @expr(sql: "name || label")', 'pieces: Int @expr(sql: "units")'])}
      type Things @view(of: "Thing") @allow(roles: [AGENT, CLERK]) { id: ID! initial: String greeting: String pieces: Int }`,
    )
    const name = { kind: 'NAME', class: 'PERSONAL', coordinate: 'Thing.name' }
    expect(fieldOf(model, 'Things.initial').lineage).toEqual({ tags: [name], verbatim: false })
    expect(fieldOf(model, 'Things.greeting').lineage).toEqual({
      tags: [{ kind: 'EMAIL', class: 'PERSONAL', coordinate: 'Thing.greeting' }, name],
      verbatim: true,
    })
    expect(fieldOf(model, 'Things.pieces').lineage.tags).toEqual([])
  })

  test('makes another view of each that reads it once it is computed otherwise, and of no other', async () => {
    const views = `
      type Reads @view(of: "Thing") @allow(roles: [AGENT]) { id: ID! cost: Decimal }
      type Others @view(of: "Thing") @allow(roles: [AGENT]) { id: ID! units: Int! }`
    const hashes = async (sql: string) => {
      const model = await load(`${thing([`cost: Decimal @expr(sql: "${sql}")`])}${views}`)
      return [...model.views.values()].map((view) => compileView(model, view).table.hash)
    }
    const [[reads, others], [again, same]] = [
      await hashes('totalPrice * units'),
      await hashes('totalPrice * units + 1'),
    ]
    expect(again).not.toBe(reads)
    expect(same).toBe(others)
  })
})

test('a view is another one once other rows of an entity that it reads count', async () => {
  const hash = async (rule: string) => {
    const model = await load(`${base}
      type Thing @entity(domain: "shop", key: "id", source: { topic: "things" }${rule}) { id: ID! units: Int! orders: [Order!]! @join(to: "customerId") }
      type Things @view(of: "Thing") @allow(roles: [AGENT]) { id: ID! orders: Int! @count(of: "orders") }`)
    return compileView(model, model.views.get('Things')!).table.hash
  }
  const plain = await hash('')
  expect(await hash(', deleted: { units: { lt: 0 } }')).not.toBe(plain)
  expect(await hash('')).toBe(plain)
})

describe('a migration', () => {
  const steps = [
    [],
    ['cost: Decimal @expr(sql: "totalPrice * units")'],
    ['cost: Decimal @expr(sql: "totalPrice * units + extra")', 'extra: Int'],
    ['cost: Float! @expr(sql: "ratio")', 'extra: Long'],
    ['cost: Decimal'],
    [],
  ]
  test('makes, changes, retypes and drops computed columns', async () => {
    const { sql, drop } = await freshDatabase()
    try {
      for (const fields of steps) await installModel(sql, await load(thing(fields)))
    } finally {
      await drop()
    }
  })

  test('says which tables it writes anew', async () => {
    const [, made, changed] = await Promise.all(steps.map(async (fields) => physicalOf(await load(thing(fields)))))
    expect(rewrites(made!, changed!)).toEqual(['shop.thing (cost)'])
    expect(rewrites(made!, made!)).toEqual([])
  })
})
