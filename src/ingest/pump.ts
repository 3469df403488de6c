/**
 * The pump: decodes what a source delivers while the last batch commits, and applies all that has gathered in one transaction, so
 * that batches grow by themselves when there is much to do and stay small when there is little.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { log } from '../platform/log.ts'
import { counter, gauge } from '../platform/metrics.ts'
import type { Sql } from '../platform/postgres.ts'
import type { Applied, Applier } from './apply/apply.ts'
import { condemn, halve, type Item, itemOf, recordCount, type Stretch } from './apply/stretch.ts'
import { RefusedBy, Unfit } from './apply/write.ts'
import type { LogRecord } from './change.ts'
import type { Decoder } from './decode.ts'
import { unknownViews } from './generations.ts'
import { type Claimed, claimPositions, markStuck, runningPositions } from './source/positions.ts'
import { type Batch, type LogSource, type Partition, partitionName, type Sink } from './source.ts'

/** Records that wait at most before a source is held back, and records in one transaction at most. */
const bufferCap = 20_000
const batchCap = 10_000
/** The same in bytes of records. */
const bufferBytes = 48 * 1024 * 1024
const batchBytes = 16 * 1024 * 1024

const appliedTotal = counter({ name: 'forebay_changes_applied_total', help: 'Entity rows written.' })
const droppedTotal = counter({
  name: 'forebay_changes_dropped_total',
  help: 'Changes not applied, by reason.',
  labels: ['reason'],
})
const skippedTotal = counter({
  name: 'forebay_records_skipped_total',
  help: 'Records that mean no change, by reason.',
  labels: ['reason'],
})
const quarantinedTotal = counter({
  name: 'forebay_records_quarantined_total',
  help: 'Records put into quarantine, and those of it that a later record made moot.',
  labels: ['state'],
})
const waiting = gauge({ name: 'forebay_records_waiting', help: 'Records decoded and not yet applied.' })

type Waiting = { readonly stretch: Stretch; readonly bytes: number }
const sizeOf = (waiting: readonly Waiting[]): { records: number; bytes: number } => ({
  records: recordCount(waiting.map(({ stretch }) => stretch)),
  bytes: waiting.reduce((total, { bytes }) => total + bytes, 0),
})

export type Pump = {
  readonly sink: Sink
  /** Records decoded and not yet applied. */
  backlog(): number
  /** Ends when the batch in flight is done; what is buffered comes again at the next start. */
  stop(): Promise<void>
}

/**
 * `applied` is called after each commit. `failed` when this process can't go on at all (its schema is not the registered one); the
 * pump has stopped then.
 */
