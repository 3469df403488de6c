/** Random rows of an entity: keys from a small pool, pointers to keys that may not exist, texts that sort and quote badly. */
import type { CellValue } from '../../src/ingest/change.ts'
import type { Column, Entity, Join, Model } from '../../src/model/model.ts'
import type { Draw } from './draw.ts'
import type { Row } from './seen.ts'

/** How many keys an entity has; pointers go two further, to rows that never come. */
export const KEYS = 8
const KEY_TEXTS = ['k0', 'k1', 'k2', 'é', '\u{1F600}', '\uFFFD', 'Z', "o'k", 'a b', 'k10']
const KEY_LONGS = ['0', '1', '2', '9007199254740993', '-5', '10', '11', '12', '100', '-9007199254740993']
const TENANTS = ['acme', 'globex']

const keyCell = (column: Column, index: number, position: number): CellValue => {
  const type = column.type.kind === 'scalar' ? column.type.scalar : 'ID'
  if (type === 'Int') return position === 0 ? index : index % 2
  if (type === 'Long') return KEY_LONGS[index]!
  return KEY_TEXTS[index]!
}

/** The `index`th key. Every key belongs to one tenant for good: even ones to the first, odd ones to the second. */
export const keyOf = (entity: Entity, index: number): Row =>
  Object.fromEntries(
    entity.key.map((name, position) => [name, keyCell(entity.columns.find((c) => c.name === name)!, index, position)]),
  )

const pointers = (model: Model, entity: Entity): readonly Join[] =>
  entity.joins.filter((join) => {
    const target = model.entities.get(join.target)!
    return (
      !join.many && join.to.every((name, i) => name === target.key[i]) && !join.from.some((f) => entity.key.includes(f))
    )
  })

/** A changed row keeps most cells of `before`. */
export const makeRow = (draw: Draw, model: Model, entity: Entity, index: number, before: Row | undefined): Row => {
  const row: Record<string, CellValue> = { ...keyOf(entity, index) }
  const pointing = pointers(model, entity)
  for (const join of pointing) {
    if (before && !draw.oneIn(3)) {
      for (const name of join.from) row[name] = before[name] ?? null
      continue
    }
    const target = keyOf(model.entities.get(join.target)!, pointedIndex(draw, entity, join, index))
    const nullable = join.from.every((name) => !entity.columns.find((c) => c.name === name)!.nonNull)
    const none = nullable && draw.oneIn(6)
    join.from.forEach((name, i) => {
      row[name] = none && !(i > 0 && draw.oneIn(2)) ? null : target[join.to[i]!]!
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

const TEXTS = ['a', 'B', '', 'é', '\u{1F600}', '\uFFFD', "o'x", 'a\\b', '100%', 'ab']
const INSTANTS = [
  '2026-03-29T00:30:00Z',
  '2026-03-29T01:30:00.123456Z',
  '2026-03-29T23:59:59.999999Z',
  '2026-11-01T05:30:00Z',
  '2026-11-01T06:30:00.5Z',
  '1969-12-31T23:59:59.999Z',
]

const single = (draw: Draw, column: Column): CellValue => {
  const { type } = column
  if (type.kind === 'enum') return draw.pick(['A', 'B', 'C'])
  switch (type.scalar) {
    case 'ID':
    case 'String':
      return column.name === 'area' ? draw.pick(['north', 'south', 'north ']) : draw.pick(TEXTS)
    case 'Int':
      return draw.below(7) - 1
    case 'Long':
      return draw.pick(['3', '0', '-7', '9007199254740993', '42'])
    case 'Float':
      return draw.pick([0.5, 1.25, -3])
    case 'Boolean':
      return draw.oneIn(6)
    case 'Decimal':
      return type.scale === undefined
        ? draw.pick(['1.5', '1.50', '0', '-0.0001', '123456789012345678.9'])
        : draw.pick(['1.5', '0', '-2', '10.05', '9.99'])
    case 'DateTime':
      return draw.pick(INSTANTS)
    case 'Date':
      return draw.pick(['2026-03-29', '2026-03-28', '1999-12-31'])
    case 'JSON':
      return { json: draw.pick(['{"a": 1}', '[1.50, "é"]', '{"b": [], "a": null}']) }
  }
}
