/** Literals in directives, typed as the field they stand for and brought to their canonical form. */
import { type ConstValueNode, Kind, print } from 'graphql'
import type { Literal } from '../condition.ts'
import type { EnumType, ScalarName, ValueType } from '../model.ts'
import { instead, type Report } from './fault.ts'

/** The literal's canonical form (see `Literal`); undefined when it does not fit its type, which is then reported. */
export const readLiteral = (
  node: ConstValueNode,
  type: ValueType,
  enums: ReadonlyMap<string, EnumType>,
  report: Report,
): Literal | undefined => {
  if (node.kind === Kind.NULL) return null
  if (type.kind === 'enum') return readEnum(node, enums.get(type.enum), type.enum, report)
  const value = readScalar(node, type.scalar, type.scale)
  return value === undefined
    ? report(node, `${print(node)} is no ${nameOfType(type)}`, `Write ${examples[type.scalar]}.`)
    : value
}

/** `Decimal with 2 digits after the point`, `Int`, `OrderStatus`. */
export const nameOfType = (type: ValueType): string =>
  type.kind === 'enum'
    ? type.enum
    : type.scale === undefined
      ? type.scalar
      : `${type.scalar} with ${type.scale} digits after the point`

const readEnum = (node: ConstValueNode, declared: EnumType | undefined, name: string, report: Report) => {
  const names = declared?.values.map((value) => value.name) ?? []
  if (node.kind === Kind.STRING && names.includes(node.value))
    return report(node, `${print(node)} is text, where a ${name} is meant`, `Write ${node.value} without quotes.`)
  if (node.kind !== Kind.ENUM || !names.includes(node.value))
    return report(node, `${print(node)} is no ${name}`, instead(node.kind === Kind.ENUM ? node.value : '', names))
  return node.value
}

const examples: Record<ScalarName, string> = {
  ID: 'a string or an integer',
  String: 'a string in double quotes',
  Int: 'an integer of 32 bits',
  Long: 'an integer of 64 bits',
  Float: 'a number',
  Boolean: 'true or false',
  Decimal: 'a number, or one in double quotes, with no more digits than the scale',
  DateTime: '"2026-11-21T09:30:00Z", with Z or an offset',
  Date: '"2026-11-21"',
  JSON: 'no literal: JSON is opaque',
}

const readScalar = (node: ConstValueNode, scalar: ScalarName, scale: number | undefined): Literal | undefined => {
  const text = node.kind === Kind.STRING && !node.value.includes('\0') ? node.value : undefined
  const number = node.kind === Kind.INT || node.kind === Kind.FLOAT ? node.value : undefined
  switch (scalar) {
    case 'String':
      return text
    case 'ID':
      return text ?? (node.kind === Kind.INT ? node.value : undefined)
    case 'Boolean':
      return node.kind === Kind.BOOLEAN ? node.value : undefined
    case 'Int':
      return node.kind === Kind.INT && Math.abs(Number(node.value) + 0.5) < 2 ** 31 ? Number(node.value) : undefined
    case 'Long':
      return readLong(node.kind === Kind.INT ? node.value : text)
    case 'Float':
      return number !== undefined && Number.isFinite(Number(number)) ? Number(number) : undefined
    case 'Decimal':
      return canonicalDecimal(number ?? text, scale)
    case 'DateTime':
      return canonicalDateTime(text)
    case 'Date':
      return text !== undefined && isDay(text) ? text : undefined
    case 'JSON':
      return undefined
  }
}

const readLong = (text: string | undefined): string | undefined =>
  text !== undefined && /^-?\d+$/.test(text) && BigInt.asIntN(64, BigInt(text)) === BigInt(text)
    ? BigInt(text).toString()
    : undefined

/** Plain digits without exponent; with a scale padded to it, else trailing zeros trimmed. */
const canonicalDecimal = (text: string | undefined, scale: number | undefined): string | undefined => {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,3}))?$/.exec(text ?? '')
  if (match === null) return undefined
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match
  const shift = Number(exponent)
  const digits = (whole + fraction).padEnd(whole.length + shift, '0')
  const point = whole.length + shift
  const left = (point > 0 ? digits.slice(0, point) : '').replace(/^0+(?=\d)/, '') || '0'
  const right = (point > 0 ? digits.slice(point) : '0'.repeat(-point) + digits).replace(/0+$/, '')
  if (scale !== undefined && right.length > scale) return undefined
  const padded = right.padEnd(scale ?? 0, '0')
  const zero = /^0*$/.test(left + right)
  return `${zero ? '' : sign}${left}${padded === '' ? '' : `.${padded}`}`
}

const isDay = (text: string): boolean => {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false
  const day = new Date(`${text}T00:00:00Z`)
  return !text.startsWith('0000') && !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text)
}

/** An instant with a zone, as UTC: at most microseconds, trailing zeros of the fraction trimmed. */
const canonicalDateTime = (text: string | undefined): string | undefined => {
  const match = /^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?(Z|[+-]\d{2}:\d{2})$/.exec(text ?? '')
  if (match === null) return undefined
  const [, day = '', minutes = '', seconds = '00', fraction = '', zone = ''] = match
  const instant = new Date(`${day}T${minutes}:${seconds}${zone}`)
  if (!isDay(day) || Number.isNaN(instant.getTime()) || seconds > '59' || minutes > '23:59') return undefined
  const trimmed = fraction.replace(/0+$/, '')
  return `${instant.toISOString().slice(0, 19)}${trimmed === '' ? '' : `.${trimmed}`}Z`
}

/** Spans beyond this are a slip of the pen, and soon beyond what Postgres can count with. */
export const centuryMs = 36_525 * 86_400_000

/** Milliseconds of an ISO 8601 duration of weeks, days, hours, minutes and seconds; undefined for anything else. */
export const readDuration = (text: string): number | undefined => {
  const match = /^P(?:(\d+)W)?(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$/.exec(text)
  if (match === null || text === 'P') return undefined
  const [weeks, days, hours, minutes, seconds] = match.slice(1).map((part) => Number(part ?? 0)) as [
    number,
    number,
    number,
    number,
    number,
  ]
  return ((((weeks * 7 + days) * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000
}
