/** Exact aggregates over the values that a path reached. */
import type { FieldValue, ValueType } from '../../src/model/model.ts'
import { add, type Decimal, divide, formatDecimal, parseDecimal } from './decimal.ts'
import { type Answer, cellAnswer, compareValues, identity } from './values.ts'

type Scalar = string | number | boolean
const ZERO: Decimal = { units: 0n, scale: 0 }
const scaleOf = (type: ValueType): number | undefined =>
  type.kind === 'scalar' && type.scalar === 'Decimal' ? type.scale : 0
const total = (values: readonly Scalar[]): Decimal => values.map((v) => parseDecimal(String(v))).reduce(add, ZERO)

/** `values`: the non-null ones; `type`: theirs. Empty: count and sum 0, the others null. */
export const aggregate = (
  { fn, distinct }: Pick<Extract<FieldValue, { kind: 'aggregate' }>, 'fn' | 'distinct'>,
  type: ValueType,
  values: readonly Scalar[],
): Answer => {
  switch (fn) {
    case 'count':
      return distinct ? new Set(values.map((v) => identity(type, v))).size : values.length
    case 'sum':
      return formatDecimal(total(values), scaleOf(type))
    case 'avg':
      return values.length === 0 ? null : average(values, Math.max(6, (scaleOf(type) ?? 0) + 4))
    case 'min':
    case 'max': {
      const [first] = [...values].sort((a, b) => (fn === 'min' ? 1 : -1) * compareValues(type, a, b))
      return cellAnswer({ type, list: false }, first)
    }
  }
}

const average = (values: readonly Scalar[], digits: number): string =>
  formatDecimal(divide(total(values), values.length, digits), digits)
