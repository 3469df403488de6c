/**
 * One batch to its end: applied, or, where some of its records can't be, halved until each record is in its table or in quarantine.
 */
import { log } from '../../platform/log.ts'
import { counter } from '../../platform/metrics.ts'
import type { Applied, Applier } from '../apply/apply.ts'
import { condemn, halve, recordCount, type Stretch } from '../apply/stretch.ts'
import { RefusedBy, Unfit } from '../apply/write.ts'
import { unknownViews } from '../generations.ts'
import { type Partition, partitionName } from '../source.ts'

const appliedTotal = counter({ name: 'forebay_changes_applied_total', help: 'Entity rows written.' })
const droppedTotal = counter({
  name: 'forebay_changes_dropped_total',
  help: 'Changes not applied, by reason.',
  labels: ['reason'],
})
const quarantinedTotal = counter({
  name: 'forebay_records_quarantined_total',
  help: 'Records put into quarantine, and those of it that a later record made moot.',
  labels: ['state'],
})

/** `interrupted`: some of it is not in the tables, so all of it has to come again from where the positions are. */
export type ApplyWhole = (stretches: readonly Stretch[]) => Promise<'on' | 'interrupted'>

/** `unfit`: this process can't go on at all. Errors that blame no record come through. */
export const wholeApplier = (options: {
  readonly applier: Applier
  readonly applied: (result: Applied) => void
  readonly stuck: (partition: Partition, reason: string) => Promise<void>
  readonly unfit: (reason: string) => void
}): ApplyWhole => {
  const apply: ApplyWhole = async (stretches) => {
    try {
      const result = await options.applier.apply(stretches)
      switch (result.kind) {
        case 'applied':
          appliedTotal.inc(result.rows)
          droppedTotal.inc({ reason: 'older' }, result.older)
          droppedTotal.inc({ reason: 'duplicate' }, result.duplicate)
          quarantinedTotal.inc({ state: 'PARKED' }, result.parked)
          quarantinedTotal.inc({ state: 'WAITING' }, result.waiting)
          quarantinedTotal.inc({ state: 'SUPERSEDED' }, result.superseded)
          options.applied(result)
          for (const { reason, ...partition } of result.stopped)
            log.error('partition.paused', { partition: partitionName(partition), reason })
          return result.stopped.length === 0 ? 'on' : 'interrupted'
        case 'lost':
          log.warn('position.lost', { partitions: stretches.map(partitionName) })
          return 'interrupted'
        case 'stuck':
          for (const partition of result.partitions) await options.stuck(partition, result.reason)
          return 'interrupted'
        case 'unknown-generation':
          options.unfit(unknownViews(result.registered))
          return 'interrupted'
      }
    } catch (error) {
      if (error instanceof Unfit) return apply(condemn(stretches, error.refused, error.message))
      if (!(error instanceof RefusedBy)) throw error
      const [only] = stretches.flatMap(({ items }) => items)
      if (recordCount(stretches) === 1 && only) {
        const { entity, code } = error
        if (only.bad.some((bad) => bad.entity === entity)) throw error
        return apply(condemn(stretches, [{ ...only.record, entity }], `can't be stored (SQLSTATE ${code})`))
      }
      if (recordCount(stretches) === 0) throw error
      const [first, second] = halve(stretches)
      return (await apply(first)) === 'on' ? apply(second) : 'interrupted'
    }
  }
  return apply
}
