/** Time as sources tell it of their rows: in buckets that rows are grouped by, and in windows that move on. */

/** `latenessMs`: so long after its end a bucket still counts as preliminary. */
export type Bucket = {
  readonly by: 'MINUTE' | 'HOUR' | 'DAY' | 'WEEK'
  readonly zone: string
  readonly latenessMs: number
}
/**
 * Rows count whose time, at `joins` and `column` of the counted row, is in (floor(now, step) − last, now]. `stepMs` divides `lastMs`;
 * steps begin at whole multiples since 1970-01-01T00:00Z.
 */
export type Window = {
  readonly joins: readonly string[]
  readonly column: string
  readonly lastMs: number
  readonly stepMs: number
}
