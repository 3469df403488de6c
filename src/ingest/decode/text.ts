/**
 * Text that Postgres can hold: no NUL, no half surrogate pair. JSON's escapes can write both, UTF-8 itself neither.
 */
import { isObject } from './document.ts'
import { DecodeFault } from './fault.ts'

export const requireText = (text: string): string => {
  if (text.includes('\0')) throw new DecodeFault('holds a NUL character, which no text column can hold')
  if (!text.isWellFormed()) throw new DecodeFault('holds half a surrogate pair, which no text column can hold')
  return text
}

/** Every string and name within a JSON value. */
export const requireTexts = (value: unknown): void => {
  if (typeof value === 'string') requireText(value)
  else if (Array.isArray(value)) for (const item of value) requireTexts(item)
  else if (isObject(value)) {
    for (const name of Object.keys(value)) {
      requireText(name)
      requireTexts(value[name])
    }
  }
}

/** Throws DecodeFault. */
export const parseJsonText = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    throw new DecodeFault('is not valid JSON text')
  }
}
