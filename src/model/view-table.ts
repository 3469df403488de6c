/**
 * The table that holds a view's rows: what ingest fills and the gateway reads. Named by the hash of the view's definition, so that
 * a changed definition is another table.
 *
 * Every view table has, besides its columns: `_tenant text` (not null when tenanted), `_version bigint` (grows with each change of
 * the row, never goes back for a key, not even through delete and return), `_incomplete boolean` (something promised had not
 * arrived). The primary key is `key` (for a grouped view the column `_group text`).
 */
import type { ValueType } from './model.ts'

export type ViewTable = {
  readonly view: string
  /** First 12 hex digits of the definition's SHA-256. */
  readonly hash: string
  /** Quoted: `"forebay_view"."customer_overview_1a2b3c4d5e6f"`. */
  readonly table: string
  readonly tenanted: boolean
  /** The claim that must equal `_tenant`; absent when not tenanted. */
  readonly claim?: string
  readonly grouped: boolean
  /** What identifies a row within a tenant, tenant column left out, in order: arguments of the view's by-key field. */
  readonly key: readonly ViewKey[]
  /** The root row's whole key, the tenant's column included; empty in grouped views. */
  readonly rootKey: readonly ViewKey[]
  readonly columns: readonly ViewColumn[]
  /** Fields that no column holds: what they come to is worked out when a row is read. */
  readonly rolling: readonly RollingColumn[]
  /**
   * Of views grouped by time: an SQL expression over the row `r` that gives the instant up to which changes of its bucket are awaited, its
   * end and lateness; null where the row has no time, and so no end.
   */
  readonly finalAt?: string
}
/** `name`: the entity's key field, or the groupBy field. `nullable` only in grouped views. `column` is unquoted. */
export type ViewKey = {
  readonly name: string
  readonly type: ValueType
  readonly nullable: boolean
  readonly column: string
}
/**
 * `sqlType`: the column's type; parts and lists hold `jsonb` in answer form (Long, Decimal, DateTime and Date as strings, parts as
 * objects by field name) except plain list columns, which are Postgres arrays.
 * `answer`: an SQL expression over the row that gives the value in answer form, as jsonb-able text/number/boolean/json.
 */
export type ViewColumn = {
  readonly field: string
  readonly column: string
  readonly sqlType: string
  readonly answer: string
}
/**
 * `answer`: as a column's, over the row `r` of the view's table and the entities, where `@now@` stands for the moment of the read, the
 * same for all that is read of a row.
 */
export type RollingColumn = { readonly field: string; readonly answer: string }
export const rollingAnswer = ({ answer }: RollingColumn, now: string): string => answer.replaceAll('@now@', now)
