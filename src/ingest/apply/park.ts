/** Works queues with the tables at hand, and keeps what doesn't go through. */
import type { Model } from '../../model/model.ts'
import type { Catalog } from '../generations.ts'
import { resolveSets } from './documents.ts'
import type { Origins, Tx } from './fence.ts'
import { type Kept, keep, settle } from './quarantine.ts'
import { type Hands, type Queue, type Step, type Worked, workQueues } from './queues.ts'
import { storedOf } from './stored.ts'
import { nothing, sum, type Write, type Written } from './write.ts'

export type Parking = {
  readonly written: Written
  readonly parked: number
  readonly waiting: number
  readonly superseded: number
}
export type Tools = { readonly model: Model; readonly catalog: Catalog; readonly write: Write }

/** Of a batch: nothing of its own is in quarantine yet. */
export const parkQueues = async (tx: Tx, tools: Tools, queues: readonly Queue[], from: Origins): Promise<Parking> => {
  if (queues.length === 0) return { written: nothing, parked: 0, waiting: 0, superseded: 0 }
  const { worked, written } = await work(tx, tools, queues, from)
  const kept = queues.flatMap((queue) => queue.steps.flatMap((step) => keptOf(queue, step, worked)))
  await keep(tx, tools, kept, from.origin)
  await settle(
    tx,
    worked.superseded.map(({ id }) => id),
    'SUPERSEDED',
  )
  const count = (wanted: Kept['state']): number => kept.filter(({ state }) => state === wanted).length
  return {
    written,
    parked: count('PARKED'),
    waiting: count('WAITING'),
    superseded: worked.superseded.length + count('SUPERSEDED'),
  }
}

/** Queues through the one entity statement (C7), with log entries of that origin. */
export const work = async (
  tx: Tx,
  { model, write }: Tools,
  queues: readonly Queue[],
  from: Origins,
): Promise<{ readonly worked: Worked; readonly written: Written }> => {
  let written = nothing
  const hands: Hands = {
    async write(_, steps) {
      const sets = steps.flatMap(({ act }) => (act.kind === 'set' ? [act.set] : []))
      const changes = steps.flatMap(({ act }) => (act.kind === 'change' ? [act.change] : []))
      const resolved = await resolveSets(tx, model, sets)
      const done = await write(tx, [...changes, ...resolved.changes], from)
      written = sum(written, sum(done, { ...nothing, dropped: resolved.dropped }))
    },
    stored: (entity, steps) => storedOf(tx, entity, steps),
  }
  return { worked: await workQueues(model, queues, hands), written }
}

const states = { parked: 'PARKED', waiting: 'WAITING', superseded: 'SUPERSEDED' } as const
export const waitsBehind = 'waits behind a parked record of its key'

const keptOf = ({ entity, key }: Queue, step: Step, { fates }: Worked): Kept[] => {
  const fate = fates.get(step)!
  if (fate === 'applied') return []
  const { record, epoch, told, act } = step
  const reason = act.kind === 'bad' ? act.reason : waitsBehind
  return [{ record, epoch, entity, key, told, reason, state: states[fate] }]
}
