/**
 * forebay.quarantine: records that could not be decoded or applied, with their bytes, headers, place and reason, and those that wait
 * behind them.
 *
 * | state | means |
 * |---|---|
 * | PARKED | could not be decoded or applied |
 * | WAITING | could, but leaves something out that a parked record of its key may have brought |
 * | SUPERSEDED | a later full image of its key was applied |
 * | REDRIVEN | applied after all |
 * | DROPPED | given up by an operator |
 *
 * PARKED and WAITING hold their key. Whoever goes on from what he read of a key's held records locks them first, in the order of
 * their ids: so of a redrive and a successor that arrives meanwhile, one sees what the other did.
 */
import { createHash } from 'node:crypto'
import type { Entity, Model } from '../../model/model.ts'
import { entityOf } from '../../model/sql/row-scope.ts'
import type { LogRecord, Position, Told } from '../change.ts'
import type { Catalog } from '../generations.ts'
import type { Tx } from './fence.ts'
import { keyText } from './fold.ts'
import { markHeld } from './mark-held.ts'
import type { Held } from './queues.ts'

/** Longer ones would not fit an index. */
const longestKey = 500

/** A key as forebay.quarantine has it: its JSON text, of an array's entity its parent's. */
export const heldKey = (entity: Entity, key: Told['key']): string => {
  const names = entity.source.each ? Object.keys(key) : entity.key
  const text = keyText({ ...entity, key: names }, { row: key })
  return text.length <= longestKey ? text : `sha256:${createHash('sha256').update(text).digest('hex')}`
}

export const isHeld = "state in ('PARKED', 'WAITING')"

/** Those entities of these that anything is held of. */
export const entitiesHeld = async (tx: Tx, entities: readonly string[]): Promise<ReadonlySet<string>> => {
  const rows = await tx.unsafe<{ entity: string }[]>(
    `select e.entity from unnest($1::text[]) e(entity)
     where exists (select from forebay.quarantine q where q.entity = e.entity and q.entity_key is not null and q.${isHeld})`,
    [entities as string[]],
    { prepare: true },
  )
  return new Set(rows.map(({ entity }) => entity))
}

export type HeldKey = { readonly entity: string; readonly key: string }

/** What is held of these keys, locked. */
export const lockHeld = async (tx: Tx, keys: readonly HeldKey[]): Promise<readonly (Held & HeldKey)[]> => {
  const rows = await tx.unsafe<
    (HeldKey & { id: string; topic: string; partition: number; offset: string; epoch: number; major: string | null })[]
  >(
    `select q.entity, q.entity_key as key, q.id::text, q.topic, q.partition, q."offset", q.epoch, q.major
     from forebay.quarantine q
     where (q.entity, q.entity_key) in (select * from unnest($1::text[], $2::text[])) and q.${isHeld}
     order by q.id for no key update`,
    [keys.map(({ entity }) => entity), keys.map(({ key }) => key)],
    { prepare: true },
  )
  return rows
    .map((row) => ({ ...row, offset: BigInt(row.offset), major: row.major === null ? null : BigInt(row.major) }))
    .sort(byLog)
}

/** The order in which a key's records count. */
const byLog = (a: Held, b: Held): number =>
  a.epoch - b.epoch || a.partition - b.partition || (a.offset < b.offset ? -1 : a.offset > b.offset ? 1 : 0)

type Place = Position & { readonly epoch: number; readonly entity: string }

/**
 * Which of these records, given as they stand in the log, are settled already: they come again. One whose key could not be told is
 * not settled by a redrive, which only has it read again.
 */
export const settledAlready = async (tx: Tx, places: readonly Place[]): Promise<ReadonlySet<number>> => {
  if (places.length === 0) return new Set()
  const rows = await tx.unsafe<{ n: number }[]>(
    `select x.n from json_to_recordset($1::text::json) as x(n int, topic text, partition int, "offset" bigint, epoch int, entity text)
     join forebay.quarantine q using (topic, partition, "offset", epoch, entity)
     where q.state in ('SUPERSEDED', 'DROPPED') or q.state = 'REDRIVEN' and q.entity_key is not null`,
    [JSON.stringify(places.map((place, n) => ({ n, ...place, offset: String(place.offset) })))],
  )
  return new Set(rows.map(({ n }) => n))
}

export type Kept = {
  readonly record: LogRecord
  readonly epoch: number
  readonly entity: string
  readonly key: string | null
  readonly told: Told | undefined
  readonly reason: string
  readonly state: 'PARKED' | 'WAITING' | 'SUPERSEDED'
}
/** What keeping takes. */
export type Shelf = { readonly model: Model; readonly catalog: Pick<Catalog, 'generations'> }

