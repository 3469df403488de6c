/**
 * Random histories of a source, and the log that a connector could have made of them: Debezium records per partition with
 * duplicates, repeated stretches, older versions after newer ones, and orphans whose parents come later or never.
 */
import type { LogRecord } from '../../src/ingest/change.ts'
import type { Entity, Model } from '../../src/model/model.ts'
import type { SourceWrite } from './debezium.ts'
import type { Draw } from './draw.ts'
import { type formatsOf, isDebeziumJson } from './formats.ts'
import { KEYS, keyOf, makeRow, pointedAt } from './row-arbitrary.ts'
import type { Row } from './seen.ts'
import { leftOut, moved, snapshotAgain, type Table, truncated } from './upheaval-arbitrary.ts'

export type History = {
  readonly writes: readonly SourceWrite[]
  /** What the source holds at the end: entity → key text → row. */
  readonly rows: ReadonlyMap<string, ReadonlyMap<string, Row>>
}

/** Every so often something happens that `upheaval-arbitrary.ts` knows; to entities in Debezium's JSON, which has words for it. */
const upheaval = (draw: Draw, model: Model, table: Table, index: number, existing: boolean): readonly SourceWrite[] => {
  if (draw.oneIn(20)) return truncated(table)
  if (existing && draw.oneIn(8)) return moved(draw, table, index)
  if (table.mine.size > 0 && draw.oneIn(20)) return snapshotAgain(draw, model, table)
  return []
}

/**
 * Rows of `snapshot` share one lsn, as an initial snapshot's do; after it each write has its own. `calm`: without upheavals, whose sweeps
 * write a row a second time, and which say nothing for a producer that sends a stretch again; and each image whole, for a log in which an
 * older one may come after a newer one.
 */
export const makeHistory = (draw: Draw, model: Model, length: number, { calm = false } = {}): History => {
  const entities = [...model.entities.values()]
  const rows = new Map<string, Map<string, Row>>(entities.map((e) => [e.name, new Map()]))
  const writes: SourceWrite[] = []
  const snapshot = draw.below(Math.ceil(length / 3))
  let lsn = 1000n
  const next = (): bigint => {
    lsn += BigInt(1 + draw.below(3))
    return lsn
  }
  let chased: { readonly entity: Entity; readonly index: number } | undefined
  for (let i = 0; i < length; i++) {
    const moving = chased !== undefined
    const { entity, index } = chased ?? { entity: draw.pick(entities), index: draw.below(KEYS) }
    chased = undefined
    const key = keyOf(entity, index)
    const id = JSON.stringify(key)
    const mine = rows.get(entity.name)!
    const existing = mine.get(id)
    const inSnapshot = i < snapshot
    if (inSnapshot && existing) continue
    if (!calm && !inSnapshot && isDebeziumJson(entity)) {
      const all = upheaval(draw, model, { entity, mine, next }, index, existing !== undefined)
      writes.push(...all)
      if (all.length > 0) continue
    }
    if (!inSnapshot) next()
    if (existing && draw.oneIn(7)) {
      mine.delete(id)
      writes.push({ entity, key, row: null, op: 'd', lsn })
      continue
    }
    const row = makeRow(draw, model, entity, index, existing, moving)
    mine.set(id, row)
    // A line moves to another order while that order moves to another customer.
    if (!inSnapshot && draw.oneIn(3)) chased = pointedAt(draw, model, entity, row)
    const left = !calm && existing && isDebeziumJson(entity) ? leftOut(draw, entity, existing, row) : []
    writes.push({ entity, key, row, op: inSnapshot ? 'r' : existing ? 'u' : 'c', lsn, left })
  }
  return { writes, rows }
}

type Encoding = Pick<ReturnType<typeof formatsOf>, 'encode'>
export type Log = ReadonlyMap<string, readonly LogRecord[]>
export const partitionId = ({ topic, partition }: Pick<LogRecord, 'topic' | 'partition'>): string =>
  `${topic}/${partition}`

