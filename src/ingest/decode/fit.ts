/**
 * Whether an entity's columns fit a schema that records come with: one judge for records as they arrive and for `forebay check --against`.
 *
 * | kind | the schema | as records arrive |
 * |---|---|---|
 * | missing | has no such field, and no room for one | see `misfit.ts` |
 * | type | gives the field a type none of whose values converts | stops the entity |
 * | unsaid | has no such field, but leaves room for one | flows |
 * | doubtful | gives it a type some of whose values don't convert | those records are bad |
 * | symbols | lists texts that the enum doesn't declare | those records are bad, unless an `other` value takes them |
 * | nullable | lets the field of a non-null column be null | those records are bad |
 */
import type { Column, Entity, EnumType } from '../../model/model.ts'
import type { ConnectSchema } from './document.ts'
import { enumReader } from './enum.ts'
import type { Place } from './row.ts'

export type FitKind = 'missing' | 'type' | 'unsaid' | 'doubtful' | 'symbols' | 'nullable'
/** `problem` continues "Order.total": it names fields and types, never a value of a row. */
export type Fit = { readonly column: Column; readonly kind: FitKind; readonly problem: string }

/** `roots`: what the schema says of the places where paths start, as `Place.roots` counts them; undefined: nothing. */
export const judge = (
  entity: Entity,
  enums: ReadonlyMap<string, EnumType>,
  placeOf: (column: Column) => Place,
  roots: readonly (ConnectSchema | undefined)[],
): readonly Fit[] =>
  entity.columns.flatMap((column) => {
    const place = placeOf(column)
    if (place.kind === 'literal') return []
    const found = place.roots.map((root) => find(roots[root], place.path))
    const at = found.find(({ kind }) => kind === 'found')
    const path = place.path.join('.')
    if (at?.kind === 'found') return judgeField(entity, enums, column, path, at.schema, at.optional)
    if (found.some(({ kind }) => kind === 'unknown')) return []
    const kind = found.some(({ kind }) => kind === 'open') ? 'unsaid' : 'missing'
    return [{ column, kind, problem: `has no field ${path} to come from` } as const]
  })

// ── where a path leads ──────────────────────────────────────────────────────────────────────────────────────────────
type Found =
  | { readonly kind: 'found'; readonly schema: ConnectSchema; readonly optional: boolean }
  /** `open`: it isn't named, but may be there. `unknown`: nothing is said of what is inside. */
  | { readonly kind: 'missing' | 'open' | 'unknown' }

export const find = (root: ConnectSchema | undefined, path: readonly string[]): Found => {
  if (root === undefined) return { kind: 'unknown' }
  let schema = root
  let optional = false
  for (const step of path) {
    if (schema.type === 'any') return { kind: 'unknown' }
    if (schema.type === 'map') {
      if (schema.values === undefined) return { kind: 'unknown' }
      schema = schema.values
      optional = true
      continue
    }
    const field = schema.fields?.find((one) => one.field === step)
    if (field === undefined) {
      if (schema.type === 'struct') return { kind: schema.open ? 'open' : 'missing' }
      return { kind: schema.type === 'union' ? 'unknown' : 'missing' }
    }
    // Of a value that may be of several types, the field is there only in some.
    optional ||= (field.optional ?? false) || schema.type === 'union'
    schema = field
  }
  return { kind: 'found', schema, optional }
}

// ── one field ───────────────────────────────────────────────────────────────────────────────────────────────────────
const judgeField = (
  entity: Entity,
  enums: ReadonlyMap<string, EnumType>,
  column: Column,
  path: string,
  schema: ConnectSchema,
  optional: boolean,
): readonly Fit[] => {
  const fits: Fit[] = []
  const how = converts(column, schema)
  const declared = `${column.list ? 'a list of ' : ''}${column.type.kind === 'enum' ? column.type.enum : column.type.scalar}`
  if (how === 'no')
    return [{ column, kind: 'type', problem: `is ${declared}, which ${path} as ${named(schema)} never converts to` }]
  if (how === 'maybe')
    fits.push({
      column,
      kind: 'doubtful',
      problem: `is ${declared}, which not every ${named(schema)} at ${path} converts to`,
    })
  const type = column.type.kind === 'enum' ? enums.get(column.type.enum) : undefined
  const element = column.list ? schema.items : schema
  const undeclared = type && element ? symbolsBeyond(type, element) : []
  if (type && undeclared.length > 0) {
    const taken = type.other === undefined ? 'which no value takes' : `which become ${type.other}`
    fits.push({ column, kind: 'symbols', problem: `may be ${undeclared.join(', ')} at ${path}, ${taken}` })
  }
  const key = entity.key.includes(column.name)
  if (optional && (column.nonNull || key))
    fits.push({ column, kind: 'nullable', problem: `is declared non-null, and ${path} may be null` })
  return fits
}

const symbolsBeyond = (type: EnumType, { parameters }: ConnectSchema): readonly string[] => {
  const allowed = parameters?.allowed
  if (allowed === undefined || allowed === '') return []
  const known = enumReader(type)
  return allowed.split(',').filter((symbol) => known(symbol) === undefined)
}

