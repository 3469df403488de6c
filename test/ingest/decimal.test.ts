import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bytesOfBase64, decimalOfBytes, decimalText } from '../../src/ingest/decode/decimal.ts'

const scaled = fc.record({
  unscaled: fc.bigInt({ min: -(10n ** 60n), max: 10n ** 60n }),
  scale: fc.integer({ min: 0, max: 40 }),
})
/** What the text of a decimal is worth, as a fraction of 10^100. */
const worth = (text: string): bigint => {
  const [whole = '', fraction = ''] = text.replace('-', '').split('.')
  const magnitude = BigInt(whole + fraction.padEnd(100, '0'))
  return text.startsWith('-') ? -magnitude : magnitude
}
/** Two's complement, big end first, as short as it goes: what Java's BigInteger.toByteArray gives. */
const toBytes = (value: bigint): Buffer => {
  let length = 1
  while (BigInt.asIntN(length * 8, value) !== value) length++
  return Buffer.from(
    BigInt.asUintN(length * 8, value)
      .toString(16)
      .padStart(length * 2, '0'),
    'hex',
  )
}

test('any decimal in bytes comes to exactly its value', () => {
  fc.assert(
    fc.property(scaled, ({ unscaled, scale }) => {
      const text = decimalText(decimalOfBytes(bytesOfBase64(toBytes(unscaled).toString('base64')), scale))
      expect(worth(text)).toBe(unscaled * 10n ** BigInt(100 - scale))
    }),
  )
})

test('equal decimals have equal text, however they are written', () => {
  fc.assert(
    fc.property(
      scaled,
      fc.nat(5),
      fc.nat(5),
      fc.integer({ min: -30, max: 30 }),
      ({ unscaled, scale }, zeros, lead, by) => {
        const canonical = decimalText(`${unscaled}e${-scale}`)
        const sign = unscaled < 0n ? '-' : ''
        const padded = `${sign}${'0'.repeat(lead)}${canonical.replace('-', '')}${canonical.includes('.') ? '' : '.'}${'0'.repeat(zeros)}`
        expect(decimalText(padded)).toBe(canonical)
        expect(decimalText(`${unscaled}e${by - scale}`)).toBe(decimalText(`${canonical}e${by}`))
        expect(decimalText(canonical)).toBe(canonical)
      },
    ),
  )
})

test('a declared scale changes no value: it pads, or refuses', () => {
  fc.assert(
    fc.property(scaled, fc.nat(40), ({ unscaled, scale }, declared) => {
      const text = decimalText(`${unscaled}e${-scale}`)
      const digits = text.split('.')[1]?.length ?? 0
      if (digits > declared) expect(() => decimalText(text, declared)).toThrow(/declared digits/)
      else {
        const padded = decimalText(text, declared)
        expect(worth(padded)).toBe(worth(text))
        expect(padded.split('.')[1]?.length ?? 0).toBe(declared)
      }
    }),
  )
})

test('a run of a hundred thousand zeros takes no noticeable time', () => {
  const began = performance.now()
  expect(decimalText(`0.${'0'.repeat(100_000)}`)).toBe('0')
  expect(() => decimalText(`0.${'0'.repeat(100_000)}1`)).toThrow(/out of the range/)
  expect(performance.now() - began).toBeLessThan(500)
})
