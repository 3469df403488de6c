/**
 * The sweeper: takes rows away that no record deletes, beside the flow and in chunks.
 *
 * - C17: after a truncate, rows at or below its floor. The floor itself keeps out whatever is below it and comes later.
 * - C13: after an initial snapshot, rows older than it that it did not contain: their delete was never sent. It waits until the ends that
 *   the log has after the snapshot's end are applied. Its tombstones lose against the snapshot's own reads, in case one was sent late.
 * - Rows that are kept for a time (@retention) and are past it, see apply/expired.ts.
 * - C18: tombstones that were stored longer ago than their time to live.
 * - Totals by step that no window reads any more, see expire-steps.ts.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Entity, Model, Retention } from '../model/model.ts'
import { columnName, columnSqlType, entityTable, ident } from '../model/names.ts'
import { answerSql } from '../model/sql/answer.ts'
import { columnOf } from '../model/sql/row-scope.ts'
import { log } from '../platform/log.ts'
import { counter } from '../platform/metrics.ts'
import type { Sql } from '../platform/postgres.ts'
import { countAwaiting } from './apply/awaiting.ts'
import { collectStatement } from './apply/entity-statement.ts'
import { anyExpired, expiredChanges, isKeptForATime } from './apply/expired.ts'
import { holdCatalog, type Origins, type Tx } from './apply/fence.ts'
import { heldOrigins, releaseFloor } from './apply/floor.ts'
import { isHeld } from './apply/quarantine.ts'
import { snapshotsByTime } from './apply/snapshots.ts'
import { createWrite, type Write } from './apply/write.ts'
import type { CellValue, Change, OrderedVersion } from './change.ts'
import { expireSteps } from './expire-steps.ts'
import type { Catalog } from './generations.ts'
import { locks } from './locks.ts'
import type { LogSource } from './source.ts'

/** Rows looked at in one transaction. */
const chunk = 2_000
const pollMs = 500
const collectMs = 60_000

const sweptTotal = counter({
  name: 'forebay_rows_swept_total',
  help: 'Rows taken away that no record deleted: by a truncate, missing from a snapshot, or kept long enough.',
  labels: ['entity', 'reason'],
})
const collectedTotal = counter({
  name: 'forebay_tombstones_collected_total',
  help: 'Tombstones older than their time to live, taken away.',
  labels: ['entity'],
})

/** What is to go: live rows older than `below`, by tombstones of version `as`. */
type Job = {
  readonly reason: 'truncated' | 'not-in-snapshot'
  readonly entity: Entity
  readonly below: OrderedVersion
  readonly as: OrderedVersion
  readonly eventTime: string | null
}
export type Sweeper = {
  /** All that is due now, once; answers with the number of rows taken away. For tests and for draining. */
  sweep(): Promise<number>
  /** Collects tombstones and old steps, once. */
  collect(): Promise<number>
  stop(): Promise<void>
}

/** `ttl`: how long tombstones are kept, ISO 8601; at least as long as the log keeps records. `swept`: rows were taken away. */
export const startSweeper = (options: {
  readonly sql: Sql
  readonly model: Model
  readonly catalog: Catalog
  readonly source: Pick<LogSource, 'extents'>
  readonly ttl: string
  readonly swept?: () => void
  /** Off: it works only when asked to. */
  readonly auto?: boolean
}): Sweeper => {
  const { sql, model, catalog, source, ttl, swept = () => {} } = options
  const write = createWrite(model, catalog)
  let stopped = false

  const sweep = async (): Promise<number> => {
    await observeEnds(sql, model, source)
    let total = 0
    for (const job of await dueJobs(sql, model)) {
      if (stopped) break
      const rows = await run(sql, write, catalog, job)
      if (rows > 0) swept()
      sweptTotal.inc({ entity: job.entity.name, reason: job.reason }, rows)
      total += rows
    }
    for (const entity of [...model.entities.values()].filter(isKeptForATime)) {
      if (stopped || !(await anyExpired(sql, entity))) continue
      const rows = await expire(sql, write, catalog, entity)
      if (rows > 0) swept()
      sweptTotal.inc({ entity: entity.name, reason: 'expired' }, rows)
      total += rows
    }
    return total
  }
  const collect = async (): Promise<number> => {
    let total = 0
    for (const entity of model.entities.values()) {
      const { name } = entity
      for (let some = chunk; some === chunk && !stopped; ) {
        const [row] = await sql.unsafe<{ collected: number }[]>(collectStatement(entity), [ttl, chunk])
        some = row!.collected
        collectedTotal.inc({ entity: name }, some)
        total += some
      }
    }
    await countAwaiting(sql, model)
    await sql`
      delete from forebay.key_changes where at < now() - ${ttl}::text::interval`
    total += await expireSteps(sql, catalog, { chunk, stopped: () => stopped })
    return total
  }
  const loop = async (): Promise<void> => {
    for (let due = Date.now() + pollMs; !stopped; await sleep(pollMs)) {
      try {
        await sweep()
        if (Date.now() < due) continue
        due = Date.now() + collectMs
        await collect()
      } catch (error) {
        log.error('sweep.failed', { error })
        await sleep(pollMs)
      }
    }
  }
  const running = options.auto === false ? Promise.resolve() : loop()
  return {
    sweep,
    collect,
    async stop() {
      stopped = true
      await running
    },
  }
}

