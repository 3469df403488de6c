/**
 * apply: one transaction a batch. Positions and rows move together, so the effect is exactly once: a batch whose positions have
 * already moved, or that another process has applied, changes nothing.
 */
import type { Model } from '../../model/model.ts'
import type { Sql } from '../../platform/postgres.ts'
import { type Catalog, knowingAll } from '../generations.ts'
import { type Partition, partitionName } from '../source.ts'
import { aboveFloors, readBounds } from './bounds.ts'
import { resolveSets } from './documents.ts'
import { takeFence } from './fence.ts'
import { raiseFloors } from './floor.ts'
import { holdBack } from './hold-back.ts'
import { parkQueues } from './park.ts'
import { entitiesHeld } from './quarantine.ts'
import { noteSnapshots } from './snapshots.ts'
import { cutAtCap, cutAtUnknownKeys, stopAt } from './stop.ts'
import type { Stretch } from './stretch.ts'
import { createWrite, nothing, Restored, sum, sumDropped, type Written } from './write.ts'

/** `parked`: records that could not be applied; `waiting`: those that wait behind one; `superseded`: held ones that a later record made moot. */
export type Applied = Written & {
  readonly kind: 'applied'
  readonly parked: number
  readonly waiting: number
  readonly superseded: number
  /** Partitions that stop at a record whose key can't be told. */
  readonly stopped: readonly (Partition & { readonly reason: string })[]
  /** False where the batch held more: beyond such a record, or than quarantine has room for. All of that has to come again. */
  readonly whole: boolean
}
/**
 * `lost`: a position was not where it was expected (somebody else applied, or a state forbids it): read the positions again.
 * `stuck`: the source's order went back in time (C14). `unknown-generation`: another process registered views this one doesn't know.
 */
export type ApplyResult =
  | Applied
  | { readonly kind: 'lost' }
  | { readonly kind: 'stuck'; readonly partitions: readonly Partition[]; readonly reason: string }
  | { readonly kind: 'unknown-generation'; readonly registered: number }

/** Throws Unfit and RefusedBy where a record is at fault. */
export type Applier = { apply(stretches: readonly Stretch[]): Promise<ApplyResult> }

/** `cap`: records of a topic that quarantine has room for. */
export const createApplier = (sql: Sql, model: Model, catalog: Catalog, cap = Number.POSITIVE_INFINITY): Applier => {
  const write = createWrite(model, catalog)
  const byTopic = Map.groupBy(model.entities.values(), ({ source }) => source.topic)
  const namesOf = (stretches: readonly Stretch[]): readonly string[] =>
    [...new Set(stretches.map(({ topic }) => topic))].flatMap((topic) =>
      (byTopic.get(topic) ?? []).map(({ name }) => name),
    )

  const attempt = (given: readonly Stretch[]): Promise<ApplyResult> =>
    sql
      .begin(async (tx) => {
        const { stretches, stopping } = await cutAtUnknownKeys(tx, await cutAtCap(tx, given, cap))
        const items = stretches.flatMap((stretch) => stretch.items)
        const truncates = items.flatMap((item) => item.truncates)
        const [fence, held, bounds] = await Promise.all([
          takeFence(tx, stretches, catalog.version, truncates.length > 0 ? 'exclusive' : 'shared'),
          entitiesHeld(tx, namesOf(stretches)),
          readBounds(tx),
        ])
        if (fence.kind !== 'held') throw new Abandoned(fence)
        await noteSnapshots(tx, model, items, bounds.snapshots)
        const above = aboveFloors(items, await raiseFloors(tx, catalog, truncates, bounds.floors, fence))
        const { flowing, queues } = await holdBack(tx, model, above, held, epochIn(stretches))
        const sets = await resolveSets(
          tx,
          model,
          flowing.flatMap((item) => item.sets),
        )
        const written = await write(tx, [...flowing.flatMap((item) => item.changes), ...sets.changes], fence)
        const dropped = [...above.flatMap((item) => item.dropped.map((one) => ({ ...one, count: 1 }))), ...sets.dropped]
        const parking = await parkQueues(tx, { model, catalog, write }, queues, fence)
        const stopped = stopping.length > 0 ? await stopAt(tx, { model, catalog }, stopping, fence.origin) : []
        return {
          kind: 'applied',
          ...sum(sum(written, parking.written), { ...nothing, dropped: sumDropped(dropped) }),
          parked: parking.parked + stopping.length,
          waiting: parking.waiting,
          superseded: parking.superseded,
          stopped,
          whole: stretches.every(({ to }, n) => to === given[n]!.to),
        } satisfies Applied
      })
      .catch((error: unknown) => {
        if (error instanceof Abandoned) return error.result
        if (error instanceof Restored) return { kind: 'stuck', partitions: error.partitions, reason: restored }
        throw error
      }) as Promise<ApplyResult>
  return { apply: (given) => knowingAll(catalog, () => attempt(given)) }
}

const epochIn = (stretches: readonly Stretch[]): ((record: Partition) => number) => {
  const epochs = new Map(stretches.map((stretch) => [partitionName(stretch), stretch.epoch]))
  return (record) => epochs.get(partitionName(record))!
}

const restored =
  'a change is later by its time but earlier by its log position than the row it would replace: the source was restored or replaced. Start a new epoch with: forebay replay --new-epoch <topic>'

/** Carries a result out of a transaction that is to be rolled back. */
class Abandoned extends Error {
  readonly result: Exclude<ApplyResult, Applied>
  constructor(result: Exclude<ApplyResult, Applied>) {
    super(result.kind)
    this.result = result
  }
}
