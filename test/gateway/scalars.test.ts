import { expect, test } from 'vitest'
import { parseDate, parseDateTime, parseDecimal, parseLong, scalarTypes } from '../../src/gateway/schema/scalars.ts'

test('Long takes 64 bits and not one more', () => {
  expect(parseLong('9223372036854775807')).toBe('9223372036854775807')
  expect(parseLong('-9223372036854775808')).toBe('-9223372036854775808')
  for (const text of ['9223372036854775808', '-9223372036854775809', '', '1.0', '1e3', ' 1', '0x10']) {
    expect(parseLong(text)).toBeUndefined()
  }
  expect(() => scalarTypes.Long.parseValue(2 ** 53)).toThrow('no Long')
  expect(scalarTypes.Long.parseValue(42)).toBe('42')
})

test('Decimal takes digits and one point', () => {
  for (const text of ['0', '-12.50', '.5', '5.', '1'.repeat(200)]) expect(parseDecimal(text)).toBe(text)
  for (const text of ['', '.', '1e5', 'NaN', 'Infinity', '1,5', '1'.repeat(201)])
    expect(parseDecimal(text)).toBeUndefined()
})

test('Date takes days that exist', () => {
  expect(parseDate('2024-02-29')).toBe('2024-02-29')
  for (const text of ['2023-02-29', '2026-04-31', '2026-13-01', '0000-01-01', '2026-1-1', '2026-01-01T00:00:00Z']) {
    expect(parseDate(text)).toBeUndefined()
  }
})

test('DateTime takes instants with a zone and at most microseconds', () => {
  for (const text of ['2026-11-21T09:30:00Z', '2026-11-21T09:30:00.123456+01:00', '2026-11-21t09:30:00z']) {
    expect(parseDateTime(text)).toBe(text.toUpperCase())
  }
  for (const text of [
    '2026-11-21T09:30:00',
    '2026-11-21 09:30:00Z',
    '2026-11-21T24:00:00Z',
    '2026-11-21T09:30:60Z',
    '2026-02-30T09:30:00Z',
    '2026-11-21T09:30:00.1234567Z',
  ]) {
    expect(parseDateTime(text)).toBeUndefined()
  }
})
