/**
 * Decimals as text, exactly: never through a floating point number, never rounded.
 */
import { DecodeFault } from './fault.ts'

const plain = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,6}))?$/
/** What Postgres's numeric holds before and after the point. */
const mostWhole = 131_072
const mostFraction = 16_383

/**
 * The canonical text of a decimal: with `scale` exactly that many digits after the point, else trailing zeros trimmed; no leading
 * zeros, no minus on zero, no exponent. Throws DecodeFault where `scale` would drop a digit that isn't zero.
 */
export const decimalText = (text: string, scale?: number): string => {
  const match = plain.exec(text)
  const [, sign, wholeText = '', fractionText = '', exponentText] = match ?? []
  if (match === null || wholeText.length + fractionText.length === 0) throw new DecodeFault('is not a decimal number')
  const exponent = exponentText === undefined ? 0 : Number(exponentText)
  if (Math.abs(exponent) > mostWhole) throw new DecodeFault('is out of the range of numeric')
  const [whole, fraction] = exponent === 0 ? [wholeText, fractionText] : shift(wholeText, fractionText, exponent)
  const digits = whole.replace(/^0+/, '')
  const tail = trimZeros(fraction)
  if (digits.length > mostWhole || tail.length > mostFraction) throw new DecodeFault('is out of the range of numeric')
  if (scale !== undefined && tail.length > scale) {
    throw new DecodeFault(`has more than the ${scale} declared digits after the point`)
  }
  const after = scale === undefined ? tail : tail.padEnd(scale, '0')
  const minus = sign === '-' && (digits !== '' || tail !== '') ? '-' : ''
  return `${minus}${digits === '' ? '0' : digits}${after === '' ? '' : `.${after}`}`
}

/** Moves the point `by` places to the right. */
const shift = (whole: string, fraction: string, by: number): [string, string] =>
  by > 0
    ? [whole + fraction.slice(0, by).padEnd(by, '0'), fraction.slice(by)]
    : [
        whole.slice(0, Math.max(0, whole.length + by)),
        whole.slice(Math.max(0, whole.length + by)).padStart(-by, '0') + fraction,
      ]

/** By hand, since /0+$/ is quadratic on long runs of zeros. */
const trimZeros = (digits: string): string => {
  let end = digits.length
  while (end > 0 && digits.charCodeAt(end - 1) === 48) end--
  return digits.slice(0, end)
}

/** An unscaled two's complement integer, big end first, with `scale` digits after the point: Connect's Decimal. */
export const decimalOfBytes = (bytes: Uint8Array, scale: number): string => {
  if (bytes.length === 0) throw new DecodeFault('is a decimal of no bytes')
  const unsigned = BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
  const unscaled = BigInt.asIntN(bytes.length * 8, unsigned)
  return `${unscaled}e${-scale}`
}

const base64 = /^[A-Za-z0-9+/]*={0,2}$/

/** The bytes of a base64 text. Throws DecodeFault for any other text: Buffer.from would skip what it doesn't know. */
export const bytesOfBase64 = (text: string): Buffer => {
  if (text.length % 4 !== 0 || !base64.test(text)) throw new DecodeFault('is not base64')
  return Buffer.from(text, 'base64')
}
