/**
 * A lane: some partitions' stretches, decoded and waiting, and the one transaction at a time that takes what has gathered. While it
 * commits the next gathers, so that batches grow by themselves when there is much to do and stay small when there is little.
 *
 * A batch that fails for a reason that may pass is tried again as it is. Its first try may have committed all the same, so the fence
 * judges: then the batch is lost, nothing is doubled, and reading goes on from where the positions are.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Breaker, fullJitter } from '../../platform/breaker.ts'
import { log } from '../../platform/log.ts'
import { codeOf, isRetriable } from '../../platform/postgres.ts'
import type { Stretch } from '../apply/stretch.ts'
import { partitionName } from '../source.ts'

/** Records that wait at most before a source is held back, and records in one transaction at most. */
const bufferCap = 4_000
const batchCap = 4_000
/** The same in bytes of records. */
const bufferBytes = 5 * 1024 * 1024
const batchBytes = 5 * 1024 * 1024

/** `turn`: what it was delivered in; see `wanted`. */
export type Turned = { readonly stretch: Stretch; readonly turn: object }
export type Waiting = Turned & { readonly bytes: number }
/**
 * Whether the same batch may succeed when tried again. A cancel (57014) says nothing of the batch; a server that only reads (25006) is one
 * that failed over, or is about to.
 */
const mayPass = (error: unknown): boolean => isRetriable(error) || ['57014', '25006'].includes(codeOf(error))

export type Lane = {
  /** Settles when there is room for another stretch, or the lane has stopped. */
  room(): Promise<void>
  /** Its partition's next one. */
  push(waiting: Waiting): void
  /** Forgets what waits of these partitions; without names: of all. */
  clear(names?: ReadonlySet<string>): void
  /** Records that wait. */
  backlog(): number
  /** Settles when what is being tried now is over, however. */
  idle(): Promise<void>
  /** Settles when nothing of this partition waits or is being tried, or the lane has stopped. */
  drained(name: string): Promise<void>
  /** Ends after the try that is under way. */
  stop(): Promise<void>
}

/**
 * `work` does a batch to its end. `wanted`: whether a stretch that was taken is still this process's to apply. `failed`: an error that no
 * further try can mend; the lane has stopped.
 */
export const startLane = (options: {
  readonly work: (batch: readonly Stretch[]) => Promise<void>
  readonly wanted: (taken: Turned) => boolean
  readonly breaker: Breaker
  readonly failed: (error: unknown, batch: readonly Stretch[]) => void
  /** The backlog has changed. */
  readonly changed: () => void
}): Lane => {
  const { work, wanted, breaker, failed, changed } = options
  let buffer: Waiting[] = []
  let records = 0
  let bytes = 0
  let arrived = Promise.withResolvers<void>()
  let taken = Promise.withResolvers<void>()
  let trying: Promise<unknown> = Promise.resolve()
  /** The batch that was taken, with all its tries. */
  let busy: Promise<void> = Promise.resolve()
  let stopping = false
  const stopped = Promise.withResolvers<void>()

  const measure = (): void => {
    records = buffer.reduce((total, { stretch }) => total + stretch.items.length, 0)
    bytes = buffer.reduce((total, waiting) => total + waiting.bytes, 0)
    changed()
  }
  const left = (): void => {
    measure()
    taken.resolve()
    taken = Promise.withResolvers()
  }

  const take = (): Turned[] => {
    const batch: Turned[] = []
    const total = { records: 0, bytes: 0 }
    let count = 0
    for (const { stretch: next, turn, bytes: more } of buffer) {
      total.records += next.items.length
      total.bytes += more
      if (count > 0 && (total.records > batchCap || total.bytes > batchBytes)) break
      const at = batch.findIndex(({ stretch }) => stretch.topic === next.topic && stretch.partition === next.partition)
      const before = batch[at]?.stretch
      // What doesn't follow on is left from before a rewind: alone it meets the fence, joined to another it would hide a gap.
      if (before && (before.to !== next.from || before.epoch !== next.epoch)) break
      const stretch = before ? { ...before, to: next.to, items: [...before.items, ...next.items] } : next
      if (before) batch[at] = { stretch, turn }
      else batch.push({ stretch, turn })
      count += 1
    }
    buffer = buffer.slice(count)
    left()
    return batch
  }

  const finish = async (taken: readonly Turned[]): Promise<void> => {
    for (let tries = 1; !stopping; tries++) {
      const batch = taken.filter(wanted).map(({ stretch }) => stretch)
      if (batch.length === 0) return
      try {
        await breaker.attempt(() => start(work(batch)), stopped.promise, mayPass)
        return
      } catch (error) {
        if (!mayPass(error)) return failed(error, batch)
        log.error('apply.failed', { partitions: batch.map(partitionName), tries, error })
        await Promise.race([sleep(fullJitter(tries, 50, 5_000)), stopped.promise])
      }
    }
  }
  const start = <T>(attempt: Promise<T>): Promise<T> => {
    trying = attempt.catch(() => {})
    return attempt
  }

  const run = async (): Promise<void> => {
    while (!stopping) {
      if (buffer.length > 0) {
        busy = finish(take())
        await busy
      } else {
        await arrived.promise
        arrived = Promise.withResolvers()
      }
    }
  }
  const running = run()
  return {
    async room() {
      while ((records > bufferCap || bytes > bufferBytes) && !stopping) await taken.promise
    },
    push(waiting) {
      buffer.push(waiting)
      measure()
      arrived.resolve()
    },
    clear(names) {
      buffer = names ? buffer.filter(({ stretch }) => !names.has(partitionName(stretch))) : []
      left()
    },
    backlog: () => records,
    idle: async () => void (await trying),
    async drained(name) {
      const holds = () => buffer.some(({ stretch }) => partitionName(stretch) === name)
      while (holds() && !stopping) await taken.promise
      await busy
    },
    async stop() {
      stopping = true
      stopped.resolve()
      arrived.resolve()
      taken.resolve()
      await running
    },
  }
}
