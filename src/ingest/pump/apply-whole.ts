/** One batch to its end, and what is said and counted of it. */
import { log } from '../../platform/log.ts'
import { counter } from '../../platform/metrics.ts'
import type { Applied, Applier } from '../apply/apply.ts'
import { persist } from '../apply/persist.ts'
import type { Stretch } from '../apply/stretch.ts'
import { unknownViews } from '../generations.ts'
import { type Partition, partitionName } from '../source.ts'

const appliedTotal = counter({ name: 'forebay_changes_applied_total', help: 'Entity rows written.' })
const droppedTotal = counter({
  name: 'forebay_changes_dropped_total',
  help: 'Changes not applied, by reason and entity.',
  labels: ['reason', 'entity'],
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
  readonly quarantined: () => Promise<void>
  readonly stuck: (partition: Partition, reason: string) => Promise<void>
  readonly unfit: (reason: string) => void
}): ApplyWhole => {
  const applied = async (result: Applied): Promise<void> => {
    appliedTotal.inc(result.rows)
    for (const { entity, reason, count } of result.dropped) droppedTotal.inc({ reason, entity }, count)
    quarantinedTotal.inc({ state: 'PARKED' }, result.parked)
    quarantinedTotal.inc({ state: 'WAITING' }, result.waiting)
    quarantinedTotal.inc({ state: 'SUPERSEDED' }, result.superseded)
    options.applied(result)
    for (const { reason, ...partition } of result.stopped)
      log.error('partition.paused', { partition: partitionName(partition), reason })
    if (result.parked + result.waiting > 0) await options.quarantined()
  }
  return async (stretches) => {
    const between = await persist(options.applier, stretches, applied)
    switch (between?.kind) {
      case undefined:
        return 'on'
      case 'applied':
        return 'interrupted'
      case 'lost':
        log.warn('position.lost', { partitions: stretches.map(partitionName) })
        return 'interrupted'
      case 'stuck':
        for (const partition of between.partitions) await options.stuck(partition, between.reason)
        return 'interrupted'
      case 'unknown-generation':
        options.unfit(unknownViews(between.registered))
        return 'interrupted'
    }
  }
}
