/**
 * One value of a record → one value of a column, exactly or not at all. What it is written as follows, in this order, from the
 * column's declared encoding, the record's own schema, the source's unit, the column's type.
 */

import { type Column, type EnumType, isDebezium, type Source, type TimeUnit } from '../../model/model.ts'
import type { CellValue } from '../change.ts'
import { bytesOfBase64, decimalOfBytes, decimalText } from './decimal.ts'
import { type ConnectSchema, type Document, isNumber, isObject, jsonText, numberText } from './document.ts'
import { enumReader } from './enum.ts'
import { DecodeFault } from './fault.ts'
import { type Clock, dayOfNumber, dayOfText, instantOfText, instantOfUnits } from './instant.ts'
import { parseJsonText, requireText, requireTexts } from './text.ts'

/** `value` is never null. `keep` takes an enum's source text where no declared value takes it. Throws DecodeFault, or `inexact`. */
export type Convert = (value: unknown, document: Document, keep: (text: string) => void) => CellValue
type Scalar = string | number | boolean | { readonly json: string }
type ConvertOne = (value: unknown, document: Document, keep: (text: string) => void) => Scalar

export const compileValue = (
  column: Column,
  source: Source,
  enums: ReadonlyMap<string, EnumType>,
  schema: ConnectSchema | undefined,
): Convert => {
  if (!column.list) return compileOne(column, source, enums, schema)
  const one = compileOne(column, source, enums, schema?.items)
  return (value, document, keep) => {
    const items = typeof value === 'string' && column.encoding === 'JSON_TEXT' ? parseJsonText(value) : value
    if (!Array.isArray(items)) throw new DecodeFault(`is ${kindOf(items)}, expected an array`)
    return items.map((item: unknown) => {
      if (item === null) throw new DecodeFault('holds a null element')
      const cell = one(item, document, keep)
      if (typeof cell === 'object') throw new DecodeFault('is a list of JSON, which no column holds')
      return cell
    })
  }
}

const compileOne = (
  column: Column,
  source: Source,
  enums: ReadonlyMap<string, EnumType>,
  schema: ConnectSchema | undefined,
): ConvertOne => {
  const { type } = column
  if (type.kind === 'enum') return compileEnum(enums.get(type.enum)!)
  const decimal = decimalSource(column, schema)
  switch (type.scalar) {
    case 'ID':
    case 'String':
      return decimal === undefined ? textOf : (value, document) => decimalText(decimal(value, document), undefined)
    case 'Int':
      return (value, document) => wholeNumber(decimal ? decimal(value, document) : wholeText(value, document), int32)
    case 'Long':
      return (value, document) => longOf(decimal ? decimal(value, document) : wholeText(value, document))
    case 'Float':
      return (value, document) => floatOf(decimal ? decimal(value, document) : value)
    case 'Decimal':
      return compileDecimal(decimal, type.scale)
    case 'Boolean':
      return (value, document) => booleanOf(value, document)
    case 'DateTime':
      return compileInstant(column, source, schema)
    case 'Date':
      return compileDay(column, source, schema)
    case 'JSON':
      return compileJson(column, source, schema)
  }
}

// ── text and enums ──────────────────────────────────────────────────────────────────────────────────────────────────
const textOf: ConvertOne = (value, document) => {
  if (typeof value === 'string') return document.escapes ? requireText(value) : value
  if (isNumber(value)) return numberText(value, document)
  if (typeof value === 'boolean') return String(value)
  throw new DecodeFault(`is ${kindOf(value)}, expected text`)
}

const compileEnum = (type: EnumType): ConvertOne => {
  const named = enumReader(type)
  return (value, document, keep) => {
    const text = textOf(value, document, keep) as string
    const known = named(text)
    if (known !== undefined) return known
    if (type.other === undefined) throw new DecodeFault(`holds a text that ${type.name} does not declare`)
    keep(text)
    return type.other
  }
}

// ── numbers ─────────────────────────────────────────────────────────────────────────────────────────────────────────
type Range = { readonly name: string; readonly least: number; readonly most: number }
const int32: Range = { name: 'a 32-bit integer', least: -(2 ** 31), most: 2 ** 31 - 1 }

const wholeText = (value: unknown, document: Document): string => {
  if (isNumber(value)) return numberText(value, document)
  if (typeof value === 'string') return value
  throw new DecodeFault(`is ${kindOf(value)}, expected an integer`)
}