export type Sent = Omit<LogRecord, 'offset'>

/** Some entities' snapshot is an incremental one: reads without a version, before all else of their partition. */
export const makeLog = (draw: Draw, history: History, partitions: number, { encode }: Encoding): Log => {
  const entities = [...new Set(history.writes.map(({ entity }) => entity))]
  const incremental = new Set(draw.some(entities, 3).filter(isDebeziumJson))
  const { reads = [], changes = [] } = Object.groupBy(history.writes, ({ entity, op, snapshot }) =>
    op === 'r' && snapshot === undefined && incremental.has(entity) ? 'reads' : 'changes',
  )
  const first = Map.groupBy(
    reads.flatMap((write) => encode(write, partitions, true)),
    partitionId,
  )
  const others = changes.flatMap((write) =>
    write.entity.conflict === 'OWNER' && write.op !== 't' && draw.oneIn(4) ? [write, foreign(write)] : [write],
  )
  const rest = logOf(
    draw,
    others.flatMap((write) => encode(write, partitions)),
    isPlaced,
  )
  const ids = [...new Set([...first.keys(), ...rest.keys()])]
  return new Map(ids.map((id) => [id, withOffsets(draw, [...(first.get(id) ?? []), ...(rest.get(id) ?? [])])]))
}

/** Somebody who does not own the row deletes it. */
const foreign = ({ entity, key, lsn }: SourceWrite): SourceWrite => ({
  entity,
  key,
  row: null,
  op: 'd',
  lsn: lsn + 1n,
  writer: 'another',
})

/** Both sides of a changed key, and what leaves a value out: they speak of what came before them. */
const isPlaced = ({ value, headers }: Sent): boolean =>
  '__debezium.newkey' in headers ||
  '__debezium.oldkey' in headers ||
  (value?.includes('__debezium_unavailable_value') ?? false)

/** It says nothing of when it was read, so only its place in the log does: it can't be delivered again at a later one. */
const isIncrementalRead = ({ value }: Sent): boolean => value?.includes('"snapshot":"incremental"') ?? false

/**
 * Partition → records in offset order. A key stays on its partition; offsets have gaps, as compaction and control records leave.
 * `ordered`: records whose meaning is their place in the log, so that nothing overtakes them and they overtake nothing.
 */
export const logOf = (draw: Draw, records: readonly Sent[], ordered: (record: Sent) => boolean = () => false): Log =>
  new Map(
    [...Map.groupBy(records, partitionId)].map(([id, lane]) => [id, withOffsets(draw, disturb(draw, lane, ordered))]),
  )

/** Repeats records and stretches of them, and lets newer ones overtake older ones. Every record stays at least once. */
const disturb = (draw: Draw, lane: readonly Sent[], ordered: (record: Sent) => boolean): readonly Sent[] => {
  const out: Sent[] = []
  for (const record of lane) {
    const passed = out.length > 0 && draw.oneIn(12) ? 1 + draw.below(Math.min(3, out.length)) : 0
    if ([record, ...out.slice(out.length - passed)].some(ordered)) out.push(record)
    else out.splice(out.length - passed, 0, record)
    if (draw.oneIn(15)) out.push(...out.slice(-1 - draw.below(4)))
  }
  return out
}

const withOffsets = (draw: Draw, lane: readonly Sent[]): readonly LogRecord[] => {
  let offset = BigInt(draw.below(3))
  return lane.map((record) => {
    const placed = { ...record, offset }
    offset += draw.oneIn(10) ? 2n : 1n
    return placed
  })
}

/** The same records again, behind those that the log has: of each partition a suffix. */
export const redelivered = (draw: Draw, log: Log): Log =>
  new Map(
    [...log].map(([id, lane]) => {
      const end = lane.at(-1)!.offset + 1n
      const suffix = lane.slice(draw.below(lane.length)).filter((record) => !isIncrementalRead(record))
      return [id, [...lane, ...suffix.map((record, i) => ({ ...record, offset: end + BigInt(i) }))]]
    }),
  )
