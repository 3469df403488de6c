/**
 * What a record does to one entity, whatever format it came in: puts a row there, takes one away, or replaces the rows of an array.
 */
import { arrayKey, keyColumns } from '../../model/array-key.ts'
import type { Column, Entity, EnumType } from '../../model/model.ts'
import type { Change, Decoded, ReplaceSet } from '../change.ts'
import { isObject } from './document.ts'
import { DecodeFault } from './fault.ts'
import { compileKey, type ReadKey } from './key.ts'
import { compileOrder, type NativeOrder, type Origin, recordTime } from './order.ts'
import { type Cell, compileCells, type Missing, perSchema, readRow, walk } from './row.ts'
import { parseJsonText } from './text.ts'
import { unavailable } from './unavailable.ts'

/** `row`: what holds the fields. `roots` of the origin serve the declared paths of version and event time. */
export type Reading = Origin & {
  readonly row: unknown
  readonly envelope: unknown
  readonly native: NativeOrder
  /** The event time by the format's own rule; undefined: the record's. */
  readonly time: string | undefined
  readonly live: boolean
  readonly missing: Missing
  /** Debezium's stand-ins for unsent values are possible. */
  readonly placeholders: boolean
  /** The row's own key columns say who is meant, before the record's key does. */
  readonly ownKey: boolean
}

export type Shape = {
  upsert(reading: Reading, cells: readonly Cell[]): Decoded
  /** By the record's key, else by `row`. */
  remove(reading: Reading, keys: ReadKey): Decoded
}

const stamp = (order: ReturnType<typeof compileOrder>, reading: Reading, keyOnly: boolean) => {
  const eventTime = order.eventTime(reading) ?? reading.time ?? recordTime(reading.record)
  const { topic, partition, offset } = reading.record
  const version = order.version(reading.native, eventTime, keyOnly, reading)
  return { version, eventTime, position: { topic, partition, offset } }
}

export const compileShape = (
  entity: Entity,
  enums: ReadonlyMap<string, EnumType>,
  siblings: readonly Entity[],
): Shape => (entity.source.each ? arrayShape(entity, enums, siblings, entity.source.each) : rowShape(entity, enums))

const noSets: readonly ReplaceSet[] = []
const one = (change: Change): Decoded => ({ kind: 'changes', changes: [change], sets: noSets })

const rowShape = (entity: Entity, enums: ReadonlyMap<string, EnumType>): Shape => {
  const order = compileOrder(entity)
  const identify = compileIdentity(entity, enums, keyColumns(entity))
  return {
    upsert(reading, cells) {
      const { live, missing, placeholders, document } = reading
      const row = readRow(cells, [reading.row, reading.envelope], document, missing, placeholders)
      return one({ entity: entity.name, op: 'upsert', ...row, live, ...stamp(order, reading, false) })
    },
    remove(reading, keys) {
      const row = identify(reading, keys)
      return one({
        entity: entity.name,
        op: 'delete',
        row,
        absent: [],
        live: reading.live,
        ...stamp(order, reading, true),
      })
    },
  }
}

/**
 * The values of some key columns. In a Debezium record the key is the row's; in an event it may be anything that spreads events over
 * partitions, so there the event itself goes first.
 */
const compileIdentity = (entity: Entity, enums: ReadonlyMap<string, EnumType>, columns: readonly Column[]) => {
  const keyOf = compileKey(columns)
  const byKey = perSchema((schema) =>
    compileCells(columns, entity, enums, ({ name }) => ({ kind: 'path', roots: [0], path: [name] }), schema),
  )
  const byRow = compileCells(columns, entity, enums, ({ path }) => ({ kind: 'path', roots: [0], path }))
  return (reading: Reading, keys: ReadKey) => {
    const { row, document } = reading
    const inRow = isObject(row) && columns.every(({ path }) => walk(row, path) !== undefined)
    if (!(inRow && reading.ownKey)) {
      const key = keyOf(reading.record, keys)
      const whole = key !== undefined && columns.every(({ name }) => name in key.values)
      if (whole) return readRow(byKey(key.schema), [key.values], key.document, 'null', false).row
    }
    if (isObject(row)) return readRow(byRow, [row], document, 'null', false).row
    throw new DecodeFault(`${entity.name}: the record has neither a key nor a row to tell which one is deleted`)
  }
}

/** Rows that are the elements of an array. */
const arrayShape = (
  entity: Entity,
  enums: ReadonlyMap<string, EnumType>,
  siblings: readonly Entity[],
  each: readonly string[],
): Shape => {
  const order = compileOrder(entity)
  const { parents, own } = arrayKey(entity, siblings)
  const ownName = own[0]?.path.at(-1) ?? 'value'
  const cells = compileCells(entity.columns, entity, enums, (column) => {
    const roots = parents.includes(column) ? [1] : own.includes(column) ? [0] : [0, 1]
    return { kind: 'path', roots, path: column.path }
  })
  const parentCells = compileCells(parents, entity, enums, ({ path }) => ({ kind: 'path', roots: [0], path }))
  const identify = compileIdentity(entity, enums, parents)

  const set = (parent: ReplaceSet['parent'], rows: readonly Change[], stamped: ReturnType<typeof stamp>): Decoded => {
    if (parents.length === 0 || own.length === 0) {
      throw new DecodeFault(`${entity.name}: its key must hold a column of the record and one of the element`)
    }
    return { kind: 'changes', changes: [], sets: [{ entity: entity.name, parent, rows, ...stamped }] }
  }
  return {
    upsert(reading) {
      const { row, document, missing, placeholders, live } = reading
      const found = walk(row, each)
      if (found === undefined ? missing === 'absent' : placeholders && unavailable(found)) {
        return { kind: 'skipped', reason: 'array not sent' }
      }
      const elements = elementsOf(found, entity, each)
      const stamped = stamp(order, reading, false)
      const parent = readRow(parentCells, [row], document, 'null', false).row
      const rows = new Map<string, Change>()
      for (const element of elements) {
        const root = isObject(element) ? element : { [ownName]: element }
        const read = readRow(cells, [root, row], document, 'null', false)
        // Of two elements with one key the later stands.
        const key = JSON.stringify(entity.key.map((name) => read.row[name]))
        rows.set(key, { entity: entity.name, op: 'upsert', ...read, live, ...stamped })
      }
      return set(parent, [...rows.values()], stamped)
    },
    remove: (reading, keys) => set(identify(reading, keys), [], stamp(order, reading, true)),
  }
}

const elementsOf = (found: unknown, entity: Entity, each: readonly string[]): readonly unknown[] => {
  const value = typeof found === 'string' ? parseJsonText(found) : found
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw new DecodeFault(`${entity.name}: ${each.join('.')} is not an array`)
  return value as unknown[]
}