const wholeDigits = (text: string): string => {
  if (/^-?\d{1,19}$/.test(text)) return text
  const canonical = decimalText(text)
  if (canonical.includes('.')) throw new DecodeFault('is not an integer')
  return canonical
}

const wholeNumber = (text: string, range: Range): number => {
  const value = Number(wholeDigits(text))
  if (value < range.least || value > range.most) throw new DecodeFault(`is out of the range of ${range.name}`)
  return value + 0
}

const longOf = (text: string): string => {
  const value = BigInt(wholeDigits(text))
  if (BigInt.asIntN(64, value) !== value) throw new DecodeFault('is out of the range of a 64-bit integer')
  return String(value)
}

const floatOf = (value: unknown): number => {
  const text = isNumber(value) ? (typeof value === 'number' ? value : value.rawJSON) : value
  if (typeof text !== 'number' && typeof text !== 'string') {
    throw new DecodeFault(`is ${kindOf(value)}, expected a number`)
  }
  const number = typeof text === 'number' ? text : Number(decimalText(notNaN(text)))
  if (!Number.isFinite(number)) throw new DecodeFault('is not a finite number')
  return number
}

/** The exact text of a decimal in Connect's forms; undefined: an ordinary number or text. */
type DecimalSource = (value: unknown, document: Document) => string
const decimalSource = (column: Column, schema: ConnectSchema | undefined): DecimalSource | undefined => {
  if (schema?.name === 'io.debezium.data.VariableScaleDecimal') return variableScale
  const isDecimal = schema?.name === 'org.apache.kafka.connect.data.Decimal'
  if (column.encoding !== 'DECIMAL_BYTES' && !isDecimal) return undefined
  const declared = column.type.kind === 'scalar' ? column.type.scale : undefined
  const scale = isDecimal ? Number(schema.parameters?.scale ?? 0) : declared
  return (value, document) => {
    if (isObject(value)) return variableScale(value, document)
    if (typeof value !== 'string') return wholeText(value, document)
    if (scale === undefined) throw new DecodeFault('is a decimal in bytes without a scale: declare @column(scale:)')
    return decimalOfBytes(bytesOfBase64(value), scale)
  }
}
const variableScale: DecimalSource = (value, document) => {
  if (!isObject(value)) return wholeText(value, document)
  const { scale, value: bytes } = value
  if (!Number.isInteger(scale) || Math.abs(scale as number) > 100_000 || typeof bytes !== 'string') {
    throw new DecodeFault('is an object, expected a decimal as { scale, value }')
  }
  return decimalOfBytes(bytesOfBase64(bytes), scale as number)
}

const compileDecimal = (decimal: DecimalSource | undefined, scale: number | undefined): ConvertOne => {
  const read =
    decimal ?? ((value, document) => (isObject(value) ? variableScale(value, document) : wholeText(value, document)))
  return (value, document) => decimalText(notNaN(read(value, document)), scale)
}
const notNaN = (text: string): string => {
  if (/^[+-]?(nan|inf(inity)?)$/i.test(text)) throw new DecodeFault('is not a finite number')
  return text
}

const booleanOf = (value: unknown, document: Document): boolean => {
  if (typeof value === 'boolean') return value
  const text = isNumber(value) ? numberText(value, document) : value
  switch (typeof text === 'string' ? text.toLowerCase() : undefined) {
    case 'true':
    case 't':
    case '1':
    case 'aq==':
      return true
    case 'false':
    case 'f':
    case '0':
    case 'aa==':
      return false
    default:
      throw new DecodeFault(`is ${kindOf(value)}, expected true or false`)
  }
}

// ── time ────────────────────────────────────────────────────────────────────────────────────────────────────────────
/** Units of numbers by Connect's, Debezium's and Avro's names. */
const unitsBySchema: Readonly<Record<string, TimeUnit | 'DAYS'>> = {
  'io.debezium.time.Timestamp': 'MILLIS',
  'io.debezium.time.MicroTimestamp': 'MICROS',
  'io.debezium.time.NanoTimestamp': 'NANOS',
  'org.apache.kafka.connect.data.Timestamp': 'MILLIS',
  'io.debezium.time.Date': 'DAYS',
  'org.apache.kafka.connect.data.Date': 'DAYS',
  'timestamp-millis': 'MILLIS',
  'timestamp-micros': 'MICROS',
  'timestamp-nanos': 'NANOS',
  'local-timestamp-millis': 'MILLIS',
  'local-timestamp-micros': 'MICROS',
  'local-timestamp-nanos': 'NANOS',
  date: 'DAYS',
}

