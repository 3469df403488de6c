/**
 * Keys as the dirty log carries them: a JSON array of the key's values. Equal keys have equal bytes, since numbers, texts and (in
 * a UTC session) instants have one jsonb form each.
 */
import type { Column, ValueType } from '../model.ts'
import { columnSqlType, valueSqlType } from '../names.ts'

export type KeyColumn = Pick<Column, 'name' | 'type' | 'list'>

/** A key's values, written as SQL, as one JSON array. Decimals are trimmed: 1.5 and 1.50 are one key. */
export const keyArray = (values: readonly { readonly sql: string; readonly type: ValueType }[]): string =>
  `jsonb_build_array(${values.map(({ sql, type }) => (valueSqlType(type) === 'numeric' ? `trim_scale(${sql})` : sql)).join(', ')})`

/** The i-th value of the key `k`, in the column's own type. */
export const keyValue = (key: string, index: number, column: KeyColumn): string =>
  `(${key}->>${index})::${columnSqlType(column)}`

/** Shards of the key space. Fixed: an entry written under one count must be found under the same. */
export const SHARDS = 16

/** Which shard a key belongs to. */
export const shardOf = (key: string): string => `(hashtext((${key})::text) & 2147483647) % ${SHARDS}`

/** Distinct keys as a statement's rows: `k` (the key's JSON text) and its `shard`. */
export const keyRows = (key: string, from: string): string =>
  `select k::text as k, ${shardOf('k')} as shard from (select distinct ${key} as k from ${from}) d`

/**
 * The rows of a table that match, looked up for each row before it in FROM. OFFSET or LIMIT keeps the planner from turning the join
 * round: it might while it believes the table to be small, and a prepared statement keeps such a plan when the table has grown.
 */
export const lookup = (table: string, alias: string, conditions: readonly string[], limit?: number): string =>
  `cross join lateral (select ${alias}.* from ${table} ${alias} where ${conditions.join(' and ')} ${limit === undefined ? 'offset 0' : `limit ${limit}`}) ${alias}`
