/** Applies stretches until each of their records is in its table or in quarantine, however many of them a table refuses. */
import type { Applied, Applier, ApplyResult } from './apply.ts'
import { condemn, halve, recordCount, type Stretch } from './stretch.ts'
import { RefusedBy, Unfit } from './write.ts'

/**
 * Halves where a record is at fault that the database doesn't name. `applied` is called after each commit, and waited for. Answers with what came in
 * between, so that some of it is not applied and all of it has to come again from where the positions are; undefined: nothing did.
 * Throws what is no record's fault.
 */
export const persist = async (
  applier: Applier,
  stretches: readonly Stretch[],
  applied: (result: Applied) => void | Promise<void>,
): Promise<ApplyResult | undefined> => {
  const again = (parts: readonly Stretch[]) => persist(applier, parts, applied)
  try {
    const result = await applier.apply(stretches)
    if (result.kind !== 'applied') return result
    await applied(result)
    return result.whole ? undefined : result
  } catch (error) {
    if (error instanceof Unfit) return again(condemn(stretches, error.refused, error.message))
    if (!(error instanceof RefusedBy)) throw error
    const [only] = stretches.flatMap(({ items }) => items)
    if (recordCount(stretches) === 1 && only) {
      const { entity, code } = error
      if (only.bad.some((bad) => bad.entity === entity)) throw error
      return again(condemn(stretches, [{ ...only.record, entity }], `can't be stored (SQLSTATE ${code})`))
    }
    if (recordCount(stretches) === 0) throw error
    const [first, second] = halve(stretches)
    return (await again(first)) ?? again(second)
  }
}
