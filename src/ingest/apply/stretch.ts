import type {
  BadRecord,
  Change,
  Decoded,
  DropReason,
  LogRecord,
  Position,
  ReplaceSet,
  Told,
  Truncate,
} from '../change.ts'
import type { Partition } from '../source.ts'

/** A record with what it came to. */
export type Item = {
  readonly record: LogRecord
  readonly changes: readonly Change[]
  readonly sets: readonly ReplaceSet[]
  readonly truncates: readonly Truncate[]
  readonly dropped: readonly { readonly entity: string; readonly reason: DropReason }[]
  readonly bad: readonly BadRecord[]
}
/** A stretch of one partition. `from`: its first offset; `to`: the next one after it. `epoch`: the partition's, in which it was decoded. */
export type Stretch = Partition & {
  readonly from: bigint
  readonly to: bigint
  readonly epoch: number
  readonly items: readonly Item[]
}

const none: readonly never[] = []

/** What a record came to for all entities that read it. */
export const itemOf = (record: LogRecord, decoded: readonly Decoded[]): Item => {
  const [only, other] = decoded
  // Nearly all are so, and many of them wait at once: no array of their own that they don't need.
  if (only?.kind === 'changes' && other === undefined)
    return { record, changes: only.changes, sets: only.sets, truncates: none, dropped: none, bad: none }
  return mixed(record, decoded)
}
const mixed = (record: LogRecord, decoded: readonly Decoded[]): Item => ({
  record,
  changes: decoded.flatMap((result) => (result.kind === 'changes' ? result.changes : [])),
  sets: decoded.flatMap((result) => (result.kind === 'changes' ? result.sets : [])),
  truncates: decoded.flatMap((result) => (result.kind === 'truncate' ? [result.truncate] : [])),
  dropped: decoded.flatMap((result) => (result.kind === 'dropped' ? [result] : [])),
  bad: decoded.flatMap((result) => {
    // What stops an entity stops its partition before it comes here, unless other entities read there: then it waits in quarantine.
    if (result.kind !== 'bad' && result.kind !== 'stopped') return []
    const { entity, reason, epoch, told } = result
    return [{ record, entity, reason, epoch, told }]
  }),
})

export const recordCount = (stretches: readonly Stretch[]): number =>
  stretches.reduce((total, { items }) => total + items.length, 0)

/** Two parts that together are the whole, the first to be applied first. At least two records are needed. */
export const halve = (stretches: readonly Stretch[]): readonly [readonly Stretch[], readonly Stretch[]] => {
  if (stretches.length > 1) {
    const middle = Math.ceil(stretches.length / 2)
    return [stretches.slice(0, middle), stretches.slice(middle)]
  }
  const whole = stretches[0]!
  const middle = Math.ceil(whole.items.length / 2)
  const border = whole.items[middle]!.record.offset
  return [
    [{ ...whole, to: border, items: whole.items.slice(0, middle) }],
    [{ ...whole, from: border, items: whole.items.slice(middle) }],
  ]
}

/** A record that the table of one of its entities refuses. */
export type Refused = Position & { readonly entity: string }

/** The same stretches with these records turned into bad ones, each for the entity that it was refused for; for others they stay. */
export const condemn = (
  stretches: readonly Stretch[],
  refused: readonly Refused[],
  reason: string,
): readonly Stretch[] => {
  const doomed = Map.groupBy(refused, nameOf)
  return stretches.map((stretch) => ({
    ...stretch,
    items: stretch.items.map((item): Item => {
      const entities = new Set(doomed.get(nameOf(item.record))?.map(({ entity }) => entity))
      const gone = [...item.changes, ...item.sets].filter(({ entity }) => entities.has(entity))
      if (gone.length === 0) return item
      const stays = ({ entity }: Change | ReplaceSet) => !entities.has(entity)
      const bad = gone.map((what) => ({
        record: item.record,
        entity: what.entity,
        reason,
        epoch: stretch.epoch,
        told: toldOf(what),
      }))
      return { ...item, changes: item.changes.filter(stays), sets: item.sets.filter(stays), bad: [...item.bad, ...bad] }
    }),
  }))
}

/** What a change says of its row, which is all of it. */
export const toldOf = (what: Change | ReplaceSet): Told => {
  const { version } = what
  const major = version.kind === 'ordered' ? version.major : null
  if ('parent' in what) return { key: what.parent, row: {}, absent: [], gone: what.rows.length === 0, major }
  return { key: what.row, row: what.row, absent: what.absent, gone: what.op === 'delete', major }
}

const nameOf = ({ topic, partition, offset }: Position): string => `${topic} ${partition} ${offset}`
