/**
 * Logs whose records come in any order, again and again and on any partition, for each conflict that makes order of arrival moot; and
 * what they come to, by the language's words alone: of each field the latest change that carries it, nothing older than a delete or a
 * truncate, no change but the owner's.
 */
import type { LogRecord } from '../../src/ingest/change.ts'
import type { Draw } from './draw.ts'
import type { Row } from './seen.ts'

/** The JSON entities' events and the Debezium entities' envelopes are two ways to write one thing. */
export const folder = `
extend enum Role { READER }
extend schema @domain(name: "zoo", owner: "keeper")
type Clocked @entity(domain: "zoo", key: "id", conflict: FIELD_CLOCK, source: { topic: "clocked", format: JSON, time: "at", unit: MICROS, typeAt: "op", events: [
  { type: "put", op: UPSERT, at: "row" }, { type: "patch", op: PATCH, at: "row" }, { type: "drop", op: DELETE, at: "row" }] }) { id: ID!, n: Int!, a: Int, b: String }
type Timed @entity(domain: "zoo", key: "id", conflict: EVENT_TIME, source: { topic: "timed", format: JSON, time: "at", unit: MICROS, typeAt: "op", events: [
  { type: "put", op: UPSERT, at: "row" }, { type: "drop", op: DELETE, at: "row" }] }) { id: ID!, n: Int!, a: Int, b: String }
type CapturedClocked @entity(domain: "zoo", key: "id", conflict: FIELD_CLOCK, source: { topic: "captured-clocked" }) { id: ID!, n: Int!, a: Int, b: String }
type CapturedTimed @entity(domain: "zoo", key: "id", conflict: EVENT_TIME, source: { topic: "captured-timed" }) { id: ID!, n: Int!, a: Int, b: String }
type Owned @entity(domain: "zoo", key: "id", conflict: OWNER, source: { topic: "owned" }) { id: ID!, n: Int!, a: Int, b: String }
type ClockedView @view(of: "Clocked") @allow(roles: [READER]) { id: ID!, n: Int!, a: Int, b: String }
type TimedView @view(of: "Timed") @allow(roles: [READER]) { id: ID!, n: Int!, a: Int, b: String }
type CapturedClockedView @view(of: "CapturedClocked") @allow(roles: [READER]) { id: ID!, n: Int!, a: Int, b: String }
type CapturedTimedView @view(of: "CapturedTimed") @allow(roles: [READER]) { id: ID!, n: Int!, a: Int, b: String }
type OwnedView @view(of: "Owned") @allow(roles: [READER]) { id: ID!, n: Int!, a: Int, b: String }
`

const PARTITIONS = 3
const KEYS = ['k0', 'k1', 'k2', 'k3']
const FIELDS = ['n', 'a', 'b'] as const
const UNSENT = '__debezium_unavailable_value'

const some = (kind: Act['kind'], times: number) => Array.from({ length: times }, () => kind)

/** What a source did, at a moment that others may share. `truncate`: to all keys. */
type Act = {
  readonly kind: 'put' | 'patch' | 'drop' | 'truncate'
  readonly id: string
  readonly at: number
  readonly cells: Row
  readonly writer: string
}
type Placed = { readonly act: Act; readonly partition: number; readonly offset: number }

type Entity = {
  readonly name: string
  readonly topic: string
  readonly kinds: readonly Act['kind'][]
  readonly captured: boolean
  /** Records of a key stay on its partition and in the order in which they were made; only repetitions come between. */
  readonly inOrder: boolean
}
const ENTITIES: readonly Entity[] = [
  { name: 'Clocked', topic: 'clocked', kinds: ['put', 'patch', 'patch', 'drop'], captured: false, inOrder: false },
  { name: 'Timed', topic: 'timed', kinds: ['put', 'put', 'drop'], captured: false, inOrder: false },
  {
    name: 'CapturedClocked',
    topic: 'captured-clocked',
    kinds: [...some('put', 4), ...some('patch', 12), 'drop', 'truncate'],
    captured: true,
    inOrder: false,
  },
  {
    name: 'CapturedTimed',
    topic: 'captured-timed',
    kinds: [...some('put', 12), ...some('drop', 4), 'truncate'],
    captured: true,
    inOrder: false,
  },
  { name: 'Owned', topic: 'owned', kinds: ['put', 'put', 'patch', 'drop'], captured: true, inOrder: true },
]

const makeAct = (draw: Draw, { kinds, inOrder, captured }: Entity, index: number): Act => {
  const kind = draw.pick(kinds)
  const cells: Record<string, string | number | null> = {
    n: draw.below(9),
    a: draw.oneIn(4) ? null : draw.below(9),
    b: draw.oneIn(4) ? null : `b${draw.below(9)}`,
  }
  // Only what is text has a placeholder that says so.
  const left = kind !== 'patch' ? [] : captured ? ['b'] : draw.some(FIELDS)
  for (const name of left) delete cells[name]
  return {
    kind,
    id: draw.pick(KEYS),
    at: inOrder ? index : draw.below(40),
    cells,
    writer: inOrder && draw.oneIn(3) ? 'somebody' : 'keeper',
  }
}

