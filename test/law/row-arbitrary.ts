/** Random rows of an entity: keys from a small pool, pointers to keys that may not exist, texts that sort and quote badly. */
import type { CellValue } from '../../src/ingest/change.ts'
import type { Column, Entity, Join, Model } from '../../src/model/model.ts'
import type { Draw } from './draw.ts'
import type { Row } from './seen.ts'

/** How many keys an entity has; pointers go two further, to rows that never come. */
export const KEYS = 8
const KEY_TEXTS = ['k0', 'k1', 'k2', 'é', '\u{1F600}', '\uFFFD', 'Z', "o'k", 'a b', 'k10']
const KEY_LONGS = ['0', '1', '2', '9007199254740993', '-5', '10', '11', '12', '100', '-9007199254740993']
const KEY_DECIMALS = ['0', '1.5', '-2', '10.05', '123456789012345678.9', '0.0001', '7', '-0.5', '9.25', '100']
/** Within 2^52 microseconds of 1970: beyond, the tests' Avro encoder loses the sign. */
const KEY_DATES = [
  '2026-03-29',
  '2026-03-28',
  '1999-12-31',
  '2000-02-29',
  '1900-01-01',
  '2100-12-31',
  '1970-01-01',
  '1969-12-31',
  '2026-11-01',
  '2026-11-02',
]
const KEY_INSTANTS = KEY_DATES.map((day, i) => `${day}T00:30:00${['', '.5', '.123456', '.000001'][i % 4]}Z`)
const TENANTS = ['acme', 'globex']

const keyCell = (column: Column, index: number, position: number): CellValue => {
  if (column.name === 'tenantId') return TENANTS[index % 2]!
  const type = column.type.kind === 'scalar' ? column.type.scalar : 'enum'
  switch (type) {
    case 'enum':
      return index < KEYS / 2 ? 'A' : 'B'
    case 'Boolean':
      return index % 2 === 1
    case 'Int':
      return position === 0 ? index : index % 2
    case 'Long':
      return KEY_LONGS[index]!
    case 'Decimal':
      return KEY_DECIMALS[index]!
    case 'Date':
      return KEY_DATES[index]!
    case 'DateTime':
      return KEY_INSTANTS[index]!
    default:
      return KEY_TEXTS[index]!
  }
}

/** The same value as another writer may spell it. */
const respelled = (draw: Draw, { type }: Column, value: CellValue): CellValue =>
  type.kind === 'scalar' && type.scalar === 'Decimal' && typeof value === 'string' && draw.oneIn(3)
    ? `${value}${value.includes('.') ? '' : '.'}0`
    : value

/** The `index`th key. Every key belongs to one tenant for good: even ones to the first, odd ones to the second. */
export const keyOf = (entity: Entity, index: number): Row =>
  Object.fromEntries(
    entity.key.map((name, position) => [name, keyCell(entity.columns.find((c) => c.name === name)!, index, position)]),
  )

/** The key of a row that this one points at. */
export const pointedAt = (draw: Draw, model: Model, entity: Entity, row: Row) => {
  const all = pointers(model, entity)
  if (all.length === 0) return undefined
  const join = draw.pick(all)
  const target = model.entities.get(join.target)!
  const key = JSON.stringify(Object.fromEntries(join.to.map((name, i) => [name, row[join.from[i]!] ?? null])))
  for (let index = 0; index < KEYS; index++)
    if (JSON.stringify(keyOf(target, index)) === key) return { entity: target, index }
  return undefined
}

const pointers = (model: Model, entity: Entity): readonly Join[] =>
  entity.joins.filter((join) => {
    const target = model.entities.get(join.target)!
    return (
      !join.many && join.to.every((name, i) => name === target.key[i]) && !join.from.some((f) => entity.key.includes(f))
    )
  })

