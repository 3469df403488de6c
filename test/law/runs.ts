/**
 * How often a law is tried, and how: FOREBAY_LAW_RUNS multiplies the runs; FOREBAY_LAW_SECONDS goes on for so long instead, by seed after
 * seed; FOREBAY_LAW_SEED repeats those of a seed that failed; FOREBAY_LAW_SHRINK=1 looks for a smaller example of a failure, which takes minutes.
 */
import fc from 'fast-check'

const times = Number(process.env.FOREBAY_LAW_RUNS ?? 1)
const seconds = Number(process.env.FOREBAY_LAW_SECONDS ?? 0)
/** Where time says how many: so many of each seed. */
const BY_SEED = 20
export const seed = Number(process.env.FOREBAY_LAW_SEED ?? Date.now() % 0x7fffffff)

/** The seed is printed, and how many runs held; it stands in the message of a failure, too, with the path to it. */
export const check = async <T extends [unknown, ...unknown[]]>(
  runs: number,
  property: fc.IAsyncProperty<T>,
): Promise<void> => {
  console.info(`FOREBAY_LAW_SEED=${seed}`)
  const hold = (numRuns: number, own: number): Promise<void> =>
    fc.assert(property, { numRuns, seed: own, endOnFailure: process.env.FOREBAY_LAW_SHRINK === undefined })
  let held = seconds > 0 ? 0 : Math.ceil(runs * times)
  if (seconds === 0) await hold(held, seed)
  for (const begun = Date.now(); Date.now() - begun < seconds * 1_000; held += BY_SEED)
    await hold(BY_SEED, seed + held / BY_SEED)
  console.info(`${held} runs held, from FOREBAY_LAW_SEED=${seed} on`)
}
