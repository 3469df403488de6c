/**
 * Instants and days as canonical text: `2026-11-21T09:30:00.123456Z` (microseconds, trailing zeros trimmed) and `2026-11-21`.
 * Years 0001 to 9999, which ISO 8601 writes with four digits; infinities and what lies outside are faults, never clamped.
 * Finer fractions than microseconds are cut, not rounded, so an instant never moves into the next second.
 */
import type { TimeUnit } from '../../model/model.ts'
import { DecodeFault } from './fault.ts'
import { wallToUtc } from './zone.ts'

/** Whose clock a time without an offset was read from: an IANA zone; `wall`: even where the text ends in Z. */
export type Clock = { readonly zone: string; readonly wall: boolean }

const iso =
  /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,12}))?)?)?\s?(Z|z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?$/
const beyond = /infinity|^[+-]\d+-|^\d{5,}-|BC$/i
const earliest = Date.parse('0001-01-01T00:00:00Z')
const latest = Date.parse('9999-12-31T23:59:59.999Z')

/** A canonical instant, on a day that every month has: most of what there is to read. */
const canonical =
  /^(?!0000)\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{0,5}[1-9])?Z$/

/** Throws DecodeFault. */
export const instantOfText = (text: string, clock: Clock): string => {
  if (!clock.wall && canonical.test(text)) return text
  const match = parse(text)
  const [, year = '', month = '', day = '', hour = '00', minute = '00', second = '00', fraction = '', offset] = match
  const utc = clock.wall || offset === undefined ? clock.zone === 'UTC' : offset === 'Z' || offset === 'z'
  const micros = trimZeros(fraction.slice(0, 6))
  if (utc && hour !== '24' && second !== '60') {
    return `${year}-${month}-${day}T${hour}:${minute}:${second}${micros === '' ? '' : `.${micros}`}Z`
  }
  const wall = Date.parse(`${year}-${month}-${day}T00:00:00Z`) + (+hour * 3600 + +minute * 60 + +second) * 1000
  const at = clock.wall || offset === undefined ? wallToUtc(wall, clock.zone) : wall - offsetMs(offset)
  return write(at, micros)
}

/** `amount` is whole units since 1970, exact. A clock: the units count what a clock in that zone showed, not time itself. */
export const instantOfUnits = (amount: bigint | number, unit: TimeUnit, clock: Clock): string => {
  const perSecond = perSecondOf[unit]
  let seconds: number
  let rest: number
  if (typeof amount === 'number') {
    seconds = Math.floor(amount / perSecond)
    rest = amount - seconds * perSecond
  } else {
    const floor = amount / BigInt(perSecond) - (amount % BigInt(perSecond) < 0n ? 1n : 0n)
    seconds = Number(floor)
    rest = Number(amount - floor * BigInt(perSecond))
  }
  const micros = perSecond === 1 ? '' : trimZeros(String(rest).padStart(digitsOf[unit], '0').slice(0, 6))
  const at = seconds * 1000
  inRange(at)
  return write(clock.wall ? wallToUtc(at, clock.zone) : at, micros)
}
const perSecondOf: Record<TimeUnit, number> = { SECONDS: 1, MILLIS: 1e3, MICROS: 1e6, NANOS: 1e9 }
const digitsOf: Record<TimeUnit, number> = { SECONDS: 0, MILLIS: 3, MICROS: 6, NANOS: 9 }

/** A day as `YYYY-MM-DD`, with or without Z or offset; of a date with a time only midnight. Throws DecodeFault. */
export const dayOfText = (text: string): string => {
  const [, year, month, day, hour = '00', minute = '00', second = '00', fraction = ''] = parse(text)
  if (hour !== '00' || minute !== '00' || second !== '00' || trimZeros(fraction) !== '') {
    throw new DecodeFault('is a time of day, expected a day')
  }
  return `${year}-${month}-${day}`
}

/** Days since 1970-01-01. */
export const dayOfNumber = (days: number): string => {
  if (!Number.isInteger(days)) throw new DecodeFault('is not a whole number of days')
  const at = days * 86_400_000
  inRange(at)
  return new Date(at).toISOString().slice(0, 10)
}

/** Microseconds since 1970 of a canonical instant. */
export const microsOf = (instant: string): bigint => {
  const second = BigInt(Date.parse(`${instant.slice(0, 19)}Z`)) * 1000n
  return second + BigInt(instant.slice(20, -1).padEnd(6, '0'))
}

const parse = (text: string): RegExpExecArray => {
  const match = iso.exec(text)
  if (match === null) {
    throw new DecodeFault(beyond.test(text) ? 'is outside the years 0001 to 9999' : 'is not an ISO 8601 date or time')
  }
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = ''] = match
  const known =
    +month! >= 1 && +month! <= 12 && +day! >= 1 && (+day! <= 28 || +day! <= daysIn(+year!, +month!)) && year !== '0000'
  const midnight = +minute === 0 && +second === 0 && +fraction === 0
  if (!known || +hour > 24 || (+hour === 24 && !midnight) || +minute > 59 || +second > 60) {
    throw new DecodeFault('is a date or time that does not exist')
  }
  return match
}

const daysIn = (year: number, month: number): number => {
  if (month !== 2) return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
}

const offsetMs = (offset: string): number => {
  const digits = offset.replaceAll(/[^\d]/g, '').padEnd(6, '0')
  const [hours, minutes, seconds] = [+digits.slice(0, 2), +digits.slice(2, 4), +digits.slice(4, 6)]
  if (hours > 15 || minutes > 59 || seconds > 59) throw new DecodeFault('has an offset from UTC that does not exist')
  return (hours * 3600 + minutes * 60 + seconds) * (offset.startsWith('-') ? -1000 : 1000)
}

const write = (at: number, micros: string): string => {
  inRange(at)
  return `${secondText(at)}${micros === '' ? '' : `.${micros}`}Z`
}

/** Records that come together are of few seconds: their texts are kept, one in each place. */
const seconds = Array.from({ length: 64 }, () => ({ second: Number.NaN, text: '' }))
const secondText = (at: number): string => {
  const second = Math.floor(at / 1000)
  const place = seconds[((second % 64) + 64) % 64]!
  if (place.second !== second) {
    place.second = second
    place.text = new Date(at).toISOString().slice(0, 19)
  }
  return place.text
}

const inRange = (at: number): void => {
  // NaN compares false, so it is refused too.
  if (!(at >= earliest && at <= latest)) throw new DecodeFault('is outside the years 0001 to 9999')
}

const trimZeros = (digits: string): string => digits.replace(/0+$/, '')
