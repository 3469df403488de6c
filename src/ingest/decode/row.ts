/**
 * A record's row → an entity's row: which columns it carries, which it leaves out, and what each is.
 */

import type { Literal } from '../../model/condition.ts'
import type { Column, Entity, EnumType } from '../../model/model.ts'
import type { CellValue } from '../change.ts'
import { type ConnectSchema, type Document, isObject, type JsonObject } from './document.ts'
import { DecodeFault } from './fault.ts'
import { unavailable } from './unavailable.ts'
import { type Convert, compileValue } from './value.ts'

export type Row = {
  readonly row: Record<string, CellValue>
  readonly absent: readonly string[]
  readonly raw?: Readonly<Record<string, string>>
}

/** `null`: a field that the record lacks is null. `absent`: it keeps its stored value. */
export type Missing = 'null' | 'absent'

/** Where one column's value is: a path from one of several starting points, tried in order; or a literal. */
export type Place =
  | { readonly kind: 'path'; readonly roots: readonly number[]; readonly path: readonly string[] }
  | { readonly kind: 'literal'; readonly value: Literal }

export type Cell = {
  readonly name: string
  readonly coordinate: string
  readonly key: boolean
  readonly nonNull: boolean
  readonly place: Place
  readonly convert: Convert
}

/** `schema`: what the record itself says of the first root's types. */
export const compileCells = (
  columns: readonly Column[],
  entity: Entity,
  enums: ReadonlyMap<string, EnumType>,
  placeOf: (column: Column) => Place,
  schema?: ConnectSchema,
): readonly Cell[] =>
  columns.map((column) => {
    const place = placeOf(column)
    const own = place.kind === 'path' && place.roots[0] === 0 ? schemaAt(schema, place.path) : undefined
    return {
      name: column.name,
      coordinate: `${entity.name}.${column.name}`,
      key: entity.key.includes(column.name),
      nonNull: column.nonNull,
      place,
      convert: compileValue(column, entity.source, enums, own),
    }
  })

/** One compilation for each schema that records come with, and one for none. */
export const perSchema = <T>(compile: (schema: ConnectSchema | undefined) => T): ((schema?: ConnectSchema) => T) => {
  const plain = compile(undefined)
  const known = new WeakMap<ConnectSchema, T>()
  return (schema) => {
    if (schema === undefined) return plain
    const compiled = known.get(schema) ?? compile(schema)
    known.set(schema, compiled)
    return compiled
  }
}

export const schemaAt = (schema: ConnectSchema | undefined, path: readonly string[]): ConnectSchema | undefined =>
  path.reduce<ConnectSchema | undefined>((at, step) => at?.fields?.find(({ field }) => field === step), schema)

/** Throws DecodeFault naming the column; `inexact` when numbers must be read again. */
export const readRow = (
  cells: readonly Cell[],
  roots: readonly unknown[],
  document: Document,
  missing: Missing,
  placeholders: boolean,
): Row => {
  const row: Record<string, CellValue> = {}
  const absent: string[] = []
  let raw: Record<string, string> | undefined
  let name = ''
  const keep = (text: string): void => {
    raw ??= {}
    raw[name] = text
  }
  for (const cell of cells) {
    const { place } = cell
    name = cell.name
    if (place.kind === 'literal') {
      row[name] = place.value
      continue
    }
    const value = find(place.roots, roots, place.path)
    if (value === undefined ? missing === 'absent' && !cell.key : placeholders && unavailable(value)) {
      if (cell.key) throw new DecodeFault(`${cell.coordinate} is a key and was not sent`)
      absent.push(name)
    } else if (value === undefined || value === null) {
      if (cell.nonNull || cell.key) throw new DecodeFault(`${cell.coordinate} ${lackOf(cell, value)}`)
      row[name] = null
    } else {
      try {
        row[name] = cell.convert(value, document, keep)
      } catch (error) {
        if (error instanceof DecodeFault) throw new DecodeFault(`${cell.coordinate} ${error.message}`)
        throw error
      }
    }
  }
  return raw === undefined ? { row, absent } : { row, absent, raw }
}

const lackOf = ({ key }: Cell, value: null | undefined): string => {
  if (value === undefined) return 'is missing, but declared non-null'
  // One row of many has such a key, so a delete of it may not be taken for that of another.
  const remedy = ": make the source's column not null, or declare columns that are as the key"
  return `is null, but declared non-null${key ? `, being a key${remedy}` : ''}`
}

const find = (indexes: readonly number[], roots: readonly unknown[], path: readonly string[]): unknown => {
  for (const index of indexes) {
    const value = walk(roots[index], path)
    if (value !== undefined) return value
  }
  return undefined
}

/** The value at a path of exact names: null where something on the way is null, undefined where a step is missing. */
export const walk = (root: unknown, path: readonly string[]): unknown => {
  let value = root
  for (let step = 0; step < path.length; step++) {
    const name = path[step]!
    if (value === null) return step === 0 ? undefined : null
    if (typeof value !== 'object' || Array.isArray(value)) return undefined
    const next: JsonObject[string] = (value as JsonObject)[name]
    // What every object inherits is not in the record: functions and a prototype. Nor is what a RawNumber is made of.
    if (next === undefined || typeof next === 'function') return undefined
    if ((name === '__proto__' && !Object.hasOwn(value, name)) || (name === 'rawJSON' && !isObject(value)))
      return undefined
    value = next
  }
  return value
}
