/**
 * A record's bytes as JSON, with Connect's schema wrapper taken off, and numbers exact where that matters.
 */
import { isUtf8 } from 'node:buffer'
import { DecodeFault, inexact } from './fault.ts'

export type JsonObject = { readonly [name: string]: unknown }

/**
 * Kafka Connect's schema of a value, as JsonConverter writes it beside the payload. Schemas of a registry come to the same; only they
 * have the type `union`, a value of one of its `branches`.
 */
export type ConnectSchema = {
  readonly type: string
  readonly optional?: boolean
  readonly name?: string
  readonly field?: string
  readonly fields?: readonly ConnectSchema[]
  readonly items?: ConnectSchema
  readonly values?: ConnectSchema
  /** Of a struct: there may be fields that it doesn't name. */
  readonly open?: boolean
  readonly branches?: readonly ConnectSchema[]
  readonly parameters?: Readonly<Record<string, string>>
}

/** `ref`: the schema's number, or its GUID. `history`: what is known of those that records of the topic had, by number. */
export type Registration = {
  readonly ref: string
  readonly history: () => readonly { readonly id: number; readonly schema: ConnectSchema }[]
}

export type Document = {
  readonly payload: unknown
  readonly schema: ConnectSchema | undefined
  /** Of a registry's format. */
  readonly registration?: Registration
  /** Numbers that JavaScript's own can't hold or would write otherwise are RawNumbers. */
  readonly exact: boolean
  /** Escapes occur, so strings may hold NUL or half a surrogate pair: neither can stand in UTF-8 itself. */
  readonly escapes: boolean
  readonly text: string
  /** The payload alone is `text`, or a member of it. */
  readonly wrapped: boolean
  /** Of a CloudEvent whose attributes are headers; the payload is its data. */
  readonly attributes?: JsonObject
}

/** Of a record without a value. */
export const noDocument: Document = {
  payload: null,
  schema: undefined,
  exact: true,
  escapes: false,
  text: '',
  wrapped: false,
}

/** Schemas by the text they stood in: records of a topic repeat theirs, and it is often ten times the payload. */
export type SchemaCache = Map<string, ConnectSchema>
const mostSchemas = 8

/** Throws DecodeFault for what is not JSON in UTF-8. */
export const parseDocument = (bytes: Buffer, schemas: SchemaCache): Document => {
  if (!isUtf8(bytes)) throw new DecodeFault('is not UTF-8 text')
  const text = bytes.toString('utf8')
  const wrapped = text.startsWith(wrapperStart) ? unwrapText(text, schemas) : undefined
  return wrapped ?? unwrapValue(text)
}

/** The same document, every number exact. */
export const exactly = (document: Document): Document => {
  if (document.exact) return document
  const value = parse(document.text, keepNumbers)
  return { ...document, payload: document.wrapped ? (value as JsonObject).payload : value, exact: true }
}

const wrapperStart = '{"schema":'
const payloadStart = ',"payload":'

const unwrapText = (text: string, schemas: SchemaCache): Document | undefined => {
  for (const [prefix, schema] of schemas) if (text.startsWith(prefix)) return ofPayload(text, prefix, schema)
  // Quotes within JSON strings are escaped, so this can only be a member's name; that the text before it parses shows it is the root's.
  const at = text.indexOf(payloadStart)
  if (at < 0) return undefined
  let schema: unknown
  try {
    schema = JSON.parse(text.slice(wrapperStart.length, at))
  } catch {
    return undefined
  }
  if (!isSchema(schema)) return undefined
  const prefix = text.slice(0, at + payloadStart.length)
  if (schemas.size >= mostSchemas) schemas.clear()
  schemas.set(prefix, schema)
  return ofPayload(text, prefix, schema)
}

const ofPayload = (text: string, prefix: string, schema: ConnectSchema): Document | undefined => {
  const end = text.lastIndexOf('}')
  const payload = text.slice(prefix.length, end)
  try {
    return {
      payload: JSON.parse(payload),
      schema,
      exact: false,
      escapes: payload.includes('\\u'),
      text: payload,
      wrapped: false,
    }
  } catch {
    return undefined
  }
}

const unwrapValue = (text: string): Document => {
  const value = parse(text)
  const document = { exact: false, escapes: text.includes('\\u'), text }
  if (isObject(value) && 'schema' in value && 'payload' in value && Object.keys(value).length === 2) {
    const { schema, payload } = value
    if (schema === null) return { ...document, payload, schema: undefined, wrapped: true }
    if (isSchema(schema)) return { ...document, payload, schema, wrapped: true }
  }
  return { ...document, payload: value, schema: undefined, wrapped: false }
}

const parse = (text: string, revive?: Reviver): unknown => {
  try {
    return revive ? JSON.parse(text, revive as (key: string, value: unknown) => unknown) : JSON.parse(text)
  } catch {
    // The parser's own message quotes the text.
    throw new DecodeFault('is not valid JSON')
  }
}

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !isRawJSON(value)
const isSchema = (value: unknown): value is ConnectSchema => isObject(value) && typeof value.type === 'string'

// ── numbers, digit by digit ─────────────────────────────────────────────────────────────────────────────────────────
/** A number as it was written; JSON.stringify writes it so again (`JSON.rawJSON`, which TypeScript's library does not know yet). */
export type RawNumber = { readonly rawJSON: string }
type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown
const { rawJSON, isRawJSON } = JSON as unknown as {
  rawJSON(text: string): RawNumber
  isRawJSON(value: unknown): value is RawNumber
}

const keepNumbers: Reviver = (_key, value, { source }) =>
  typeof value === 'number' && source !== undefined && (String(value) !== source || beyondSafe(value))
    ? rawJSON(source)
    : value
const beyondSafe = (value: number): boolean => Number.isInteger(value) && !Number.isSafeInteger(value)

/** An integer as a number, or as a RawNumber where a number can't hold it. */
export const exactNumber = (value: bigint): number | RawNumber =>
  BigInt.asIntN(54, value) === value && value !== -(2n ** 53n) ? Number(value) : rawJSON(String(value))

export const isNumber = (value: unknown): value is number | RawNumber => typeof value === 'number' || isRawJSON(value)

/** The number's own text. Throws `inexact` where the parser may have rounded it. */
export const numberText = (value: number | RawNumber, document: Document): string => {
  if (typeof value !== 'number') return value.rawJSON
  if (!document.exact && (Number.isInteger(value) ? !Number.isSafeInteger(value) : longNumber.test(document.text)))
    throw inexact
  return String(value)
}
/** Up to 15 significant digits a double gives back as they were; more take 16 and a point. */
const longNumber = /[\d.]{17}/

/** JSON text of a value, numbers as they were written. Throws `inexact` where the parser may have changed one. */
export const jsonText = (value: unknown, document: Document): string => {
  if (!document.exact && typeof value === 'object' && oddNumber.test(document.text)) throw inexact
  if (isNumber(value)) return numberText(value, document)
  return JSON.stringify(value)
}
const oddNumber = /\d[.eE][\d+-]|\d{16}/
