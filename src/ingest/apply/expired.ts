/**
 * Rows that are kept for a time, and are past it (@retention). They go as any row goes: by a delete through the one writer (C7), which the
 * dirty log is told of, so that a view equals its query over what is left at every moment. Until they go they count.
 *
 * The delete keeps the version that the row stands on, as if the next record of its log had been one: what is read again or comes late
 * is no newer than the tombstone. What is newer by its version brings the row back, and if its time is past as well it goes again.
 * With field clocks it is the moment just after all that the row holds.
 */
import type { Entity, Retention } from '../../model/model.ts'
import { columnName, entityTable, ident } from '../../model/names.ts'
import { answerSql } from '../../model/sql/answer.ts'
import { expiryColumn } from '../../model/sql/entity.ts'
import { columnOf } from '../../model/sql/row-scope.ts'
import type { Sql } from '../../platform/postgres.ts'
import type { CellValue, Change } from '../change.ts'
import type { Tx } from './fence.ts'

export const isKeptForATime = (entity: Entity): entity is Entity & { readonly retention: Retention } =>
  entity.retention !== undefined

type ExpiredRow = {
  readonly key: readonly CellValue[]
  readonly partition: number
  readonly offset: string
  readonly epoch: number
  readonly version: string
  readonly tie: string
  readonly at: string | null
}

/** By the index over rows that are kept for a time; the oldest first. `$1`: milliseconds. */
const pastSql = (entity: Entity & { readonly retention: Retention }): string =>
  `from ${entityTable(entity)} e where not _deleted and ${ident(expiryColumn(entity.retention))} < now() - $1::bigint * interval '1 millisecond'`

export const anyExpired = async (sql: Sql, entity: Entity & { readonly retention: Retention }): Promise<boolean> => {
  const [row] = await sql.unsafe<{ any: boolean }[]>(
    `select exists (select ${pastSql(entity)}) as any`,
    [String(entity.retention.ttlMs)],
    { prepare: true },
  )
  return row!.any
}

/** The next rows' deletes, at most so many. */
export const expiredChanges = async (
  tx: Tx,
  entity: Entity & { readonly retention: Retention },
  most: number,
): Promise<readonly Change[]> => {
  const keys = entity.key.map((name) => answerSql(`e.${ident(columnName(name))}`, columnOf(entity, name).type))
  const rows = await tx.unsafe<ExpiredRow[]>(
    `select json_build_array(${keys.join(', ')}) as key, _partition as partition, _offset::text as "offset",
      _epoch as epoch, _version::text as version, _tie::text as tie, forebay.iso(_event_time) as at
    ${pastSql(entity)} order by ${ident(expiryColumn(entity.retention))} limit $2::int`,
    [String(entity.retention.ttlMs), most],
    { prepare: true },
  )
  return rows.map((row) => deletion(entity, row))
}

const deletion = (entity: Entity, { key, partition, offset, epoch, version, tie, at }: ExpiredRow): Change => {
  const { topic } = entity.source
  const clocked = entity.conflict === 'FIELD_CLOCK'
  return {
    entity: entity.name,
    op: 'delete',
    row: Object.fromEntries(entity.key.map((name, i) => [name, key[i]!])),
    absent: [],
    version: clocked
      ? { kind: 'ordered', epoch, major: BigInt(version), minor: BigInt(tie) + 1n }
      : { kind: 'incremental', epoch },
    position: { topic, partition, offset: BigInt(offset) + (clocked ? 0n : 1n) },
    eventTime: at,
    live: false,
  }
}
