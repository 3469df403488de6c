/**
 * Windows as SQL. `@now@` stands for the moment of the read. A row's bucket is the end of the step that its time is in, so that of a window
 *
 *   (floor(now, step) − last, now]  =  buckets in (floor − last, floor]  +  rows of the bucket floor + step up to now
 */
import type { Window } from '../event-time.ts'
import type { KeyColumn } from './key.ts'
import type { RollupColumn } from './rollup-parts.ts'
import type { RowScope } from './row-scope.ts'

const seconds = (ms: number): string => `interval '${ms / 1000} seconds'`
const floorSql = (moment: string, stepMs: number): string =>
  `date_bin(${seconds(stepMs)}, ${moment}, timestamptz '1970-01-01 00:00:00+00')`

const timeOf = (row: RowScope, { joins, column }: Window): string => row.walk(joins).column(column).sql

/** Whether a row of an entity's table is in the window. */
export const withinSql = (row: RowScope, window: Window): string => {
  const at = timeOf(row, window)
  return `${at} > ${floorSql('@now@', window.stepMs)} - ${seconds(window.lastMs)} and ${at} <= @now@`
}

/** Over a counted row: its time, its bucket, and whether it can be in any window at all: neither without a time nor beyond what Postgres counts with. */
export const timeColumns = (row: RowScope, window: Window) => {
  const at = timeOf(row, window)
  const bucket = `${floorSql(`${at} - interval '1 microsecond'`, window.stepMs)} + ${seconds(window.stepMs)}`
  const column: KeyColumn = { name: 'gb', type: { kind: 'scalar', scalar: 'DateTime' }, list: false }
  const kept = (name: string, sql: string): RollupColumn => ({ name, sqlType: 'timestamptz', sql })
  return {
    column,
    bucket: kept('gb', bucket),
    at: kept('at', at),
    counts: `${at} between timestamptz '0001-01-02 00:00:00+00' and timestamptz '9999-01-01 00:00:00+00'`,
  }
}

/** Of a rollup by such buckets, the sums `s` that are wholly in the window. */
export const wholeSql = ({ lastMs, stepMs }: Window): string => {
  const floor = floorSql('@now@', stepMs)
  return `s."gb" > ${floor} - ${seconds(lastMs)} and s."gb" <= ${floor}`
}
/** And the members `m` of the step that is under way. */
export const currentSql = ({ stepMs }: Window): string =>
  `m."gb" = ${floorSql('@now@', stepMs)} + ${seconds(stepMs)} and m."at" <= @now@`