export const startPump = (options: {
  readonly sql: Sql
  readonly source: Pick<LogSource, 'rewind'>
  readonly decoder: Decoder
  readonly applier: Applier
  readonly applied: (result: Applied) => void
  readonly failed: (reason: string) => void
}): Pump => {
  const { sql, decoder, applier } = options
  let buffer: Waiting[] = []
  let buffered = { records: 0, bytes: 0 }
  const epochs = new Map<string, number>()
  /** Partitions that nobody may read for now. */
  const halted = new Set<string>()
  let stopped = false
  let arrived = Promise.withResolvers<void>()
  let taken = Promise.withResolvers<void>()
  let inFlight: Promise<void> = Promise.resolve()

  const clear = (partitions?: readonly Partition[]): void => {
    const names = partitions && new Set(partitions.map(partitionName))
    buffer = names ? buffer.filter(({ stretch }) => !names.has(partitionName(stretch))) : []
    measure()
    taken.resolve()
    taken = Promise.withResolvers()
  }
  const measure = (): void => {
    buffered = sizeOf(buffer)
    waiting.set(buffered.records)
  }

  const remember = (positions: readonly Claimed[]): readonly Claimed[] => {
    for (const position of positions) epochs.set(partitionName(position), position.epoch)
    return positions
  }
  const rewind = async (partitions: readonly Partition[]): Promise<void> => {
    clear(partitions)
    const running = remember(await runningPositions(sql, partitions))
    for (const partition of partitions) halted.add(partitionName(partition))
    for (const position of running) halted.delete(partitionName(position))
    options.source.rewind(running)
  }

  const decode = (record: LogRecord): Item => {
    const decoded = decoder.decode(record, epochs.get(partitionName(record)) ?? 0)
    for (const result of decoded) if (result.kind === 'skipped') skippedTotal.inc({ reason: result.reason })
    return itemOf(record, decoded)
  }

  /**
   * Applies, halving where the data is at fault, until each record is in its table or in quarantine. Interrupted: some of it is not,
   * so all of it has to come again from where the positions are.
   */
  const apply = async (stretches: readonly Stretch[]): Promise<'on' | 'interrupted'> => {
    try {
      const result = await applier.apply(stretches)
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
          for (const partition of result.partitions) await stop(partition, result.reason)
          return 'interrupted'
        case 'unknown-generation':
          stopped = true
          taken.resolve()
          options.failed(unknownViews(result.registered))
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

  const take = (): Stretch[] => {
    const batch: Stretch[] = []
    const taking: Waiting[] = []
    const fits = (next: Waiting): boolean => {
      const { records, bytes } = sizeOf([...taking, next])
      return records <= batchCap && bytes <= batchBytes
    }
    while (buffer[0] && (taking.length === 0 || fits(buffer[0]))) {
      const next = buffer[0].stretch
      const at = batch.findIndex((stretch) => stretch.topic === next.topic && stretch.partition === next.partition)
      const before = batch[at]
      // What doesn't follow on is left from before a rewind: alone it meets the fence, joined to another it would hide a gap.
      if (before && before.to !== next.from) break
      taking.push(buffer[0])
      buffer.shift()
      if (before) batch[at] = { ...before, to: next.to, items: [...before.items, ...next.items] }
      else batch.push(next)
    }
    measure()
    taken.resolve()
    taken = Promise.withResolvers()
    return batch
  }

  const run = async (): Promise<void> => {
    let failures = 0
    while (!stopped) {
      if (buffer.length === 0) {
        await arrived.promise
        arrived = Promise.withResolvers()
        continue
      }
      const batch = take()
      const work = apply(batch).then((outcome) => (outcome === 'on' || stopped ? undefined : rewind(batch)))
      inFlight = work.then(
        () => {},
        () => {},
      )
      try {
        await work
        failures = 0
      } catch (error) {
        failures += 1
        log.error('apply.failed', { error })
        await sleep(Math.min(100 * 2 ** failures, 5_000) * (0.5 + Math.random() / 2))
        if (!stopped) await rewindWhenPossible(batch)
      }
    }
  }
  const rewindWhenPossible = async (batch: readonly Stretch[]): Promise<void> => {
    while (!stopped) {
      try {
        return await rewind(batch)
      } catch {
        await sleep(500)
      }
    }
  }

  const stop = async (partition: Partition, reason: string): Promise<void> => {
    log.error('partition.stuck', { partition: partitionName(partition), reason })
    clear([partition])
    await markStuck(sql, partition, reason)
  }
  const applied = async (partition: Partition): Promise<void> => {
    const name = partitionName(partition)
    while (!stopped && buffer.some(({ stretch }) => partitionName(stretch) === name)) await taken.promise
    await inFlight
  }

  const sink: Sink = {
    async assigned(extents) {
      clear()
      await inFlight
      halted.clear()
      return remember(await claimPositions(sql, extents))
    },
    async deliver(batch: Batch) {
      if (stopped) throw new Error('the pump has stopped')
      // A source is not told of what only the applier found. Whatever it reads on is dropped until the partition may be read again.
      if (halted.has(partitionName(batch))) return rewind([batch])
      const { topic, partition, from, to, records } = batch
      const bytes = records.reduce((total, { value }) => total + (value?.length ?? 0), 0)
      buffer.push({ stretch: { topic, partition, from, to, items: records.map(decode) }, bytes })
      measure()
      arrived.resolve()
      while ((buffered.records > bufferCap || buffered.bytes > bufferBytes) && !stopped) await taken.promise
    },
    async stuck(partition, reason) {
      // What came before is still good: an operator who goes on after the fault must not lose it.
      await applied(partition)
      await stop(partition, reason)
    },
  }
  const running = run()
  return {
    sink,
    backlog: () => buffered.records,
    async stop() {
      stopped = true
      arrived.resolve()
      taken.resolve()
      await running
    },
  }
}
