/**
 * Steps that no window reads any more. A rollup by steps has a floor, and a step that ends by then is as if it weren't there: contributions
 * are neither written to it nor subtracted from it, proofs don't look at it. What is left of it, or what a statement that began under a lower
 * floor still puts there, may be anything, and is taken away by and by.
 */
import { ident } from '../names.ts'

/** A clock that is corrected by less moves no floor into what windows read. */
const marginMs = 3_600_000

export type ExpirySql = {
  /** Sets the floor by the moment `$1`; null: by the database's clock. Yields `gb` where it moved. Only a clock that went far back lowers it. */
  readonly raise: string
  /** Each takes away at most `$1` rows at or below the floor, those that nobody else holds, and yields them. */
  readonly collect: readonly string[]
}
export type Expiry = {
  /** Of a bucket: whether it is above the floor. */
  kept(bucket: string): string
  readonly table: string
  readonly ddl: readonly string[]
  /** Of the tables that have buckets, as `gb`. */
  sql(tables: readonly string[]): ExpirySql
}

const seconds = (ms: number): string => `interval '${ms / 1000} seconds'`

/** `name`: what the rollup's tables' names begin with. `lastMs`: the longest window that reads it. */
export const expiry = (name: string, stepMs: number, lastMs: () => number): Expiry => {
  const table = `"forebay_view".${ident(`${name}_floor`)}`
  const floor = `coalesce((select f.gb from ${table} f where f.one), '-infinity'::timestamptz)`
  return {
    kept: (bucket) => `${bucket} > ${floor}`,
    table,
    ddl: [`create table ${table} (one boolean primary key check (one), gb timestamptz not null)`],
    sql: (tables) => {
      const margin = seconds(marginMs + stepMs)
      const moment = `coalesce($1::text::timestamptz, statement_timestamp())`
      const due = `date_bin(${seconds(stepMs)}, ${moment}, timestamptz '1970-01-01 00:00:00+00') - ${seconds(lastMs())} - ${margin}`
      return {
        raise: `insert into ${table} as f (one, gb) values (true, ${due})
on conflict (one) do update set gb = excluded.gb where f.gb < excluded.gb or f.gb > excluded.gb + ${margin}
returning gb::text as gb`,
        collect: tables.map(
          (
            one,
          ) => `with old as materialized (select x.ctid from ${one} x where x.gb <= ${floor} order by x.gb limit $1::int for update skip locked)
delete from ${one} x where x.ctid = any(array(select ctid from old)) returning 1 as gone`,
        ),
      }
    },
  }
}

export const stepIndex = (name: string, table: string): string => `create index ${ident(name)} on ${table} (gb)`