/** Keeps records and answers with their ids, in order. One that comes again stays one row. `origin`: the frontier before their batch. */
export const keep = async (
  tx: Tx,
  { model, catalog }: Shelf,
  kept: readonly Kept[],
  origin: string | null,
): Promise<readonly string[]> => {
  if (kept.length === 0) return []
  const rows = kept.map(({ record, entity, epoch, key, told, reason, state }, n) => ({
    n,
    topic: record.topic,
    partition: record.partition,
    offset: String(record.offset),
    epoch,
    entity,
    entity_key: key,
    major: told?.major == null ? null : String(told.major),
    told: key !== null && told ? toldJson(model, entityOf(model, entity), told) : null,
    reason,
    key: record.key?.toString('base64') ?? null,
    value: record.value?.toString('base64') ?? null,
    headers: Object.fromEntries(
      Object.entries(record.headers).map(([name, value]) => [
        name,
        [value].flat().map((each) => Buffer.from(each ?? '').toString('base64')),
      ]),
    ),
    time: record.timestamp / 1000,
    state,
  }))
  const ids = await tx<{ id: string }[]>`
    with x as materialized (
      select * from json_to_recordset(${JSON.stringify(rows)}::text::json)
        as x(n int, topic text, partition int, "offset" bigint, epoch int, entity text, entity_key text, major bigint, told jsonb, reason text,
             key text, value text, headers jsonb, time double precision, state text)),
    stored as (
      insert into forebay.quarantine as q
        (topic, partition, "offset", epoch, entity, entity_key, major, told, origin, reason, key, value, headers, record_time, state, settled_at)
      select topic, partition, "offset", epoch, entity, entity_key, major, told, ${origin}::timestamptz, reason, decode(key, 'base64'), decode(value, 'base64'),
        headers, to_timestamp(time), state, case when state = 'SUPERSEDED' then clock_timestamp() end
      from x order by n
      on conflict (topic, partition, "offset", epoch, entity) do update
        set entity_key = excluded.entity_key, major = excluded.major, told = excluded.told, reason = excluded.reason, settled_at = excluded.settled_at,
          state = case when q.entity_key is null and q.state = 'REDRIVEN' then excluded.state else q.state end
        where q.entity_key is null and q.state in ('PARKED', 'REDRIVEN')
      returning topic, partition, "offset", epoch, entity, id)
    select coalesce(s.id, q.id)::text as id
    from x left join stored s using (topic, partition, "offset", epoch, entity)
    left join forebay.quarantine q using (topic, partition, "offset", epoch, entity)
    order by x.n`
  const held = kept.flatMap(({ key, entity, state }, n) =>
    key !== null && state !== 'SUPERSEDED' ? [{ entity, id: ids[n]!.id }] : [],
  )
  if (held.length > 0)
    await markHeld(
      tx,
      catalog.generations,
      new Set(held.map(({ entity }) => entity)),
      held.map(({ id }) => id),
    )
  return ids.map(({ id }) => id)
}

/** Only what joins follow, so that no more personal data is kept than the bytes are. */
const toldJson = (model: Model, entity: Entity, { key, row, absent, gone }: Told): object => {
  const followed = new Set([
    ...entity.joins.flatMap(({ from }) => from),
    ...[...model.entities.values()].flatMap((other) =>
      other.joins.filter(({ target }) => target === entity.name).flatMap(({ to }) => to),
    ),
  ])
  const keys = entity.source.each ? Object.keys(key) : entity.key
  return {
    key: Object.fromEntries(keys.map((name) => [name, key[name]])),
    row: Object.fromEntries(Object.entries(row).filter(([name]) => followed.has(name))),
    absent: absent.filter((name) => followed.has(name)),
    gone,
  }
}

/** Ends these records' time in quarantine; what depends on them is no longer DEGRADED for them. */
export const settle = async (
  tx: Tx,
  ids: readonly string[],
  state: 'SUPERSEDED' | 'REDRIVEN' | 'DROPPED',
): Promise<void> => {
  if (ids.length === 0) return
  await tx`update forebay.quarantine set state = ${state}, settled_at = clock_timestamp() where id = any(${ids as string[]}::bigint[])`
  await tx`update forebay.degraded set settled_at = clock_timestamp() where quarantine = any(${ids as string[]}::bigint[])`
}