/** A changed row keeps most cells of `before`. `moving`: it points elsewhere. */
export const makeRow = (
  draw: Draw,
  model: Model,
  entity: Entity,
  index: number,
  before: Row | undefined,
  moving = false,
): Row => {
  const row: Record<string, CellValue> = { ...keyOf(entity, index) }
  const pointing = pointers(model, entity)
  for (const join of pointing) {
    if (before && !moving && !draw.oneIn(3)) {
      for (const name of join.from) row[name] = before[name] ?? null
      continue
    }
    const target = keyOf(model.entities.get(join.target)!, pointedIndex(draw, entity, join, index))
    const nullable = join.from.every((name) => !entity.columns.find((c) => c.name === name)!.nonNull)
    const none = nullable && draw.oneIn(6)
    join.from.forEach((name, i) => {
      const column = entity.columns.find((c) => c.name === name)!
      row[name] = none && !(i > 0 && draw.oneIn(2)) ? null : respelled(draw, column, target[join.to[i]!]!)
    })
  }
  for (const column of entity.columns) {
    if (column.name in row) continue
    if (entity.tenant.kind === 'COLUMN' && entity.tenant.column === column.name) row[column.name] = TENANTS[index % 2]!
    else if (before && !draw.oneIn(2)) row[column.name] = before[column.name] ?? null
    else row[column.name] = !column.nonNull && draw.oneIn(4) ? null : cell(draw, column)
  }
  return row
}

/** Within the row's tenant always for a tenant's own join, mostly for others. */
const pointedIndex = (draw: Draw, entity: Entity, join: Join, index: number): number => {
  // The lower of two: some rows have many children.
  const pick = draw.oneIn(10) ? KEYS + draw.below(2) : Math.min(draw.below(KEYS), draw.below(KEYS))
  const own = entity.tenant.kind === 'JOIN' && entity.tenant.join === join.name
  return own || !draw.oneIn(4) ? pick - (pick % 2) + (index % 2) : pick
}

const cell = (draw: Draw, column: Column): CellValue =>
  column.list ? Array.from({ length: draw.below(3) }, () => single(draw, column) as string) : single(draw, column)

/** Alike for longer than an index has of them. */
const LONG = ['', 'b', 'c'].map((end) => `${'a'.repeat(200)}${end}`)
const TEXTS = ['a', 'B', '', 'é', '\u{1F600}', '\uFFFD', "o'x", 'a\\b', '100%', 'ab', ...LONG]
export const INSTANTS = [
  '2026-03-29T00:30:00Z',
  '2026-03-29T01:30:00.123456Z',
  '2026-03-29T23:59:59.999999Z',
  '2026-11-01T05:30:00Z',
  '2026-11-01T06:30:00.5Z',
  '1969-12-31T23:59:59.999Z',
]

const WIDE = [2_147_483_647, -2_147_483_648, 1, -1]
/** Half of what 64 bits hold: two of them are more than a Long. */
const HALVES = ['4611686018427387904', '-4611686018427387904']

const single = (draw: Draw, column: Column): CellValue => {
  const { type } = column
  if (type.kind === 'enum') return draw.pick(['A', 'B', 'C', 'A', 'B', 'C', 'OTHER'])
  switch (type.scalar) {
    case 'ID':
    case 'String':
      return column.name === 'area' ? draw.pick(['north', 'south', 'north ']) : draw.pick(TEXTS)
    case 'Int':
      return column.name === 'wide' ? draw.pick(WIDE) : draw.below(7) - 1
    case 'Long':
      return draw.oneIn(20) ? draw.pick(HALVES) : draw.pick(['3', '0', '-7', '9007199254740993', '42'])
    case 'Float':
      return draw.pick([0.5, 1.25, -3, 0.1, 1e21, 1e-7])
    case 'Boolean':
      return draw.oneIn(6)
    case 'Decimal':
      return type.scale === undefined
        ? draw.pick(['1.5', '1.50', '0', '-0.0001', '123456789012345678.9', '-98765432109876543210.123456789'])
        : draw.pick(['1.5', '0', '-2', '10.05', '9.99', '-123456789012345678901234.5'])
    case 'DateTime':
      return draw.pick(INSTANTS)
    case 'Date':
      return draw.pick(['2026-03-29', '2026-03-28', '1999-12-31'])
    case 'JSON':
      return { json: draw.pick(['{"a": 1}', '[1.50, "é"]', '{"b": [], "a": null}']) }
  }
}
