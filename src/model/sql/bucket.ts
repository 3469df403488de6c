/** Buckets of time: where they begin, and up to when what happened in them is awaited. */
import type { Bucket } from '../event-time.ts'
import type { Field, View } from '../model.ts'
import { columnName, ident, quote } from '../names.ts'

/** Days and weeks begin at midnight somewhere; minutes and hours are the same everywhere, half-hour zones included. */
export const bucketSql = (sql: string, { by, zone }: Bucket): string =>
  `date_trunc(${quote(by.toLowerCase())}, ${sql}, ${quote(by === 'DAY' || by === 'WEEK' ? zone : 'UTC')})`

/**
 * The start of the next bucket. A day of the zone has 23, 24 or 25 hours; where its midnight is skipped it begins later, so that a day on
 * may be past the next one's beginning and is truncated again.
 */
const endSql = (start: string, bucket: Bucket): string => {
  switch (bucket.by) {
    case 'MINUTE':
    case 'HOUR':
      return `${start} + interval '1 ${bucket.by.toLowerCase()}'`
    case 'DAY':
    case 'WEEK':
      return bucketSql(`date_add(${start}, interval '1 ${bucket.by.toLowerCase()}', ${quote(bucket.zone)})`, bucket)
  }
}

/** The groupBy fields that are buckets. */
export const bucketFields = (view: View): readonly (Field & { readonly bucket: Bucket })[] =>
  (view.groupBy ?? []).flatMap((name) => {
    const field = view.fields.find((candidate) => candidate.name === name)
    const bucket = field?.value.kind === 'path' ? field.value.bucket : undefined
    return field && bucket ? [{ ...field, bucket }] : []
  })

/** See `ViewTable.finalAt`. A row of several buckets is in the shortest of them, and final once each is. */
export const finalAtSql = (view: View): { readonly finalAt?: string } => {
  const buckets = bucketFields(view)
  if (buckets.length === 0) return {}
  const starts = buckets.map(({ name }) => `r.${ident(columnName(name))}`)
  const ends = buckets.map(
    ({ bucket }, i) => `${endSql(starts[i]!, bucket)} + interval '${bucket.latenessMs} milliseconds'`,
  )
  const known = starts.map((start) => `${start} is not null`).join(' and ')
  return { finalAt: `case when ${known} then greatest(${ends.join(', ')}) end` }
}
