/**
 * The pump: what a source delivers is decoded while the last batches commit, and goes by lanes into Postgres.
 *
 * Each partition belongs to one lane, so its batches are applied in the order of its log; lanes don't wait for each other. Where a
 * key moves from one partition to another, the version guard decides, as between two processes (C1, C12).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { createBreaker } from '../../platform/breaker.ts'
import { describeError, log } from '../../platform/log.ts'
import { counter, gauge } from '../../platform/metrics.ts'
import { codeOf, type Sql } from '../../platform/postgres.ts'
import type { Applied, Applier } from '../apply/apply.ts'
import { type Item, itemOf, type Stretch } from '../apply/stretch.ts'
import type { LogRecord } from '../change.ts'
import type { Decoder } from '../decode.ts'
import type { SchemaStore } from '../registry/schemas.ts'
import { type Claimed, claimPositions, endHold, markStuck, runningPositions } from '../source/positions.ts'
import { type LogSource, mayRead, type Partition, partitionName, type Sink } from '../source.ts'
import { wholeApplier } from './apply-whole.ts'
import { type Block, blockOf, readWhileOpen } from './block.ts'
import { createHolds, sayStopped } from './hold.ts'
import { sayLacking } from './lacking.ts'
import { type Lane, startLane, type Turned } from './lane.ts'

/** Transactions in flight at once: as many as the applier has connections. */
export const usualLanes = 2
/** How soon a partition goes on that was let run again. */
const resumeMs = 300

const skippedTotal = counter({
  name: 'forebay_records_skipped_total',
  help: 'Records that mean no change, by reason.',
  labels: ['reason'],
})
const waiting = gauge({ name: 'forebay_records_waiting', help: 'Records decoded and not yet applied.' })

export type Pump = {
  readonly sink: Sink
  /** Those that this process reads, or would where they don't stand still. */
  assigned(): readonly Partition[]
  /** Records decoded and not yet applied. */
  backlog(): number
  /** What keeps it from applying now, for readiness; undefined: nothing. */
  trouble(): string | undefined
  /** Ends when what is in flight is done; what is buffered comes again at the next start. */
  stop(): Promise<void>
}

/**
 * `applied` is called after each commit. `failed` when this process can't go on at all: its schema is not the registered one, or
 * Postgres refuses what no record is to blame for and no further try can mend. The pump has stopped then.
 */
