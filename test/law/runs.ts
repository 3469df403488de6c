/** How often a law is tried, and with which seed: `FOREBAY_LAW_RUNS` multiplies, `FOREBAY_LAW_SEED` repeats a run that failed. */
import fc from 'fast-check'

const times = Number(process.env.FOREBAY_LAW_RUNS ?? 1)
const seed = Number(process.env.FOREBAY_LAW_SEED ?? Date.now() % 0x7fffffff)

/** The seed stands in the message of a failure too. */
export const check = async <T extends [unknown, ...unknown[]]>(
  runs: number,
  property: fc.IAsyncProperty<T>,
): Promise<void> => {
  console.info(`FOREBAY_LAW_SEED=${seed}`)
  await fc.assert(property, {
    numRuns: Math.ceil(runs * times),
    seed,
    interruptAfterTimeLimit: 240_000 * Math.max(1, times),
  })
}
