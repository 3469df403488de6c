/**
 * Debezium's stand-in for a large value that the source's log doesn't carry because the update left it alone: the stored value stays.
 * Its form follows the column's type: text for text, json and xml; its base64 for bytes; a list or map of it; its bytes as numbers.
 */
import { createHash } from 'node:crypto'

const text = '__debezium_unavailable_value'
const bytes = Buffer.from(text)
const base64 = bytes.toString('base64')
const hstoreText = JSON.stringify({ [text]: text })
const uuid = ((): string => {
  const md5 = createHash('md5').update(bytes).digest()
  md5[6] = (md5[6]! & 0x0f) | 0x30
  md5[8] = (md5[8]! & 0x3f) | 0x80
  return md5.toString('hex').replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5')
})()

/** As Debezium writes it for text, a list and bytes. */
export const placeholder = { text, list: [text], bytes: base64 }

export const unavailable = (value: unknown): boolean => {
  if (typeof value === 'string') return value === text || value === base64 || value === hstoreText
  if (typeof value !== 'object' || value === null) return false
  if (!Array.isArray(value)) return (value as Record<string, unknown>)[text] === text
  if (value.length === 1) return value[0] === text || value[0] === base64 || value[0] === uuid
  return value.length === bytes.length && value.every((item, index) => item === bytes[index])
}