const unitOf = (column: Column): TimeUnit | 'DAYS' | undefined => {
  switch (column.encoding) {
    case 'SECONDS':
    case 'MILLIS':
    case 'MICROS':
    case 'NANOS':
    case 'DAYS':
      return column.encoding
    case 'AUTO':
    case 'ISO8601':
    case 'LOCAL':
    case 'DECIMAL_BYTES':
    case 'JSON_TEXT':
      return undefined
  }
}

const compileInstant = (column: Column, source: Source, schema: ConnectSchema | undefined): ConvertOne => {
  const declared = unitOf(column)
  const unit = declared ?? unitsBySchema[schema?.name ?? ''] ?? source.unit ?? 'MICROS'
  // A number in a Debezium record is a timestamp without zone; where the declaration itself says how, it is an instant.
  const debezium = isDebezium(source.format)
  const local = column.encoding === 'LOCAL' || (schema?.name?.startsWith('local-timestamp-') ?? false)
  const numbers: Clock = { zone: source.zone, wall: declared === undefined && (debezium || local) }
  const texts: Clock = { zone: source.zone, wall: local || schema?.name === 'io.debezium.time.IsoTimestamp' }
  const digitsAreUnits = declared !== undefined || source.unit !== undefined
  return (value, document) => {
    const text = isNumber(value) ? numberText(value, document) : value
    if (typeof text !== 'string') throw new DecodeFault(`is ${kindOf(value)}, expected a date and time`)
    if (typeof value === 'string' && !(digitsAreUnits && /^-?\d+(\.\d+)?$/.test(value)))
      return instantOfText(value, texts)
    if (column.encoding === 'ISO8601') throw new DecodeFault('is a number, expected ISO 8601 text')
    if (unit === 'DAYS')
      return instantOfText(`${dayOfNumber(Number(wholeDigits(text)))}T00:00:00`, { ...numbers, wall: true })
    return instantOfAmount(text, unit, numbers)
  }
}

const nanosPer: Record<TimeUnit, number> = { SECONDS: 9, MILLIS: 6, MICROS: 3, NANOS: 0 }
const instantOfAmount = (text: string, unit: TimeUnit, clock: Clock): string => {
  if (/^-?\d{1,15}$/.test(text)) return instantOfUnits(Number(text), unit, clock)
  const canonical = decimalText(text)
  if (!canonical.includes('.')) return instantOfUnits(BigInt(canonical), unit, clock)
  // Fractions of a unit (1700000000.123 seconds), down to nanoseconds.
  const nanos = decimalText(`${canonical}e${nanosPer[unit]}`).split('.')[0]!
  return instantOfUnits(BigInt(nanos), 'NANOS', clock)
}

const compileDay = (column: Column, source: Source, schema: ConnectSchema | undefined): ConvertOne => {
  const unit = unitOf(column) ?? unitsBySchema[schema?.name ?? ''] ?? source.unit ?? 'DAYS'
  return (value, document) => {
    if (typeof value === 'string') return dayOfText(value)
    if (!isNumber(value)) throw new DecodeFault(`is ${kindOf(value)}, expected a day`)
    if (column.encoding === 'ISO8601') throw new DecodeFault('is a number, expected ISO 8601 text')
    const text = numberText(value, document)
    if (unit === 'DAYS') return dayOfNumber(Number(wholeDigits(text)))
    return dayOfText(instantOfAmount(text, unit, { zone: 'UTC', wall: true }))
  }
}

// ── JSON ────────────────────────────────────────────────────────────────────────────────────────────────────────────
const compileJson = (column: Column, source: Source, schema: ConnectSchema | undefined): ConvertOne => {
  const asText =
    column.encoding === 'JSON_TEXT' || source.format === 'DEBEZIUM' || schema?.name === 'io.debezium.data.Json'
  return (value, document) => {
    if (document.escapes) requireTexts(value)
    if (!asText || typeof value !== 'string') return { json: jsonText(value, document) }
    requireTexts(parseJsonText(value))
    return { json: value }
  }
}

const kindOf = (value: unknown): string => {
  if (Array.isArray(value)) return 'an array'
  if (isNumber(value)) return 'a number'
  switch (typeof value) {
    case 'string':
      return 'text'
    case 'boolean':
      return 'a boolean'
    default:
      return value === null ? 'null' : 'an object'
  }
}