/** Asks the log for its ends where a snapshot has been read since the last look. */
const observeEnds = async (sql: Sql, model: Model, source: Pick<LogSource, 'extents'>): Promise<void> => {
  const read = await sql<{ entity: string; epoch: number; version: string }[]>`
    select entity, epoch, version from forebay.snapshots where state = 'READ' and ends is null`
  if (read.length === 0) return
  const extents = await source.extents()
  for (const { entity, epoch, version } of read) {
    const topic = model.entities.get(entity)?.source.topic
    const ends = Object.fromEntries(
      extents.filter((one) => one.topic === topic).map(({ partition, end }) => [partition, String(end)]),
    )
    await sql`
      update forebay.snapshots set ends = ${JSON.stringify(ends)}::text::jsonb
      where entity = ${entity} and epoch = ${epoch} and version = ${version} and state = 'READ'`
  }
}

const dueJobs = async (sql: Sql, model: Model): Promise<readonly Job[]> => {
  const topics = JSON.stringify([...model.entities.values()].map(({ name, source }) => ({ name, topic: source.topic })))
  // While a record of the entity is parked, the snapshot may have contained a row that isn't stored yet.
  const rows = await sql<
    { reason: Job['reason']; entity: string; epoch: number; version: string; tie: string; at: string | null }[]
  >`
    select 'truncated' as reason, entity, epoch, version, tie, forebay.iso(event_time) as at from forebay.floors where not swept
    union all
    select 'not-in-snapshot', s.entity, s.epoch, s.version, 0, forebay.iso(s.event_time)
    from forebay.snapshots s join json_to_recordset(${topics}::text::json) as t(name text, topic text) on t.name = s.entity
    where s.state = 'READ' and s.ends is not null
      and not exists (
        select from jsonb_each_text(s.ends) e left join forebay.positions p on p.topic = t.topic and p.partition = e.key::int
        where p.next_offset is null or p.next_offset < e.value::bigint)
      and not exists (select from forebay.quarantine q where q.entity = s.entity and ${sql.unsafe(isHeld)})`
  return rows.flatMap(({ reason, entity: name, epoch, version, tie, at }) => {
    const entity = model.entities.get(name)
    if (!entity) return []
    const below: OrderedVersion = { kind: 'ordered', epoch, major: BigInt(version), minor: BigInt(tie) }
    return [{ reason, entity, below, as: reason === 'truncated' ? below : { ...below, minor: -1n }, eventTime: at }]
  })
}

/** Answers with the rows taken away; 0 also where somebody else is at it. */
const run = async (sql: Sql, write: Write, catalog: Catalog, job: Job): Promise<number> => {
  let total = 0
  for (let after: readonly CellValue[] | undefined; ; ) {
    const done = await sql.begin(async (tx) => {
      if (!(await mayWrite(tx, catalog, job.entity))) return undefined
      const rows = await olderRows(tx, job, after)
      const gone = rows.filter(({ older }) => older).map((row) => deletion(job, row))
      const written = gone.length > 0 && (await write(tx, gone, await originsOf(tx, job)))
      if (rows.length < chunk) await finish(tx, job)
      return { rows: written ? written.rows : 0, last: rows.at(-1)?.key, whole: rows.length < chunk }
    })
    if (!done) return total
    total += done.rows
    if (done.whole) return total
    after = done.last
  }
}

/** Answers with the rows taken away. */
const expire = async (
  sql: Sql,
  write: Write,
  catalog: Catalog,
  entity: Entity & { readonly retention: Retention },
): Promise<number> => {
  for (let total = 0; ; ) {
    const rows = await sql.begin(async (tx) => {
      if (!(await mayWrite(tx, catalog, entity))) return 0
      const gone = await expiredChanges(tx, entity, chunk)
      return gone.length === 0 ? 0 : (await write(tx, gone, await originOf(tx, entity))).rows
    })
    total += rows
    if (rows < chunk) return total
  }
}

