/** Histories of a source that was not made for the tests: tables with keys and rows of their own, joined as the declaration says. */
import type { CellValue } from '../../src/ingest/change.ts'
import type { Column, Entity, Model } from '../../src/model/model.ts'
import type { History, Log } from './change-arbitrary.ts'
import type { SourceWrite } from './debezium.ts'
import type { Draw } from './draw.ts'
import { entityOf, type Row } from './seen.ts'
import { micros } from './values.ts'

export type Table = {
  readonly entity: string
  /** How many keys it has. */
  readonly size: number
  /** Every row comes at the start, and none is deleted. */
  readonly lasting?: true
  key(index: number): Row
  /** All but the key. `version` is that of the write. */
  rest(draw: Draw, index: number, version: bigint): Row
}
export type Foreign = {
  readonly name: string
  readonly folder: string
  readonly tables: readonly Table[]
  makeLog(draw: Draw, model: Model, history: History): Log
  /** What the source holds, with the rows that its records hold within others. */
  rows(history: History): History['rows']
}

/** Mostly a reference to one of `size` rows, now and then to one that never comes. */
export const reference = <T>(draw: Draw, size: number, id: (index: number) => T): T =>
  id(draw.oneIn(12) ? size + draw.below(2) : draw.below(size))

export const nullable = <T>(draw: Draw, value: T): T | null => (draw.oneIn(6) ? null : value)

/** A snapshot first, then changes; each later one has a version of its own. */
export const foreignHistory = (draw: Draw, model: Model, tables: readonly Table[], length: number): History => {
  const slots = tables.flatMap((table) => Array.from({ length: table.size }, (_, index) => ({ table, index })))
  const rows = new Map<string, Map<string, Row>>([...model.entities.keys()].map((name) => [name, new Map()]))
  const writes: SourceWrite[] = []
  const lasting = slots.filter(({ table }) => table.lasting)
  const snapshot = Math.ceil(length / 3)
  let version = 1000n
  for (let i = 0; i < length; i++) {
    const { table, index } = lasting[i] ?? draw.pick(slots)
    const entity = entityOf(model, table.entity)
    const key = table.key(index)
    const id = JSON.stringify(key)
    const mine = rows.get(entity.name)!
    const existing = mine.get(id)
    const read = i < snapshot
    if (read && existing) continue
    if (!read) version += BigInt(1 + draw.below(3))
    if (existing && !table.lasting && draw.oneIn(8)) {
      mine.delete(id)
      writes.push({ entity, key, row: null, op: 'd', lsn: version })
      continue
    }
    const fresh = table.rest(draw, index, version)
    const kept = existing && draw.oneIn(2) ? Object.keys(fresh).filter(() => draw.oneIn(2)) : []
    const row = { ...key, ...fresh, ...Object.fromEntries(kept.map((name) => [name, existing![name]!])) }
    mine.set(id, row)
    writes.push({ entity, key, row, op: read ? 'r' : existing ? 'u' : 'c', lsn: version })
  }
  return { writes, rows }
}

/** A row as its source keeps it: days and seconds since 1970, and its own words for enums. */
export const asStored = (model: Model, entity: Entity, row: Row): Row =>
  Object.fromEntries(
    entity.columns.filter(({ name }) => name in row).map((c) => [c.name, cellAsStored(model, c, row[c.name] ?? null)]),
  )

const dayMs = 86_400_000
const cellAsStored = (model: Model, { type }: Column, value: CellValue): CellValue => {
  if (value === null || typeof value === 'object') return value
  if (type.kind === 'enum') {
    const declared = model.enums.get(type.enum)!
    if (value === declared.other) return 'a word of theirs'
    return declared.values.find(({ name }) => name === value)!.text ?? String(value).toLowerCase()
  }
  if (type.scalar === 'Date') return Date.parse(`${value}T00:00:00Z`) / dayMs
  if (type.scalar === 'DateTime') return Number(micros(String(value))) / 1_000_000
  return value
}
