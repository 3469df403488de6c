/** How single values are compared and written in answers: from the language's descriptions of its scalars, nothing else. */
import type { CellValue } from '../../src/ingest/change.ts'
import type { Column, ValueType } from '../../src/model/model.ts'
import { compareDecimals, formatDecimal, parseDecimal } from './decimal.ts'

/** JSON as the gateway would answer it. */
export type Answer = null | string | number | boolean | readonly Answer[] | { readonly [field: string]: Answer }

/** By code point. JavaScript's `<` is by UTF-16 unit, which differs beyond the basic plane. */
export const compareText = (a: string, b: string): number => {
  const x = Array.from(a)
  const y = Array.from(b)
  for (let i = 0; i < x.length && i < y.length; i++) {
    const difference = x[i]!.codePointAt(0)! - y[i]!.codePointAt(0)!
    if (difference !== 0) return difference
  }
  return x.length - y.length
}

/** Microseconds since 1970 of an ISO 8601 instant in UTC with up to six digits of fraction. */
export const micros = (iso: string): bigint => {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?Z$/.exec(iso)
  if (!match) throw new Error(`not an instant in UTC: ${iso}`)
  return BigInt(Date.parse(`${match[1]}Z`)) * 1000n + BigInt((match[2] ?? '').padEnd(6, '0'))
}

/** ISO 8601 UTC, trailing zeros of the fraction trimmed, none when it is zero. */
export const instant = (us: bigint): string => {
  const fraction = ((us % 1_000_000n) + 1_000_000n) % 1_000_000n
  const seconds = new Date(Number((us - fraction) / 1000n)).toISOString().slice(0, 19)
  const digits = fraction.toString().padStart(6, '0').replace(/0+$/, '')
  return `${seconds}${digits === '' ? '' : `.${digits}`}Z`
}

type Scalar = string | number | boolean

/** Order of two values of one type: text and enums by code point, false before true. */
export const compareValues = (type: ValueType, a: Scalar, b: Scalar): number => {
  if (type.kind === 'enum') return compareText(String(a), String(b))
  switch (type.scalar) {
    case 'ID':
    case 'String':
    case 'Date':
      return compareText(String(a), String(b))
    case 'Int':
    case 'Float':
    case 'Boolean':
      return Number(a) - Number(b)
    case 'Long':
    case 'Decimal':
      return compareDecimals(parseDecimal(String(a)), parseDecimal(String(b)))
    case 'DateTime': {
      const difference = micros(String(a)) - micros(String(b))
      return difference < 0n ? -1 : difference > 0n ? 1 : 0
    }
    case 'JSON':
      throw new Error('JSON has no order')
  }
}

const scalarAnswer = (type: ValueType, value: Scalar): Answer => {
  if (type.kind === 'enum') return value
  switch (type.scalar) {
    case 'Decimal':
      return formatDecimal(parseDecimal(String(value)), type.scale)
    case 'Long':
      return String(value)
    case 'DateTime':
      return instant(micros(String(value)))
    default:
      return value
  }
}

/** A stored cell in answer form. */
export const cellAnswer = (column: Pick<Column, 'type' | 'list'>, cell: CellValue | undefined): Answer => {
  if (cell === null || cell === undefined) return null
  if (Array.isArray(cell)) return cell.map((item) => scalarAnswer(column.type, item as Scalar))
  if (typeof cell === 'object') return JSON.parse((cell as { json: string }).json)
  return scalarAnswer(column.type, cell)
}

/** Equal values have equal identities, whatever their spelling (`1.50` and `1.5`). */
export const identity = (type: ValueType, value: Scalar): string =>
  type.kind === 'scalar' && type.scalar === 'Decimal'
    ? formatDecimal(parseDecimal(String(value)))
    : JSON.stringify(scalarAnswer(type, value))