/** The log of one entity: in the order of making or in none, with repetitions. */
const makeLog = (draw: Draw, entity: Entity, length: number): readonly Placed[] => {
  const ends = Array.from({ length: PARTITIONS }, () => 0)
  const log: Placed[] = []
  const place = (act: Act, partition: number): void => {
    log.push({ act, partition, offset: ends[partition]! })
    ends[partition]! += 1
  }
  for (let i = 0; i < length; i++) {
    const act = makeAct(draw, entity, i + 1)
    place(act, entity.inOrder ? KEYS.indexOf(act.id) % PARTITIONS : draw.below(PARTITIONS))
    if (!draw.oneIn(10)) continue
    const again = log.slice(-1 - draw.below(6))
    for (const { act: same, partition } of again) place(same, partition)
  }
  return log
}

const MICROS = 1_790_000_000_000_000

const recordOf = ({ topic, captured, inOrder }: Entity, { act, partition, offset }: Placed): LogRecord => {
  const { kind, id, at, cells, writer } = act
  const time = MICROS + at
  const base = { topic, partition, offset: BigInt(offset), timestamp: 0, headers: {} }
  const key = kind === 'truncate' ? null : Buffer.from(JSON.stringify({ id }))
  if (!captured) {
    const row = kind === 'drop' ? { id } : { id, ...cells }
    return { ...base, key, value: Buffer.from(JSON.stringify({ op: kind, at: time, row })) }
  }
  // Nobody but the owner is asked whether what he wrote can be read.
  const row = {
    id,
    ...cells,
    ...(kind === 'patch' ? { b: UNSENT } : {}),
    ...(writer === 'keeper' ? {} : { n: 'unreadable' }),
  }
  const ops = { put: 'u', patch: 'u', drop: 'd', truncate: 't' }
  const value = {
    op: ops[kind],
    before: kind === 'drop' ? { id } : null,
    after: kind === 'put' || kind === 'patch' ? row : null,
    source: { name: writer, ts_us: time, lsn: inOrder ? at : 1 + offset },
  }
  return { ...base, key, value: Buffer.from(JSON.stringify(value)) }
}

const later = (a: Placed, b: Placed): number => a.act.at - b.act.at || a.partition - b.partition || a.offset - b.offset

/** By the words of FIELD_CLOCK. */
const byField = (own: readonly Placed[], id: string): Row | undefined => {
  const sorted = [...own].sort(later)
  const end = sorted.findLastIndex(({ act }) => act.kind === 'drop' || act.kind === 'truncate')
  const since = sorted.slice(end + 1)
  if (since.length === 0) return undefined
  const cell = (name: string) => since.findLast(({ act }) => name in act.cells)?.act.cells[name] ?? null
  return { id, ...Object.fromEntries(FIELDS.map((name) => [name, cell(name)])) }
}
/** By those of EVENT_TIME: the last one is all there is. */
const byTime = (own: readonly Placed[], id: string): Row | undefined => {
  const last = [...own].sort(later).at(-1)?.act
  return last?.kind === 'put' ? { id, ...last.cells } : undefined
}
/** By those of OWNER: his changes one after the other, each once. */
const byOwner = (own: readonly Placed[], id: string): Row | undefined => {
  const acts = [...new Set(own.map(({ act }) => act))]
    .filter(({ writer }) => writer === 'keeper')
    .sort((a, b) => a.at - b.at)
  let row: Row | undefined
  for (const { kind, cells } of acts) {
    if (kind === 'drop') row = undefined
    else row = kind === 'put' ? { id, ...cells } : { id, n: null, a: null, b: null, ...row, ...cells }
  }
  return row
}

export type ConflictHistory = {
  /** `topic-partition` → records from offset 0. */
  readonly lanes: ReadonlyMap<string, readonly LogRecord[]>
  readonly rows: ReadonlyMap<string, ReadonlyMap<string, Row>>
  /** Changes of rows in the log, by entity: each is applied or counted as dropped. */
  readonly changes: ReadonlyMap<string, number>
  /** Of them those of others than the owner. */
  readonly foreign: number
}

export const makeConflictHistory = (draw: Draw, length: number): ConflictHistory => {
  const lanes = new Map<string, LogRecord[]>()
  const rows = new Map<string, Map<string, Row>>()
  const changes = new Map<string, number>()
  let foreign = 0
  for (const entity of ENTITIES) {
    const log = makeLog(draw, entity, length)
    for (const placed of log) {
      const lane = `${entity.topic}-${placed.partition}`
      lanes.set(lane, [...(lanes.get(lane) ?? []), recordOf(entity, placed)])
      if (placed.act.writer !== 'keeper') foreign += 1
    }
    changes.set(entity.name, log.filter(({ act }) => act.kind !== 'truncate').length)
    const seen = KEYS.flatMap((id): (readonly [string, Row])[] => {
      const own = log.filter(({ act }) => act.id === id || act.kind === 'truncate')
      const row = entity.inOrder
        ? byOwner(own, id)
        : entity.name.endsWith('Clocked')
          ? byField(own, id)
          : byTime(own, id)
      return row ? [[id, row]] : []
    })
    rows.set(entity.name, new Map(seen))
  }
  return { lanes, rows, changes, foreign }
}
