/** Exact decimals: `units` × 10^-`scale`. Enough arithmetic for the oracle, and none of the engine's. */
export type Decimal = { readonly units: bigint; readonly scale: number }

export const parseDecimal = (text: string): Decimal => {
  const match = /^(-?)(\d+)(?:\.(\d*))?$/.exec(text)
  if (!match) throw new Error(`not a decimal: ${text}`)
  const [, sign, whole, fraction = ''] = match
  return { units: BigInt(`${sign}${whole}${fraction}`), scale: fraction.length }
}

const rescale = (d: Decimal, scale: number): bigint => d.units * 10n ** BigInt(scale - d.scale)

const aligned = (a: Decimal, b: Decimal): [bigint, bigint, number] => {
  const scale = Math.max(a.scale, b.scale)
  return [rescale(a, scale), rescale(b, scale), scale]
}

export const add = (a: Decimal, b: Decimal): Decimal => {
  const [x, y, scale] = aligned(a, b)
  return { units: x + y, scale }
}

export const negate = (a: Decimal): Decimal => ({ units: -a.units, scale: a.scale })

export const multiply = (a: Decimal, b: Decimal): Decimal => ({ units: a.units * b.units, scale: a.scale + b.scale })

export const compareDecimals = (a: Decimal, b: Decimal): number => {
  const [x, y] = aligned(a, b)
  return x < y ? -1 : x > y ? 1 : 0
}

const halfAwayFromZero = (numerator: bigint, denominator: bigint): bigint => {
  const magnitude = numerator < 0n ? -numerator : numerator
  const rounded = (2n * magnitude + denominator) / (2n * denominator)
  return numerator < 0n ? -rounded : rounded
}

/** `sum / count` with exactly `digits` digits, half away from zero. */
export const divide = (sum: Decimal, count: number, digits: number): Decimal => ({
  units: halfAwayFromZero(sum.units * 10n ** BigInt(digits), BigInt(count) * 10n ** BigInt(sum.scale)),
  scale: digits,
})

/** With `scale`: exactly that many digits, none of which may be lost. Without: trailing zeros trimmed. */
export const formatDecimal = (d: Decimal, scale?: number): string => {
  let { units, scale: digits } = d
  while (digits > (scale ?? 0) && units % 10n === 0n) {
    units /= 10n
    digits -= 1
  }
  if (scale !== undefined) {
    if (digits > scale) throw new Error(`${d.units}e-${d.scale} has more than ${scale} digits`)
    units *= 10n ** BigInt(scale - digits)
    digits = scale
  }
  const sign = units < 0n ? '-' : ''
  const text = (units < 0n ? -units : units).toString().padStart(digits + 1, '0')
  return digits === 0 ? sign + text : `${sign}${text.slice(0, -digits)}.${text.slice(-digits)}`
}
