/** Of a batch, what must be worked key by key since something of its key is in quarantine or goes there; all else flows (C19). */
import type { Model } from '../../model/model.ts'
import { entityOf } from '../../model/sql/row-scope.ts'
import type { Change, LogRecord, ReplaceSet } from '../change.ts'
import type { Tx } from './fence.ts'
import { type HeldKey, heldKey, lockHeld, settledAlready } from './quarantine.ts'
import type { Queue, Step } from './queues.ts'
import { type Item, toldOf } from './stretch.ts'

export type HeldBack = { readonly flowing: readonly Item[]; readonly queues: readonly Queue[] }

/** `held`: the entities that something is held of. `epochOf`: of a record's partition. Every bad record's key could be told. */
export const holdBack = async (
  tx: Tx,
  model: Model,
  items: readonly Item[],
  held: ReadonlySet<string>,
  epochOf: (record: LogRecord) => number,
): Promise<HeldBack> => {
  const bad = items.flatMap((item) => item.bad)
  if (bad.length === 0 && held.size === 0) return { flowing: items, queues: [] }
  const keyOf = (entity: string, key: Step['told']['key']) => heldKey(entityOf(model, entity), key)
  const settled = await settledAlready(
    tx,
    bad.map(({ record: { topic, partition, offset }, epoch, entity }) => ({ topic, partition, offset, epoch, entity })),
  )
  const parking = bad.filter((_, n) => !settled.has(n))
  const concerned = new Set([...held, ...parking.map(({ entity }) => entity)])

  /** By entity and key. */
  const steps = new Map<string, { readonly at: HeldKey; readonly steps: Step[] }>()
  const add = (entity: string, step: Step): void => {
    const at = { entity, key: keyOf(entity, step.told.key) }
    const name = nameOf(at)
    const known = steps.get(name)
    if (known) known.steps.push(step)
    else steps.set(name, { at, steps: [step] })
  }
  const doomed = new Set(parking)
  for (const { record, changes, sets, bad: own } of items) {
    const of = (what: Change | ReplaceSet, act: Step['act']): void => {
      if (concerned.has(what.entity)) add(what.entity, { record, epoch: epochOf(record), told: toldOf(what), act })
    }
    for (const change of changes) of(change, { kind: 'change', change })
    for (const set of sets) of(set, { kind: 'set', set })
    for (const one of own) {
      const { entity, reason, epoch, told } = one
      if (doomed.has(one) && told) add(entity, { record, epoch, told, act: { kind: 'bad', reason } })
    }
  }
  const behind = Map.groupBy(
    await lockHeld(
      tx,
      [...steps.values()].map(({ at }) => at).filter(({ entity }) => held.has(entity)),
    ),
    nameOf,
  )
  const slow = new Set([
    ...behind.keys(),
    ...parking.flatMap(({ entity, told }) => (told ? [nameOf({ entity, key: keyOf(entity, told.key) })] : [])),
  ])
  const queues = [...slow].map((name): Queue => {
    const { at, steps: own } = steps.get(name)!
    return { ...at, held: behind.get(name) ?? [], steps: own }
  })
  const apart = new Set<unknown>(
    queues.flatMap((queue) =>
      queue.steps.map(({ act }) => (act.kind === 'change' ? act.change : act.kind === 'set' ? act.set : undefined)),
    ),
  )
  const flows = (what: Change | ReplaceSet): boolean => !apart.has(what)
  const flowing = items.map((item) => ({
    ...item,
    changes: item.changes.filter(flows),
    sets: item.sets.filter(flows),
    bad: [],
  }))
  return { flowing, queues }
}

const nameOf = ({ entity, key }: HeldKey): string => `${entity} ${key}`
