/** A write of the source as Debezium's Postgres connector sends it: JSON without the schema wrapper. */
import { createHash } from 'node:crypto'
import type { CellValue, LogRecord } from '../../src/ingest/change.ts'
import type { Column, Entity } from '../../src/model/model.ts'
import type { Row } from './seen.ts'

/**
 * One committed write of the source; `row` null: deleted. Op `t`: every row. `left`: columns that the source does not send. `moved`: one side of
 * a changed key, which names the other. `snapshot`: one that is not the first. `writer`: if not the owner.
 */
export type SourceWrite = {
  readonly entity: Entity
  readonly key: Row
  readonly row: Row | null
  readonly op: 'r' | 'c' | 'u' | 'd' | 't'
  readonly lsn: bigint
  readonly left?: readonly string[]
  readonly moved?: { readonly side: 'old' | 'new'; readonly key: Row }
  readonly snapshot?: 'true' | 'last'
  readonly writer?: string
}
type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

/** Longs stand in the text as bare numbers of any size, which JSON.stringify can't write. */
export const bare = (text: string): string => text.replace(/"#long:(-?\d+)"/g, '$1')

/** What an enum doesn't declare is what its `other` value stands for. */
export const sourceText = ({ type }: Column, value: CellValue): CellValue =>
  type.kind === 'enum' && value === 'OTHER' ? 'none of these' : value

const cellJson = (column: Column, cell: CellValue): Json => {
  const value = sourceText(column, cell)
  if (value === null) return null
  if (typeof value === 'object' && 'json' in value) return value.json
  if (column.type.kind === 'scalar' && column.type.scalar === 'Long') return `#long:${String(value)}`
  return value as Json
}

/** By the source's names. */
export const rowJson = (entity: Entity, row: Row): Json =>
  Object.fromEntries(
    entity.columns.filter((c) => c.name in row).map((c) => [c.path.at(-1)!, cellJson(c, row[c.name] ?? null)]),
  )

const SECOND = 1_000_000n
/** Event times rise with the lsn, as they do in one undisturbed source. */
const eventMicros = (lsn: bigint): bigint => 1_790_000_000n * SECOND + lsn * 1000n

/** A delete is followed by its tombstone. `incremental`: as read by an incremental snapshot, which has no lsn. */
export const debeziumRecords = (
  write: SourceWrite,
  partitions: number,
  incremental = false,
): readonly Omit<LogRecord, 'offset'>[] => {
  const { entity, key, row, op, lsn, left = [], moved, snapshot, writer = 'src' } = write
  const keyText = bare(JSON.stringify(rowJson(entity, key)))
  const us = eventMicros(lsn)
  const value = {
    before: op === 'd' ? { ...blank(entity), ...(rowJson(entity, key) as object) } : null,
    after: row ? { ...(rowJson(entity, row) as object), ...unsent(entity, left) } : null,
    source: {
      version: '3.4.0.Final',
      connector: 'postgresql',
      name: writer,
      ts_ms: `#long:${us / 1000n}`,
      ts_us: `#long:${us}`,
      snapshot: incremental
        ? 'incremental'
        : snapshot === 'last'
          ? 'last_in_data_collection'
          : op === 'r'
            ? 'true'
            : 'false',
      schema: 'public',
      table: entity.source.topic.split('.').at(-1)!,
      txId: incremental ? null : Number(lsn),
      lsn: incremental ? null : `#long:${lsn}`,
      xmin: null,
    },
    transaction: null,
    op,
    ts_ms: `#long:${us / 1000n + 5n}`,
  }
  const other = moved && bare(JSON.stringify(rowJson(entity, moved.key)))
  const record = {
    topic: entity.source.topic,
    // A truncate has no key, and comes on some partition.
    partition: op === 't' ? Number(lsn) % partitions : partitionOf(keyText, partitions),
    timestamp: Number(us / 1000n) + 10,
    key: op === 't' ? null : Buffer.from(keyText),
    value: Buffer.from(bare(JSON.stringify(value))),
    headers: other ? { [moved.side === 'old' ? '__debezium.newkey' : '__debezium.oldkey']: Buffer.from(other) } : {},
  }
  return op === 'd' ? [record, { ...record, value: null }] : [record]
}

/** Debezium's stand-in, alone or as the only element. */
const unsent = (entity: Entity, left: readonly string[]): Record<string, Json> => {
  const stand = '__debezium_unavailable_value'
  const columns = entity.columns.filter(({ name }) => left.includes(name))
  return Object.fromEntries(columns.map(({ path, list }) => [path.at(-1)!, list ? [stand] : stand]))
}

/** As a producer spreads keys. */
export const partitionOf = (key: string, partitions: number): number =>
  createHash('sha256').update(key).digest().readUInt32BE(0) % partitions

const blank = (entity: Entity): Record<string, Json> =>
  Object.fromEntries(entity.columns.map((c) => [c.path.at(-1)!, null]))
