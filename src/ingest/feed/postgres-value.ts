/**
 * A Postgres value's own text → the JSON that a Debezium record would have for it, so that one decoder serves both: exact numbers as they
 * are, numeric as text, instants in ISO 8601, json as text, bytes in base64, arrays as arrays, and a placeholder for what an update
 * left out of the log. Sessions must run in UTC with DateStyle ISO.
 */
import { isUtf8 } from 'node:buffer'
import { placeholder } from '../decode/unavailable.ts'

/** `oid`: of the type beneath a domain. `element`: an array's. `modifier`: pg_attribute's atttypmod. */
export type PgType = { readonly oid: number; readonly element?: PgType; readonly modifier?: number }

/** The server's text → JSON text. */
export type WriteValue = (text: string) => string

const oids = { bool: 16, bytea: 17, float4: 700, float8: 701, timestamp: 1114, timestamptz: 1184, bit: 1560, box: 603 }
/** int8, int2, int4, oid: what JSON can write bare without losing anything, since readers take the digits. */
const whole = new Set([20, 21, 23, 26])

const quoted = JSON.stringify as (text: string) => string

export const valueWriter = (type: PgType): WriteValue => {
  if (type.element) {
    const write = valueWriter(type.element)
    const separator = type.element.oid === oids.box ? ';' : ','
    return (text) => arrayJson(text, write, separator)
  }
  if (whole.has(type.oid)) return (text) => text
  switch (type.oid) {
    case oids.bool:
      return (text) => (text === 't' || text === 'true' ? 'true' : 'false')
    case oids.float4:
    case oids.float8:
      // NaN and infinities have no JSON number.
      return (text) => (/^-?[\d.]+(e[+-]?\d+)?$/.test(text) ? text : quoted(text))
    case oids.timestamp:
    case oids.timestamptz:
      return (text) => quoted(isoInstant(text))
    case oids.bytea:
      return (text) => quoted(Buffer.from(text.slice(2), 'hex').toString('base64'))
    case oids.bit:
      return type.modifier === 1 ? (text) => (text === '1' ? 'true' : 'false') : quoted
    default:
      return quoted
  }
}

/** `2026-11-21 09:30:00.5+00`: years beyond four digits, BC and infinities stay as they are, for the decoder to judge. */
const isoInstant = (text: string): string =>
  /^\d{4}-\d\d-\d\d \d/.test(text) && !text.endsWith('BC')
    ? `${text.slice(0, 10)}T${text.slice(11).replace(/\+00$/, 'Z')}`
    : text

/** What stands for a value that the log doesn't carry. */
export const unavailableJson = (type: PgType): string =>
  JSON.stringify(type.element ? placeholder.list : type.oid === oids.bytea ? placeholder.bytes : placeholder.text)

/** `[2:3]={1,"a\"b",NULL}`, nested too. */
const arrayJson = (text: string, write: WriteValue, separator: string): string => {
  let at = text.startsWith('[') ? text.indexOf('=') + 1 : 0
  const list = (): string => {
    const items: string[] = []
    at += 1
    while (text[at] !== '}') {
      if (text[at] === separator) at += 1
      items.push(text[at] === '{' ? list() : item())
    }
    at += 1
    return `[${items.join(',')}]`
  }
  const item = (): string => {
    if (text[at] !== '"') {
      const from = at
      while (text[at] !== separator && text[at] !== '}') at += 1
      const bare = text.slice(from, at)
      return bare.toUpperCase() === 'NULL' ? 'null' : write(bare)
    }
    let value = ''
    for (at += 1; text[at] !== '"'; at += 1) {
      if (text[at] === '\\') at += 1
      value += text[at]
    }
    at += 1
    return write(value)
  }
  return text === '' ? '[]' : list()
}

/** Throws where the source's database isn't in UTF8 after all: a replacement character would be data made up. */
export const textOfBytes = (bytes: Buffer): string => {
  if (!isUtf8(bytes)) throw new Error('the source sends text that is not UTF-8: its database needs encoding UTF8')
  return bytes.toString('utf8')
}
