/**
 * Whose record it is that can't be decoded, as far as can be told: its key, so that only this key has to wait (C19), and the other
 * columns that can be read, so that it can be told which rows it might change.
 */
import { arrayKey, keyColumns } from '../../model/array-key.ts'
import { type Column, type Entity, type EnumType, isDebezium } from '../../model/model.ts'
import type { LogRecord, Told } from '../change.ts'
import { wholeEvent, withData } from './cloud-event.ts'
import { type Document, exactly, isNumber, isObject, numberText } from './document.ts'
import { isCloudEvents, placeIn } from './event.ts'
import { compileKey, type ReadKey } from './key.ts'
import { nativeOrder } from './native-order.ts'
import { nativeVersion } from './order.ts'
import { NeedsSchema } from './registered.ts'
import { type Cell, compileCells, perSchema, type Row, readRow, walk } from './row.ts'

/** `document`: undefined where not even that could be read, or there is none. Throws NeedsSchema alone. */
export type Tell = (record: LogRecord, document: Document | undefined, keys: ReadKey) => Told | undefined

/** Where the columns are. `gone`: the record takes the row away, so that it holds no more than a key. */
type Found = {
  readonly roots: readonly unknown[]
  readonly cells: readonly Cell[]
  readonly gone: boolean
  readonly major: bigint | null
}
type Find = (record: LogRecord, document: Document) => Found | undefined

export const compileTell = (
  entity: Entity,
  enums: ReadonlyMap<string, EnumType>,
  siblings: readonly Entity[],
): Tell => {
  const { format, each, events } = entity.source
  const columns = each ? arrayKey(entity, siblings).parents : keyColumns(entity)
  const cloud = isCloudEvents(format)
  const debezium = isDebezium(format)
  const find = (debezium ? findInEnvelope : findInEvent)(entity, enums)
  const keyOf = compileKey(columns)
  const byKey = perSchema((schema) =>
    compileCells(columns, entity, enums, ({ name }) => ({ kind: 'path', roots: [0], path: [name] }), schema),
  )
  /** Of events the record's key may be anything that spreads them over partitions: it counts where it names the columns. */
  const fromKey = (record: LogRecord, keys: ReadKey): Told['key'] | undefined => {
    const key = keyOf(record, keys)
    if (!key || ((events || cloud) && !isObject(key.document.payload))) return undefined
    const { row } = read(byKey(key.schema), [key.values], key.document, false)
    if (!debezium) return whole(columns, row)
    // A key that is null in part is a key all the same: that of rows that no table here holds, so no other key has to wait for them.
    const nulls = columns.filter(({ name }) => key.values[name] === null).map(({ name }) => [name, null])
    return whole(columns, { ...row, ...Object.fromEntries(nulls) }, true)
  }
  return (record, given, keys) => {
    try {
      const document = given && exactly(given)
      const found = document && find(record, document)
      const cells = found && (found.gone ? found.cells.filter((cell) => cell.key) : found.cells)
      const row = cells && read(cells, found.roots, document, debezium)
      const fromRow = row && whole(columns, row.row)
      const key = debezium ? (fromKey(record, keys) ?? fromRow) : (fromRow ?? fromKey(record, keys))
      if (!key || columns.length === 0) return undefined
      const major = found?.major ?? null
      const gone = found?.gone ?? false
      return { key, row: each ? {} : (row?.row ?? {}), absent: row?.absent ?? [], gone, major }
    } catch (error) {
      if (error instanceof NeedsSchema) throw error
      return undefined
    }
  }
}

/** Bytes that are no text are read as if they were, and many such keys would be one. */
const garbled = (value: unknown): boolean => typeof value === 'string' && value.includes('\ufffd')

const whole = (columns: readonly Column[], row: Row['row'], nullable = false): Told['key'] | undefined => {
  const key = Object.fromEntries(columns.map(({ name }) => [name, row[name]!]))
  const known = (value: unknown) => value !== undefined && (nullable || value !== null) && !garbled(value)
  const told = columns.every(({ name }) => known(row[name]))
  return told ? key : undefined
}

/** Every cell that can be read. */
const read = (cells: readonly Cell[], roots: readonly unknown[], document: Document, placeholders: boolean): Row => {
  const row: Row['row'] = {}
  const absent: string[] = []
  for (const cell of cells) {
    try {
      const one = readRow([cell], roots, document, 'absent', placeholders)
      Object.assign(row, one.row)
      absent.push(...one.absent)
    } catch {
      // It may be anything.
    }
  }
  return { row, absent }
}

const findInEnvelope = (entity: Entity, enums: ReadonlyMap<string, EnumType>): Find => {
  const cells = compileCells(entity.columns, entity, enums, ({ path }) => ({ kind: 'path', roots: [0], path }))
  return (record, document) => {
    const { payload } = document
    if (!isObject(payload)) return undefined
    const { op, after, before, source } = payload
    const order = isObject(source) ? nativeOrder(String(op), source, document) : undefined
    const version = order && order.kind !== 'missing' ? nativeVersion(order, record, 0) : undefined
    const major = version?.kind === 'ordered' ? version.major : null
    return { roots: [isObject(after) ? after : before], cells, gone: op === 'd', major }
  }
}

const findInEvent = (entity: Entity, enums: ReadonlyMap<string, EnumType>): Find => {
  const { format, events, typeAt } = entity.source
  const cellsOf = (event?: NonNullable<typeof events>[number]) =>
    compileCells(entity.columns, entity, enums, placeIn(event))
  const rowCells = cellsOf()
  const byType = new Map(events?.map((event) => [event.type, { event, cells: cellsOf(event) }]))
  const cloud = isCloudEvents(format)
  return (_, given) => {
    const document = cloud ? eventIn(given) : given
    const envelope = document?.payload
    if (!document || !isObject(envelope)) return undefined
    const data = cloud ? (envelope.data ?? envelope) : envelope
    if (!events) return { roots: [data, envelope], cells: rowCells, gone: false, major: null }
    const type = walk(envelope, typeAt ?? ['type'])
    const known = byType.get(isNumber(type) ? numberText(type, document) : String(type))
    if (!known) return undefined
    const row = known.event.at ? walk(envelope, known.event.at) : data
    return { roots: [row, envelope], cells: known.cells, gone: known.event.op === 'DELETE', major: null }
  }
}

/** Undefined where its data can't be read: its attributes alone tell of the event, not of the row. */
const eventIn = (document: Document): Document | undefined => {
  try {
    return withData(wholeEvent(document))
  } catch {
    return undefined
  }
}