export const startPump = (options: {
  readonly sql: Sql
  readonly source: Pick<LogSource, 'rewind'>
  readonly decoder: Decoder
  /** Where schemas that a record needs are fetched from. */
  readonly schemas: Pick<SchemaStore, 'fetch'>
  readonly applier: Applier
  readonly applied: (result: Applied) => void
  /** Called after a commit that put records into quarantine, and waited for: it may pause what comes next. */
  readonly quarantined?: () => Promise<void>
  readonly failed: (reason: string) => void
  readonly lanes?: number
}): Pump => {
  const { sql, decoder, lanes = usualLanes } = options
  const epochs = new Map<string, number>()
  /** Where the next delivery begins of each partition that is being read, and where it may be read no further for now. */
  const expected = new Map<string, { readonly next: bigint; readonly until: bigint | undefined }>()
  /** Read as far as they may be, until others are applied as far (C16). */
  const waits = new Map<string, Partition>()
  /** Partitions that nobody may read for now, by name. */
  const halted = new Map<string, Partition>()
  /** Replaced when a partition is rewound or assigned anew: what was delivered before is of no use after it. */
  const turns = new Map<string, object>()
  const laneOf = new Map<string, Lane>()
  /** The assignment. */
  const own = new Map<string, Partition>()
  const holds = createHolds(sql)
  let stopped = false

  const turn = (name: string): object => {
    const known = turns.get(name) ?? {}
    turns.set(name, known)
    return known
  }
  const lane = (name: string): Lane => {
    const known = laneOf.get(name) ?? all[laneOf.size % lanes]!
    laneOf.set(name, known)
    return known
  }
  const fail = (reason: string): void => {
    if (stopped) return
    stopped = true
    holds.letGo()
    for (const one of all) void one.stop()
    options.failed(reason)
  }

  const clear = (partitions: readonly Partition[]): void => {
    const names = new Set(partitions.map(partitionName))
    for (const name of names) {
      turns.delete(name)
      expected.delete(name)
      waits.delete(name)
    }
    holds.letGo(partitions)
    for (const one of all) one.clear(names)
  }
  const remember = (positions: readonly Claimed[]): readonly Claimed[] => {
    for (const position of positions) {
      epochs.set(partitionName(position), position.epoch)
      expected.set(partitionName(position), { next: position.offset, until: position.until })
    }
    return positions
  }
  const rewind = async (partitions: readonly Partition[]): Promise<void> => {
    clear(partitions)
    const running = remember((await runningPositions(sql, partitions)).filter(mayRead))
    halt(partitions, running)
    options.source.rewind(
      running,
      partitions.filter((partition) => halted.has(partitionName(partition))),
    )
  }
  /** Those of them that are not running. */
  const halt = (partitions: readonly Partition[], running: readonly Claimed[]): void => {
    for (const { topic, partition } of partitions) halted.set(partitionName({ topic, partition }), { topic, partition })
    for (const position of running) halted.delete(partitionName(position))
  }
  /** Goes on with what an operator, or another process, has let run again. */
  const resume = async (): Promise<void> => {
    if (halted.size + waits.size === 0) return
    const found = await runningPositions(sql, [...halted.values(), ...waits.values()])
    const isOver = (claim: Claimed) =>
      halted.has(partitionName(claim)) ? mayRead(claim) : waits.has(partitionName(claim)) && claim.until === undefined
    const running = found.filter(isOver)
    if (running.length === 0) return
    clear(running)
    remember(running)
    halt([], running)
    log.info('partition.resumed', { partitions: running.map(partitionName) })
    options.source.rewind(running)
  }

  const decode = (record: LogRecord): Item | { readonly block: Block } => {
    const decoded = decoder.decode(record, epochs.get(partitionName(record)) ?? 0)
    const block = blockOf(decoded)
    if (block) return { block }
    for (const result of decoded) {
      if (result.kind === 'skipped') skippedTotal.inc({ reason: result.reason })
      else if (result.kind === 'stopped') sayStopped(result.entity, record, result.reason)
      else if (result.kind === 'changes' && result.lacking) sayLacking(result.changes[0]!.entity, result.lacking)
    }
    return itemOf(record, decoded)
  }

  /** Settles when reading may go on; false when the partition is no longer to be read from here. */
  const opened = async (partition: Partition, block: Block): Promise<boolean> => {
    switch (block.kind) {
      case 'schema':
        return holds.until(partition, () => options.schemas.fetch(partition.topic, block.ref))
      case 'stopped':
        await holds.stay(partition, block.entity, block.reason)
        return false
    }
  }

  const sink: Sink = {
    async assigned(extents, log) {
      const names = new Set(extents.map(partitionName))
      const gone = [...own.values()].filter((partition) => !names.has(partitionName(partition)))
      clear(gone)
      for (const name of gone.map(partitionName)) {
        own.delete(name)
        halted.delete(name)
      }
      const begun = extents.filter((extent) => !expected.has(partitionName(extent)))
      for (const { topic, partition } of extents) own.set(partitionName({ topic, partition }), { topic, partition })
      if (begun.length > 0) await Promise.all(all.map((one) => one.idle()))
      const claims = await claimPositions(sql, extents, log)
      await endHold(sql, begun)
      const running = claims.filter((claim) => !expected.has(partitionName(claim)) && mayRead(claim))
      remember(running)
      halt(begun, running)
      return claims
        .map((claim) => ({ ...claim, offset: expected.get(partitionName(claim))?.next ?? claim.offset }))
        .filter(mayRead)
    },
    async deliver({ topic, partition, to, ...batch }) {
      if (stopped) throw new Error('the pump has stopped')
      const name = partitionName({ topic, partition })
      // A source is not told of what only the applier found. Whatever it reads on is dropped until the partition may be read again.
      if (halted.has(name)) return rewind([{ topic, partition }])
      const mine = turn(name)
      const until = expected.get(name)?.until
      expected.set(name, { next: to, until })
      if (until !== undefined && to >= until) waits.set(name, { topic, partition })
      let { from, records } = batch
      for (;;) {
        await lane(name).room()
        // Rewound or reassigned meanwhile: the source knows, and reads it again from elsewhere.
        if (turns.get(name) !== mine) return
        const { items, block } = readWhileOpen(records, decode)
        records = records.slice(items.length)
        const next = block ? records[0]!.offset : to
        const epoch = epochs.get(name) ?? 0
        const stretch: Stretch = { topic, partition, from, to: next, epoch, items }
        const bytes = items.reduce((total, { record: { value } }) => total + (value?.length ?? 0), 0)
        if (!block || items.length > 0) lane(name).push({ stretch, turn: mine, bytes })
        if (!block) break
        from = items.length > 0 ? next : from
        if (!(await opened({ topic, partition }, block))) return
      }
      await lane(name).room()
    },
    async stuck(partition, reason) {
      // What came before is still good: an operator who goes on after the fault must not lose it.
      await lane(partitionName(partition)).drained(partitionName(partition))
      await stop(partition, reason)
    },
  }

  const stop = async (partition: Partition, reason: string): Promise<void> => {
    log.error('partition.stuck', { partition: partitionName(partition), reason })
    clear([partition])
    await markStuck(sql, partition, reason)
  }
  const applyWhole = wholeApplier({
    applier: options.applier,
    applied: options.applied,
    quarantined: options.quarantined ?? (async () => {}),
    stuck: stop,
    unfit: fail,
  })
  const breaker = createBreaker({ dependency: 'postgres' })
  const work = async (batch: readonly Stretch[]): Promise<void> => {
    if ((await applyWhole(batch)) === 'interrupted' && !stopped) await rewind(batch)
  }
  const failed = (error: unknown, batch: readonly Stretch[]): void => {
    log.error('apply.stopped', { partitions: batch.map(partitionName), error })
    const what = codeOf(error) ? `SQLSTATE ${codeOf(error)}` : String(describeError(error).message)
    const where = batch.map((stretch) => `${partitionName(stretch)} from offset ${stretch.from}`).join(', ')
    fail(
      `what was read of ${where} can't be applied, and no record is to blame (${what}): nothing is lost; see to that (does the database fit the schema folder?) and start again`,
    )
  }
  const backlog = (): number => all.reduce((total, one) => total + one.backlog(), 0)
  const wanted = ({ stretch, turn }: Turned): boolean => turns.get(partitionName(stretch)) === turn
  const all: readonly Lane[] = Array.from({ length: lanes }, () =>
    startLane({ work, wanted, breaker, failed, changed: () => waiting.set(backlog()) }),
  )
  const ended = new AbortController()
  const resuming = every(resumeMs, ended.signal, resume)
  return {
    sink,
    assigned: () => [...own.values()],
    backlog,
    trouble: () => (breaker.state() === 'CLOSED' ? undefined : 'Postgres takes no changes now; they are tried again'),
    async stop() {
      stopped = true
      ended.abort()
      holds.letGo()
      await Promise.all([resuming, ...all.map((one) => one.stop())])
    },
  }
}

/** Until the signal. What fails is tried again. */
const every = async (ms: number, signal: AbortSignal, act: () => Promise<void>): Promise<void> => {
  while (!signal.aborted) {
    await sleep(ms, undefined, { signal }).catch(() => {})
    if (!signal.aborted) await act().catch(() => {})
  }
}
