/** The language's scalars: strict coercion in, the answer form out. Answers arrive from SQL in their final form already. */
import {
  GraphQLBoolean,
  GraphQLError,
  GraphQLFloat,
  GraphQLID,
  GraphQLInt,
  GraphQLScalarType,
  GraphQLString,
  Kind,
  type ValueNode,
} from 'graphql'
import type { ScalarName } from '../../model/model.ts'
import { spanSyntax } from '../freshness/span.ts'

const bad = (name: string, wanted: string): GraphQLError =>
  new GraphQLError(`This is no ${name}: ${wanted}.`, { extensions: { code: 'BAD_USER_INPUT' } })

/** A scalar that is text on the wire. `parse` gives the canonical text, or undefined for what isn't one. */
const textScalar = (
  name: string,
  description: string,
  wanted: string,
  parse: (text: string) => string | undefined,
  integers = false,
): GraphQLScalarType<string, unknown> => {
  const accept = (text: string | undefined): string => {
    const value = text === undefined ? undefined : parse(text)
    if (value === undefined) throw bad(name, wanted)
    return value
  }
  return new GraphQLScalarType<string, unknown>({
    name,
    description,
    serialize: (value) => value,
    parseValue: (value) =>
      accept(typeof value === 'string' ? value : integers && Number.isSafeInteger(value) ? String(value) : undefined),
    parseLiteral: (node: ValueNode) =>
      accept(node.kind === Kind.STRING || (integers && node.kind === Kind.INT) ? node.value : undefined),
  })
}

export const parseLong = (text: string): string | undefined => {
  if (!/^-?\d{1,19}$/.test(text)) return undefined
  const value = BigInt(text)
  return BigInt.asIntN(64, value) === value ? String(value) : undefined
}
export const parseDecimal = (text: string): string | undefined =>
  /^-?(\d{1,200}(\.\d{0,200})?|\.\d{1,200})$/.test(text) ? text : undefined

const daysIn = (year: number, month: number): number => new Date(Date.UTC(year, month, 0)).getUTCDate()
export const parseDate = (text: string): string | undefined => {
  const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text)?.map(Number) ?? []
  if (!year || !month || !day || month > 12) return undefined
  return day <= daysIn(year, month) ? text : undefined
}
const instant = /^(\d{4}-\d\d-\d\d)[Tt]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$/
export const parseDateTime = (text: string): string | undefined => {
  const day = instant.exec(text)?.[1]
  return day !== undefined && parseDate(day) !== undefined ? text.toUpperCase() : undefined
}

export const longScalar = textScalar(
  'Long',
  '64-bit integer, exact. A string in answers, a string or an integer literal in arguments.',
  'a whole number of at most 64 bits, as a string or an integer',
  parseLong,
  true,
)
const decimalScalar = textScalar(
  'Decimal',
  'Exact decimal, a string: `"12.50"`. In arguments an integer too.',
  'digits with at most one point, as a string such as "12.50"',
  parseDecimal,
  true,
)
export const dateTimeScalar = textScalar(
  'DateTime',
  'An instant, microseconds, ISO 8601 UTC: `2026-11-21T09:30:00.5Z`. Arguments may carry another offset.',
  'an ISO 8601 instant with a zone and at most six digits of fraction, such as "2026-11-21T09:30:00Z"',
  parseDateTime,
)
const dateScalar = textScalar('Date', 'A calendar day: `2026-11-21`.', 'a calendar day such as "2026-11-21"', parseDate)
export const durationScalar = textScalar(
  'Duration',
  'How long: `5s`, `500ms`, `1m`, `1h`, or ISO 8601 (`PT5S`). No months or years: they have no fixed length.',
  'a duration such as "5s", "500ms" or "PT5S", without months or years',
  (text) => (spanSyntax.test(text) ? text : undefined),
)
const jsonScalar = new GraphQLScalarType<unknown, unknown>({
  name: 'JSON',
  description: 'Any JSON, opaque.',
})

export const scalarTypes: Record<ScalarName, GraphQLScalarType> = {
  ID: GraphQLID,
  String: GraphQLString,
  Int: GraphQLInt,
  Float: GraphQLFloat,
  Boolean: GraphQLBoolean,
  Long: longScalar,
  Decimal: decimalScalar,
  DateTime: dateTimeScalar,
  Date: dateScalar,
  JSON: jsonScalar,
}
