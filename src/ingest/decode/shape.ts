/**
 * What a record does to one entity, whatever format it came in: puts a row there, takes one away, or replaces the rows of an array.
 */
import { arrayKey, keyColumns } from '../../model/array-key.ts'
import type { Column, Entity, EnumType } from '../../model/model.ts'
import type { Change, Decoded, KeyChange, LogRecord, Provenance, ReplaceSet } from '../change.ts'
import { isObject } from './document.ts'
import { DecodeFault } from './fault.ts'
import { headerText } from './header.ts'
import { compileKey, type ReadKey } from './key.ts'
import type { NativeOrder } from './native-order.ts'
import { compileOrder, type Order, type Origin, recordTime } from './order.ts'
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
  /** Who wrote it, by the format's own rule; undefined: nobody says. */
  readonly writer: string | undefined
  readonly provenance: Provenance
  readonly snapshot?: Change['snapshot']
  /** The source changed the row's key. `record`: with the other key in place of its own. */
  readonly moved?: Pick<KeyChange, 'side' | 'id'> & { readonly record: LogRecord }
}

export type Shape = {
  /** `cells` throws where the record's own schema doesn't fit, and is asked only for what counts. */
  upsert(reading: Reading, cells: () => readonly Cell[], keys: ReadKey): Decoded
  /** By the record's key, else by `row`. */
  remove(reading: Reading, keys: ReadKey): Decoded
  /** Every row. */
  truncate(reading: Reading): Decoded
}

const stamp = (order: Order, reading: Reading, keyOnly: boolean) => {
  const eventTime = order.eventTime(reading) ?? reading.time ?? recordTime(reading.record)
  const { topic, partition, offset } = reading.record
  const version = order.version(reading.native, eventTime, keyOnly, reading)
  const { provenance, snapshot } = reading
  const position = { topic, partition, offset }
  const live = reading.live && order.byLog
  return { version, eventTime, live, position, provenance, ...(snapshot && order.snapshots ? { snapshot } : {}) }
}

const compileTruncate = (entity: Entity, order: Order): Shape['truncate'] => {
  return (reading) => {
    const { version, ...stamped } = stamp(order, reading, true)
    if (version.kind !== 'ordered' || reading.native.kind === 'offset')
      throw new DecodeFault(
        'is a truncate, which has no place in the order of this source: delete the rows there instead, or start a new epoch and take a new snapshot',
      )
    return { kind: 'truncate', truncate: { entity: entity.name, version, ...stamped } }
  }
}

export const compileShape = (
  entity: Entity,
  enums: ReadonlyMap<string, EnumType>,
  siblings: readonly Entity[],
): Shape => {
  const { conflict, source } = entity
  const shape = source.each ? arrayShape(entity, enums, siblings, source.each) : rowShape(entity, enums)
  return conflict === 'OWNER' ? ownedShape(entity, shape) : shape
}

/** What anybody but the declared owner wrote does not count. */
const ownedShape = (entity: Entity, shape: Shape): Shape => {
  const { owner } = entity.source
  const foreign: Decoded = { kind: 'dropped', entity: entity.name, reason: 'not-owner' }
  // The header first: the journal sets it itself, and what a record says of its own source anybody can write.
  const isOwn = ({ writer, record }: Reading) => (headerText(record, 'forebay-writer') ?? writer) === owner
  return {
    upsert: (reading, cells, keys) => (isOwn(reading) ? shape.upsert(reading, cells, keys) : foreign),
    remove: (reading, keys) => (isOwn(reading) ? shape.remove(reading, keys) : foreign),
    truncate: (reading) => (isOwn(reading) ? shape.truncate(reading) : foreign),
  }
}

const noSets: readonly ReplaceSet[] = []
const one = (change: Change): Decoded => ({ kind: 'changes', changes: [change], sets: noSets })

const rowShape = (entity: Entity, enums: ReadonlyMap<string, EnumType>): Shape => {
  const order = compileOrder(entity)
  const { ofKey, identify, isNull } = compileIdentity(entity, enums, keyColumns(entity))
  const keyChange = ({ moved }: Reading, keys: ReadKey, absent: readonly string[]): Pick<Change, 'keyChange'> => {
    if (moved === undefined) return {}
    if (isNull(moved.record, keys)) {
      if (moved.side === 'new' && absent.length > 0)
        throw new DecodeFault(`${entity.name}: what it leaves out was in a row whose key was null, which is not kept`)
      return {}
    }
    const key = ofKey(moved.record, keys)
    return key ? { keyChange: { side: moved.side, id: moved.id, key } } : {}
  }
  return {
    upsert(reading, cells, keys) {
      const { missing, placeholders, document } = reading
      const row = readRow(cells(), [reading.row, reading.envelope], document, missing, placeholders)
      const moved = keyChange(reading, keys, row.absent)
      return one({ entity: entity.name, op: 'upsert', ...row, ...stamp(order, reading, false), ...moved })
    },
    remove(reading, keys) {
      const row = identify(reading, keys)
      const moved = keyChange(reading, keys, [])
      return one({ entity: entity.name, op: 'delete', row, absent: [], ...stamp(order, reading, true), ...moved })
    },
    truncate: compileTruncate(entity, order),
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
  /** Undefined where the key lacks one of the columns. */
  const ofKey = (record: LogRecord, keys: ReadKey) => {
    const key = keyOf(record, keys)
    const whole = key !== undefined && columns.every(({ name }) => name in key.values)
    return whole ? readRow(byKey(key.schema), [key.values], key.document, 'null', false).row : undefined
  }
  const isNull = (record: LogRecord, keys: ReadKey): boolean =>
    Object.values(keyOf(record, keys)?.values ?? {}).includes(null)
  const identify = (reading: Reading, keys: ReadKey) => {
    const { row, document } = reading
    const inRow = isObject(row) && columns.every(({ path }) => walk(row, path) !== undefined)
    const known = inRow && reading.ownKey ? undefined : ofKey(reading.record, keys)
    if (known !== undefined) return known
    if (isObject(row)) return readRow(byRow, [row], document, 'null', false).row
    throw new DecodeFault(`${entity.name}: the record has neither a key nor a row to tell which one is deleted`)
  }
  return { ofKey, identify, isNull }
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
  const { identify } = compileIdentity(entity, enums, parents)

  const set = (parent: ReplaceSet['parent'], rows: readonly Change[], stamped: ReturnType<typeof stamp>): Decoded => {
    if (parents.length === 0 || own.length === 0) {
      throw new DecodeFault(`${entity.name}: its key must hold a column of the record and one of the element`)
    }
    return { kind: 'changes', changes: [], sets: [{ entity: entity.name, parent, rows, ...stamped }] }
  }
  return {
    upsert(reading, fitting) {
      const { row, document, missing, placeholders } = reading
      fitting()
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
        rows.set(key, { entity: entity.name, op: 'upsert', ...read, ...stamped })
      }
      return set(parent, [...rows.values()], stamped)
    },
    remove: (reading, keys) => set(identify(reading, keys), [], stamp(order, reading, true)),
    truncate: compileTruncate(entity, order),
  }
}

const elementsOf = (found: unknown, entity: Entity, each: readonly string[]): readonly unknown[] => {
  const value = typeof found === 'string' ? parseJsonText(found) : found
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw new DecodeFault(`${entity.name}: ${each.join('.')} is not an array`)
  return value as unknown[]
}
