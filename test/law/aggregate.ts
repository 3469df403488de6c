/** Exact aggregates over the values that a path reached. */
import type { FieldValue, ValueType } from '../../src/model/model.ts'
import { add, type Decimal, divide, formatDecimal, parseDecimal } from './decimal.ts'
import { type Answer, cellAnswer, compareValues, identity } from './values.ts'

type Scalar = string | number | boolean
const LONGEST = 2n ** 63n - 1n
const ZERO: Decimal = { units: 0n, scale: 0 }
const scaleOf = (type: ValueType): number | undefined =>
  type.kind === 'scalar' && type.scalar === 'Decimal' ? type.scale : 0
const total = (values: readonly Scalar[]): Decimal => values.map((v) => parseDecimal(String(v))).reduce(add, ZERO)

/** `values`: the non-null ones; `type`: theirs. Empty: count and sum 0, the others null. Int and Long give a Long. */
export const aggregate = (
  { fn, distinct }: Pick<Extract<FieldValue, { kind: 'aggregate' }>, 'fn' | 'distinct'>,
  type: ValueType,
  values: readonly Scalar[],
): Answer => {
  switch (fn) {
    case 'count':
      return distinct ? new Set(values.map((v) => identity(type, v))).size : values.length
    case 'sum':
      return sum(values, type)
    case 'avg':
      return values.length === 0 ? null : average(values, Math.max(6, (scaleOf(type) ?? 0) + 4))
    case 'min':
    case 'max': {
      const [first] = [...values].sort((a, b) => (fn === 'min' ? 1 : -1) * compareValues(type, a, b))
      return cellAnswer({ type, list: false }, first)
    }
  }
}

/** No Long holds what is beyond 64 bits: there is no such sum. */
const sum = (values: readonly Scalar[], type: ValueType): Answer => {
  const exact = total(values)
  const isLong = type.kind === 'scalar' && type.scalar !== 'Decimal'
  return isLong && (exact.units > LONGEST || exact.units < -LONGEST) ? null : formatDecimal(exact, scaleOf(type))
}

const average = (values: readonly Scalar[], digits: number): string =>
  formatDecimal(divide(total(values), values.length, digits), digits)