const named = ({ type, name }: ConnectSchema): string => (name === undefined ? type : `${type} (${name})`)

// ── types ───────────────────────────────────────────────────────────────────────────────────────────────────────────
type How = 'yes' | 'maybe' | 'no'
const converts = (column: Column, schema: ConnectSchema): How => {
  if (schema.type === 'any') return 'yes'
  if (schema.branches) {
    const each = schema.branches.map((branch) => converts(column, branch))
    return each.every((how) => how === each[0]) ? (each[0] ?? 'yes') : 'maybe'
  }
  // A field that is only ever null.
  if (schema.type === 'null') return 'yes'
  if (!column.list) return convertsOne(column, schema)
  if (schema.type === 'string') return column.encoding === 'JSON_TEXT' ? 'yes' : 'no'
  if (schema.type !== 'array') return 'no'
  return schema.items === undefined ? 'yes' : converts({ ...column, list: false }, schema.items)
}

type Shape = 'whole' | 'float' | 'text' | 'boolean' | 'bytes' | 'decimal' | 'clock' | 'inside'
const shapes: Readonly<Record<string, Shape>> = {
  int8: 'whole',
  int16: 'whole',
  int32: 'whole',
  int64: 'whole',
  float32: 'float',
  float: 'float',
  float64: 'float',
  double: 'float',
  string: 'text',
  boolean: 'boolean',
  bytes: 'bytes',
  struct: 'inside',
  array: 'inside',
  map: 'inside',
}
const decimals = new Set(['org.apache.kafka.connect.data.Decimal', 'io.debezium.data.VariableScaleDecimal'])
/** A time of day or a duration: a number that no instant or day is. */
const clocks =
  /^(io\.debezium\.time\.(Micro|Nano)?(Time|Duration)|org\.apache\.kafka\.connect\.data\.Time|time-(millis|micros))$/

const shapeOf = ({ type, name = '' }: ConnectSchema): Shape => {
  if (decimals.has(name)) return 'decimal'
  if (clocks.test(name)) return 'clock'
  // What isn't known is not judged.
  return shapes[type] ?? 'text'
}

const table: Readonly<Record<string, Readonly<Record<Shape, How>>>> = {
  text: {
    whole: 'yes',
    float: 'yes',
    text: 'yes',
    boolean: 'yes',
    bytes: 'yes',
    decimal: 'yes',
    clock: 'yes',
    inside: 'no',
  },
  Int: {
    whole: 'yes',
    float: 'maybe',
    text: 'maybe',
    boolean: 'no',
    bytes: 'no',
    decimal: 'maybe',
    clock: 'yes',
    inside: 'no',
  },
  Float: {
    whole: 'yes',
    float: 'yes',
    text: 'maybe',
    boolean: 'no',
    bytes: 'no',
    decimal: 'yes',
    clock: 'yes',
    inside: 'no',
  },
  Decimal: {
    whole: 'yes',
    float: 'yes',
    text: 'yes',
    boolean: 'no',
    bytes: 'no',
    decimal: 'yes',
    clock: 'yes',
    inside: 'no',
  },
  Boolean: {
    whole: 'maybe',
    float: 'no',
    text: 'maybe',
    boolean: 'yes',
    bytes: 'maybe',
    decimal: 'no',
    clock: 'no',
    inside: 'no',
  },
  DateTime: {
    whole: 'yes',
    float: 'maybe',
    text: 'yes',
    boolean: 'no',
    bytes: 'no',
    decimal: 'maybe',
    clock: 'no',
    inside: 'no',
  },
  Date: {
    whole: 'yes',
    float: 'no',
    text: 'yes',
    boolean: 'no',
    bytes: 'no',
    decimal: 'no',
    clock: 'no',
    inside: 'no',
  },
}

const convertsOne = ({ type, encoding }: Column, schema: ConnectSchema): How => {
  const shape = shapeOf(schema)
  if (type.kind === 'enum') return table.text![shape]
  switch (type.scalar) {
    case 'JSON':
      return 'yes'
    case 'ID':
    case 'String':
      return table.text![shape]
    case 'Int':
      return schema.type === 'int64' && shape === 'whole' ? 'maybe' : table.Int![shape]
    case 'Long':
      return table.Int![shape]
    case 'Float':
      return table.Float![shape]
    case 'Decimal': {
      if (shape === 'bytes' && encoding === 'DECIMAL_BYTES') return 'yes'
      const scale = Number(schema.parameters?.scale ?? 0)
      const cut = shape === 'decimal' && schema.type === 'bytes' && type.scale !== undefined && scale > type.scale
      return cut ? 'maybe' : table.Decimal![shape]
    }
    case 'Boolean':
      return table.Boolean![shape]
    case 'DateTime':
      return encoding === 'ISO8601' && shape === 'whole' ? 'no' : table.DateTime![shape]
    case 'Date':
      return encoding === 'ISO8601' && shape === 'whole' ? 'no' : table.Date![shape]
  }
}
