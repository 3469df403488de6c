/**
 * How often a law is tried, and how: FOREBAY_LAW_RUNS multiplies the runs, FOREBAY_LAW_SEED repeats those of a seed that failed,
 * FOREBAY_LAW_SHRINK=1 looks for a smaller example of a failure, which takes minutes.
 */
import fc from 'fast-check'

const times = Number(process.env.FOREBAY_LAW_RUNS ?? 1)
export const seed = Number(process.env.FOREBAY_LAW_SEED ?? Date.now() % 0x7fffffff)

/** The seed is printed, and stands in the message of a failure with the path to it. */
export const check = async <T extends [unknown, ...unknown[]]>(
  runs: number,
  property: fc.IAsyncProperty<T>,
): Promise<void> => {
  console.info(`FOREBAY_LAW_SEED=${seed}`)
  await fc.assert(property, {
    numRuns: Math.ceil(runs * times),
    seed,
    endOnFailure: process.env.FOREBAY_LAW_SHRINK === undefined,
  })
}
