/**
 * What a value looks like to who may not see it clear. A masked form tells a person that it is the value they were told of,
 * and no more: short values show nothing, lengths never show.
 *
 * | kind          | form                                                        | example                          |
 * |---------------|-------------------------------------------------------------|----------------------------------|
 * | EMAIL         | first letter of either side, top-level domain               | `ada@example.com` → `a***@e***.com` |
 * | PHONE         | last 4 digits of 10 or more, last 2 of 7 or more            | `+44 20 7946 0958` → `***0958`   |
 * | NAME          | initials, at most 3                                         | `Ada Lovelace` → `A. L.`         |
 * | ADDRESS       | first letter                                                | `12 Mill Lane` → `M***`          |
 * | CARD          | last 4 digits of 12 or more                                 | `4111111111111111` → `****1111`  |
 * | NATIONAL_ID   | last 2 characters of 6 or more                              | `QQ123456C` → `***6C`            |
 * | DATE_OF_BIRTH | the year, as its first day                                  | `1984-05-17` → `1984-01-01`      |
 * | FREE_TEXT     | nothing                                                     | `called at nine` → `…`           |
 *
 * A masked Date is a Date: of another kind it is `0001-01-01`. Kinds without a masked form, and values of several kinds, are
 * `***`. Null stays null.
 */
import { createHmac } from 'node:crypto'

const nothing = '***'
const noDay = '0001-01-01'
const digits = (text: string): string => text.replace(/\D/g, '')
const firstOf = (text: string, atLeast: number): string => {
  const letters = [...text]
  return letters.length >= atLeast ? (letters[0] ?? '') : ''
}

const email = (written: string): string => {
  const text = written.trim()
  const at = text.lastIndexOf('@')
  if (at < 0) return nothing
  const domain = text.slice(at + 1)
  const dot = domain.lastIndexOf('.')
  const top = dot > 0 && /^\.[\p{L}\d-]{2,}$/u.test(domain.slice(dot)) ? domain.slice(dot) : ''
  return `${firstOf(text.slice(0, at), 3)}***@${firstOf(domain.slice(0, dot < 0 ? undefined : dot), 3)}***${top}`
}
const phone = (text: string): string => {
  const number = digits(text)
  return nothing + (number.length >= 10 ? number.slice(-4) : number.length >= 7 ? number.slice(-2) : '')
}
const name = (text: string): string => {
  const words = text.split(/\s+/u).slice(0, 3)
  const initials = words.flatMap((word) => word.match(/\p{L}/u) ?? []).map((letter) => `${letter}.`)
  return initials.length > 0 ? initials.join(' ') : nothing
}
const address = (text: string): string => ([...text].length >= 4 ? (text.match(/\p{L}/u)?.[0] ?? '') : '') + nothing
const card = (text: string): string => {
  const number = digits(text)
  return `****${number.length >= 12 ? number.slice(-4) : ''}`
}
const nationalId = (text: string): string => {
  const characters = [...text.replace(/[^\p{L}\p{N}]/gu, '')]
  return nothing + (characters.length >= 6 ? characters.slice(-2).join('') : '')
}
const yearOf = (text: string): string | undefined => /^(\d{4})-\d\d-\d\d/.exec(text)?.[1]

const masks: Readonly<Record<string, (text: string) => string>> = {
  EMAIL: email,
  PHONE: phone,
  NAME: name,
  ADDRESS: address,
  CARD: card,
  NATIONAL_ID: nationalId,
  DATE_OF_BIRTH: (text) => {
    const year = yearOf(text)
    return year === undefined ? nothing : `${year}-01-01`
  },
  FREE_TEXT: () => '…',
}

/** The masked form of one non-null value. `kinds`: the kinds it derives from; `date`: it must stay a Date. Never throws. */
export const masked = (value: unknown, kinds: readonly string[], date: boolean): string => {
  const text = String(value)
  const mask = kinds.length === 1 ? masks[kinds[0] ?? ''] : undefined
  if (date) return kinds.length === 1 && kinds[0] === 'DATE_OF_BIRTH' && yearOf(text) ? `${yearOf(text)}-01-01` : noDay
  return mask ? mask(text) : nothing
}

/** How a value of a kind is compared, in lookups and tokens alike. */
const normalized = (value: string, kinds: readonly string[]): string =>
  kinds.includes('EMAIL') ? value.trim().toLowerCase() : kinds.includes('PHONE') ? digits(value) : value

/**
 * `tok_…`, 128 bits of a keyed hash: equal values of one kind and tenant have equal tokens, others don't, and without the key
 * no value can be tried.
 */
export const tokenized = (value: unknown, kinds: readonly string[], tenant: string, key: Buffer): string =>
  `tok_${createHmac('sha256', key)
    .update(JSON.stringify([kinds, tenant, normalized(String(value), kinds)]))
    .digest('base64url')
    .slice(0, 22)}`
