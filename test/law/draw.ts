/** A tape of numbers read as choices: shrinking a number towards 0 takes the first, simplest alternative. */
import fc from 'fast-check'

export type Draw = {
  /** 0 … n - 1. */
  below(n: number): number
  /** True once in `n`, and never on an exhausted tape. */
  oneIn(n: number): boolean
  pick<T>(items: readonly T[]): T
  some<T>(items: readonly T[], oneIn?: number): readonly T[]
}

export const drawFrom = (tape: readonly number[]): Draw => {
  let at = 0
  const below = (n: number): number => (tape[at++] ?? 0) % n
  const oneIn = (n: number): boolean => below(n) === n - 1
  return {
    below,
    oneIn,
    pick: (items) => items[below(items.length)]!,
    some: (items, n = 2) => items.filter(() => oneIn(n)),
  }
}

/** Unbiased: fast-check's taste for extremes would make most choices the first one. */
export const tape = (length: number): fc.Arbitrary<readonly number[]> =>
  fc
    .noBias(fc.array(fc.nat({ max: 0xffff }), { minLength: length, maxLength: length }))
    .map((numbers) => Object.assign(numbers, { [fc.toStringMethod]: () => `a tape of ${length}` }))
