/**
 * Confluent's wire format: which schema of the registry a key or value was written with, and where its own bytes begin.
 *
 *   0, id in 4 bytes, then the data          before the data
 *   1, GUID in 16 bytes, then the data       before the data
 *   either of the two, without the data      in the header `__value_schema_id` or `__key_schema_id`; the data is the whole value
 */
import type { LogRecord } from '../change.ts'
import { DecodeFault } from './fault.ts'

/** A schema's number in its registry, or its GUID: `7`, `89791762-2336-4186-9674-299b90a802e2`. */
export type SchemaRef = string
export type Framed = { readonly ref: SchemaRef; readonly data: Buffer }

const headers = { key: '__key_schema_id', value: '__value_schema_id' } as const

/** Undefined where the bytes are in no such format. Throws DecodeFault for a header that says no schema. */
export const framedIn = (record: LogRecord, part: 'key' | 'value'): Framed | undefined => {
  const bytes = record[part]
  if (bytes === null) return undefined
  const header = headerBytes(record.headers[headers[part]])
  if (header !== undefined) {
    const found = refIn(header)
    if (found === undefined) throw new DecodeFault(`has a header ${headers[part]} that names no schema`)
    return { ref: found.ref, data: bytes }
  }
  const found = refIn(bytes)
  return found && { ref: found.ref, data: bytes.subarray(found.length) }
}

const refIn = (bytes: Buffer): { readonly ref: SchemaRef; readonly length: number } | undefined => {
  if (bytes[0] === 0 && bytes.length >= 5) return { ref: String(bytes.readUInt32BE(1)), length: 5 }
  if (bytes[0] !== 1 || bytes.length < 17) return undefined
  const guid = bytes.toString('hex', 1, 17).replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5')
  return { ref: guid, length: 17 }
}

const headerBytes = (value: LogRecord['headers'][string]): Buffer | undefined => {
  const first =
    typeof value === 'object' && !Buffer.isBuffer(value) ? (value as readonly (Buffer | string)[])[0] : value
  return typeof first === 'string' ? Buffer.from(first, 'latin1') : (first as Buffer | undefined)
}