/** C8: what isn't in every registered generation's log must not be written. */
const mayWrite = async (tx: Tx, catalog: Catalog, entity: Entity): Promise<boolean> => {
  const version = await holdCatalog(tx)
  // What was registered is read for the next time: this transaction holds the lock that registering waits for.
  if (version !== catalog.version) void catalog.reload?.().catch(() => false)
  const [row] = await tx<{ mine: boolean }[]>`
    select pg_try_advisory_xact_lock(${locks.sweep}, hashtext(${entity.name})) as mine`
  return row!.mine && version === catalog.version
}

type OlderRow = {
  readonly key: readonly CellValue[]
  readonly partition: number
  readonly offset: string
  readonly older: boolean
}

/** The next rows by key, and whether each is to go. */
const olderRows = (tx: Tx, job: Job, after: readonly CellValue[] | undefined): Promise<OlderRow[]> => {
  const { entity, below } = job
  const columns = entity.key.map((name) => ident(columnName(name)))
  const keys = entity.key.map((name, i) => answerSql(`e.${columns[i]}`, columnOf(entity, name).type))
  const last = entity.key.map((name, i) => `($4::text::json->>${i})::${columnSqlType(columnOf(entity, name))}`)
  const from = after === undefined ? '$4::text is null' : `(${columns.join(', ')}) > (${last.join(', ')})`
  return tx.unsafe<OlderRow[]>(
    `select json_build_array(${keys.join(', ')}) as key, _partition as partition, _offset::text as "offset",
      ${isOlder(job)} as older
    from ${entityTable(entity)} e where ${from} order by ${columns.join(', ')} limit ${chunk}`,
    [below.epoch, String(below.major), String(below.minor), after === undefined ? null : JSON.stringify(after)],
    { prepare: true },
  )
}

/** Of a row that was written in part after a truncate, what it held before goes too. */
const isOlder = ({ reason, entity }: Job): string => {
  if (reason === 'not-in-snapshot' && snapshotsByTime(entity))
    return `not _deleted and (_epoch, _event_time) < ($1::int, 'epoch'::timestamptz + $2::bigint * interval '1 microsecond') and $3::bigint is not null`
  if (reason !== 'truncated' || entity.conflict !== 'FIELD_CLOCK')
    return 'not _deleted and (_epoch, _version, _tie) < ($1::int, $2::bigint, $3::bigint)'
  const floor = 'jsonb_build_array($1::int, $2::bigint, $3::bigint)'
  return `not _deleted and coalesce(_clocks->'-', '[]') < ${floor} and exists (select from jsonb_each(_clocks) c where c.value < ${floor})`
}

/**
 * The row keeps the place of its own last record: incremental reads are judged by it. Where the version is declared it keeps that too: then
 * it is as if the next record had taken it away.
 */
const deletion = ({ reason, entity, as, eventTime }: Job, { key, partition, offset }: OlderRow): Change => ({
  entity: entity.name,
  op: 'delete',
  row: Object.fromEntries(entity.key.map((name, i) => [name, key[i]!])),
  absent: [],
  ...(reason === 'not-in-snapshot' && snapshotsByTime(entity)
    ? { version: { kind: 'incremental', epoch: as.epoch }, position: placeOf(entity, partition, BigInt(offset) + 1n) }
    : { version: as, position: placeOf(entity, partition, BigInt(offset)) }),
  eventTime,
  live: false,
})
const placeOf = ({ source }: Entity, partition: number, offset: bigint) => ({ topic: source.topic, partition, offset })

const originsOf = async (tx: Tx, { reason, entity }: Job): Promise<Origins> => {
  return reason === 'truncated' ? heldOrigins(tx, entity.name) : originOf(tx, entity)
}

const originOf = async (tx: Tx, entity: Entity): Promise<Origins> => {
  const [row] = await tx<{ origin: string | null }[]>`
    select case when bool_and(frontier is not null) then min(frontier) end as origin from forebay.positions where topic = ${entity.source.topic}`
  return { origin: row!.origin, offsets: '{}' }
}

const finish = async (tx: Tx, { reason, entity, below }: Job): Promise<void> => {
  if (reason === 'truncated') return releaseFloor(tx, entity.name, below)
  await tx`
    update forebay.snapshots set state = 'SWEPT'
    where entity = ${entity.name} and epoch = ${below.epoch} and version = ${String(below.major)}`
}
