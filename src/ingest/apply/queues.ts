/**
 * What becomes of the records of keys that have something parked (C19), each key in the order of its log:
 *
 *   a record that can't be read        is parked
 *   a partial change behind a parked   waits: what it leaves out, the parked record may have brought (with field clocks each field is
 *                                      judged by itself, so that none waits). So does a delete whose row goes on under another key
 *   a full image, or a delete          is applied; if the guard really stores it and the log's order is the key's order, it supersedes
 *                                      what was parked before it
 *   anything, once nothing is parked   is applied
 */
import type { Entity, Model } from '../../model/model.ts'
import { entityOf } from '../../model/sql/row-scope.ts'
import type { Change, LogRecord, Position, ReplaceSet, Told } from '../change.ts'

/** `id`: of the record's row in quarantine, where it has one. */
export type Step = {
  readonly id?: string
  readonly record: LogRecord
  readonly epoch: number
  readonly told: Told
  readonly act:
    | { readonly kind: 'bad'; readonly reason: string }
    | { readonly kind: 'change'; readonly change: Change }
    | { readonly kind: 'set'; readonly set: ReplaceSet }
}
/** A record of a key that is in quarantine. */
export type Held = Position & { readonly id: string; readonly epoch: number; readonly major: bigint | null }

export type Fate = 'applied' | 'parked' | 'waiting' | 'superseded'
/** One key's records, in order, behind those that are `held` already. */
export type Queue = {
  readonly entity: string
  readonly key: string
  readonly held: readonly Held[]
  readonly steps: readonly Step[]
}
/** `fates`: of each step. `superseded`: which of those that were held. */
export type Worked = { readonly fates: ReadonlyMap<Step, Fate>; readonly superseded: readonly Held[] }

/** What queues are worked with. `stored`: which of these full images are in their tables now. */
export type Hands = {
  write(entity: Entity, steps: readonly Step[]): Promise<void>
  stored(entity: Entity, steps: readonly Step[]): Promise<ReadonlySet<Step>>
}

type Waiting = { readonly at: Omit<Held, 'id'>; readonly held?: Held; readonly step?: Step }
type Progress = { readonly queue: Queue; next: number; waiting: readonly Waiting[] }

/** All queues at once, so that the statements grow with the changes of mind within a queue, not with queues or records. */
export const workQueues = async (model: Model, queues: readonly Queue[], hands: Hands): Promise<Worked> => {
  const fates = new Map<Step, Fate>()
  const superseded: Held[] = []
  const all = queues.map(
    (queue): Progress => ({ queue, next: 0, waiting: queue.held.map((held) => ({ at: held, held })) }),
  )
  for (;;) {
    const turns = all.flatMap((progress) => {
      const steps = advance(entityOf(model, progress.queue.entity), progress, fates)
      return steps.length > 0 ? [{ progress, steps }] : []
    })
    if (turns.length === 0) return { fates, superseded }
    for (const [name, group] of Map.groupBy(turns, ({ progress }) => progress.queue.entity)) {
      const entity = entityOf(model, name)
      const steps = group.flatMap((turn) => turn.steps)
      await hands.write(entity, steps)
      for (const step of steps) fates.set(step, 'applied')
      const behind = group.filter(({ progress }) => progress.waiting.length > 0)
      if (behind.length === 0 || !orderedByLog(entity)) continue
      const stored = await hands.stored(
        entity,
        behind.flatMap((turn) => turn.steps),
      )
      for (const { progress, steps: own } of behind) {
        for (const step of own.filter((one) => stored.has(one))) {
          const gone = progress.waiting.filter(({ at }) => precedes(at, step))
          progress.waiting = progress.waiting.filter((one) => !gone.includes(one))
          superseded.push(...gone.flatMap(({ held }) => held ?? []))
          for (const { step: before } of gone) if (before) fates.set(before, 'superseded')
        }
      }
    }
  }
}

/** Lets what must wait wait, and answers with the next steps that may be written. */
const advance = (entity: Entity, progress: Progress, fates: Map<Step, Fate>): readonly Step[] => {
  const { steps } = progress.queue
  const taken: Step[] = []
  while (progress.next < steps.length) {
    const step = steps[progress.next]!
    const writes = step.act.kind !== 'bad' && (progress.waiting.length === 0 || !isPartial(entity, step))
    if (!writes && taken.length > 0) break
    progress.next += 1
    if (writes) {
      taken.push(step)
      continue
    }
    fates.set(step, step.act.kind === 'bad' ? 'parked' : 'waiting')
    const { topic, partition, offset } = step.record
    const at = { topic, partition, offset, epoch: step.epoch, major: step.told.major }
    progress.waiting = [...progress.waiting, { at, step }]
  }
  return taken
}

/** A row that goes to another key takes along what is stored, which the parked record may have been about to change (C15). */
const isPartial = ({ conflict }: Entity, { act }: Step): boolean =>
  act.kind === 'change' &&
  (act.change.keyChange?.side === 'old' || (conflict !== 'FIELD_CLOCK' && act.change.absent.length > 0))

/** Where something else orders a key's changes, a parked record may be the later one for all that the log says. */
export const orderedByLog = ({ conflict, source }: Entity): boolean =>
  (conflict === 'VERSION' || conflict === 'OWNER') && source.version === undefined

/** `at` was before `step` and is no part of what `step` leaves behind. After a kill of the connector offsets rise while its order goes back. */
const precedes = (at: Omit<Held, 'id'>, { record, epoch, told }: Step): boolean => {
  if (at.epoch !== epoch) return at.epoch < epoch
  if (at.topic !== record.topic || at.partition !== record.partition || at.offset >= record.offset) return false
  return at.major === null || told.major === null || at.major <= told.major
}
