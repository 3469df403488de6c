/**
 * How a partition is, told from what is stored of it. Three things are known: whether it may be read (`Stored`; HELD: it may, but its
 * reader waits at a record that it can't read yet), whether its log has answered lately (`Asked`), and whether all that the log held then
 * is applied (`Progress`). The tables are total: the compiler asks for what would be left out.
 *
 * Idle is fresh: a log that answers and holds nothing new is as good as one that moves. One that doesn't answer is STUCK until it does,
 * by itself; one that can't be read on rightly is STUCK until an operator acts, and so is one that was PAUSED.
 */

export type Stored = 'RUNNING' | 'PAUSED' | 'STUCK'
/**
 * REFUSED: asking failed. SILENT: nobody has asked for a while. NEVER: it has just been found. UNSOURCED: the log answers, but whether it has
 * all that its source had is not known, though that can be asked: an idle log is then as good as a dead connector (C23).
 */
export type Asked = 'ANSWERED' | 'REFUSED' | 'SILENT' | 'NEVER' | 'UNSOURCED'
type Progress = 'PASSED' | 'BEHIND'

export type Shown = {
  readonly state: 'IDLE' | 'RUNNING' | 'PAUSED' | 'STUCK'
  /** What it takes to go on: null where it goes on. */
  readonly needs: 'ANSWER' | 'OPERATOR' | null
}

const idle: Shown = { state: 'IDLE', needs: null }
const running: Shown = { state: 'RUNNING', needs: null }
const unasked: Shown = { state: 'STUCK', needs: 'ANSWER' }
const held: Shown = { state: 'PAUSED', needs: 'ANSWER' }
const paused: Shown = { state: 'PAUSED', needs: 'OPERATOR' }
const stuck: Shown = { state: 'STUCK', needs: 'OPERATOR' }

const whileRead: Record<Asked, Record<Progress, Shown>> = {
  ANSWERED: { PASSED: idle, BEHIND: running },
  REFUSED: { PASSED: unasked, BEHIND: unasked },
  SILENT: { PASSED: unasked, BEHIND: unasked },
  NEVER: { PASSED: running, BEHIND: running },
  UNSOURCED: { PASSED: unasked, BEHIND: unasked },
}
/** Whatever its log answers. */
const whileNotRead: Record<Exclude<Stored, 'RUNNING'> | 'HELD', Shown> = { HELD: held, PAUSED: paused, STUCK: stuck }

/** As forebay.positions has it. Times are milliseconds since 1970 by the primary's clock, rounded down. Offsets are text. */
export type StoredPartition = {
  readonly state: Stored
  readonly reason: string | null
  readonly stoppedAt: number | null
  /** Why the last asking failed. */
  readonly unasked: string | null
  readonly observedAt: number | null
  readonly observedEnd: string | null
  readonly nextOffset: string
  /** Applied past all that the source itself had committed then; null: not known, or it can't be asked. */
  readonly sourceFrontier: number | null
  /** Why that was long ago. */
  readonly sourceTrouble: string | null
}

/** Askings come at least every half second and are written within another; this is several of them. */
const silentMs = 4_000

/** Connectors write their offsets down every few seconds where freshness is promised. */
const unsourcedMs = 10_000

const askedOf = (partition: StoredPartition, now: number): Asked => {
  const { unasked, observedAt, sourceFrontier, sourceTrouble } = partition
  const late = observedAt === null || now - observedAt > silentMs
  // Another process may know better than the one that wrote why: then the frontier has moved.
  const unsourced = sourceTrouble !== null && (sourceFrontier === null || now - sourceFrontier > unsourcedMs)
  if (!late) return unsourced ? 'UNSOURCED' : 'ANSWERED'
  if (unasked !== null) return 'REFUSED'
  return observedAt === null ? 'NEVER' : 'SILENT'
}

/** `since`: milliseconds; null where that is not known, or nothing is out of order. `now`: the upper bound of the primary's clock. */
export type PartitionState = Shown & { readonly since: number | null; readonly reason: string | null }

export const partitionState = (partition: StoredPartition, now: number): PartitionState => {
  const asked = askedOf(partition, now)
  const { nextOffset, observedEnd } = partition
  const passed = observedEnd !== null && BigInt(nextOffset) >= BigInt(observedEnd)
  const stored = partition.state === 'RUNNING' && partition.reason !== null ? 'HELD' : partition.state
  const shown = stored === 'RUNNING' ? whileRead[asked][passed ? 'PASSED' : 'BEHIND'] : whileNotRead[stored]
  switch (shown.needs) {
    case null:
      return { ...shown, since: null, reason: null }
    case 'OPERATOR':
      return { ...shown, since: partition.stoppedAt, reason: partition.reason }
    case 'ANSWER':
      if (asked === 'UNSOURCED' && shown !== held)
        return { ...shown, since: partition.sourceFrontier, reason: partition.sourceTrouble }
      return {
        ...shown,
        since: shown === held ? null : partition.observedAt,
        reason: partition.reason ?? partition.unasked ?? silence,
      }
  }
}
const silence =
  'where it ends has not been answered: no ingest process runs or reaches the database, or its source does not answer'
