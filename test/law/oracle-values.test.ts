import { expect, test } from 'vitest'
import { bucketStart } from './bucket.ts'
import { divide, formatDecimal, parseDecimal } from './decimal.ts'
import { evaluate, type Value } from './expression.ts'
import { compareText, identity, instant, micros } from './values.ts'

const rounded = (sum: string, count: number, digits: number): string =>
  formatDecimal(divide(parseDecimal(sum), count, digits), digits)

test('averages round half away from zero', () => {
  expect(rounded('1', 3, 6)).toBe('0.333333')
  expect(rounded('2', 3, 6)).toBe('0.666667')
  expect(rounded('0.05', 2, 2)).toBe('0.03')
  expect(rounded('-0.05', 2, 2)).toBe('-0.03')
  expect(rounded('-0.04', 3, 2)).toBe('-0.01')
})

test('decimals are trimmed without a scale and padded with one', () => {
  expect(formatDecimal(parseDecimal('1.500'))).toBe('1.5')
  expect(formatDecimal(parseDecimal('-0.0'))).toBe('0')
  expect(formatDecimal(parseDecimal('100'))).toBe('100')
  expect(formatDecimal(parseDecimal('1.5'), 2)).toBe('1.50')
  expect(formatDecimal(parseDecimal('-0.05'), 2)).toBe('-0.05')
  expect(() => formatDecimal(parseDecimal('1.555'), 2)).toThrow()
})

test('text is ordered by code point, not by UTF-16 unit', () => {
  expect(compareText('\uFFFD', '\u{1F600}')).toBeLessThan(0)
  expect(compareText('Z', 'a')).toBeLessThan(0)
  expect(compareText('a', 'ab')).toBeLessThan(0)
})

test('instants keep microseconds, also before 1970', () => {
  for (const iso of ['2026-03-29T01:30:00.123456Z', '1969-12-31T23:59:59.999Z', '2026-01-01T00:00:00Z'])
    expect(instant(micros(iso))).toBe(iso)
  expect(instant(micros('2026-01-01T00:00:00.500000Z'))).toBe('2026-01-01T00:00:00.5Z')
})

test('values that are equal in their type are one value', () => {
  const decimal = { kind: 'scalar', scalar: 'Decimal' } as const
  expect(identity(decimal, '1.50')).toBe(identity(decimal, '1.5'))
})

test('buckets start where the zone says, through changes of its clock', () => {
  const start = (by: 'HOUR' | 'DAY' | 'WEEK', zone: string, iso: string) => bucketStart(iso, { by, zone })
  expect(start('HOUR', 'UTC', '2026-03-29T01:59:59.9Z')).toBe('2026-03-29T01:00:00Z')
  expect(start('DAY', 'Europe/Berlin', '2026-03-29T12:00:00Z')).toBe('2026-03-28T23:00:00Z')
  expect(start('DAY', 'Europe/Berlin', '2026-03-29T22:30:00Z')).toBe('2026-03-29T22:00:00Z')
  expect(start('DAY', 'America/New_York', '2026-11-02T04:30:00Z')).toBe('2026-11-01T04:00:00Z')
  expect(start('WEEK', 'Asia/Kolkata', '2026-03-29T18:30:00Z')).toBe('2026-03-29T18:30:00Z')
  expect(start('WEEK', 'UTC', '1969-12-31T23:59:59Z')).toBe('1969-12-29T00:00:00Z')
})

test('expressions are three-valued and exact', () => {
  const decimal = parseDecimal
  const run = (sql: string, fields: Record<string, Value> = {}): Value => evaluate(sql, new Map(Object.entries(fields)))
  expect(run('1 + 2 * 3 - 4')).toEqual(decimal('3'))
  expect(run('a * 0.1', { a: decimal('0.3') })).toEqual(decimal('0.03'))
  expect(run('A = 1 or b', { a: null, b: true })).toBe(true)
  expect(run('a = 1 or b', { a: null, b: false })).toBe(null)
  expect(run('not (a > 1) and a is not null', { a: decimal('1') })).toBe(true)
  expect(run("k = 'it''s' ", { k: "it's" })).toBe(true)
  expect(run('coalesce(a, -1) < 0', { a: null })).toBe(true)
  expect(() => run('a ||')).toThrow()
})
