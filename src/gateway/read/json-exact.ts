/** A row's JSON without loss: whole numbers that a double can't hold stay text, as opaque JSON fields must. */
import type { Fields } from './project.ts'

type RawJson = { rawJSON(text: string): unknown }
const longDigits = /\d{16}/

const exact = (_: string, value: unknown, context?: { readonly source?: string }): unknown => {
  if (typeof value !== 'number' || context?.source === undefined) return value
  const { source } = context
  return source.length < 16 || String(value) === source ? value : (JSON as unknown as RawJson).rawJSON(source)
}

/** Sixteen digits in a row are rare, so the exact and slower way is taken only then. */
export const parseRow = (text: string): Fields => JSON.parse(text, longDigits.test(text) ? exact : undefined) as Fields
