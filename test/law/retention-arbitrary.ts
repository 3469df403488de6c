/** Views whose rows are kept for a time, and what of them is left. */
import type { View } from '../../src/model/model.ts'
import type { Draw } from './draw.ts'
import type { Answer } from './values.ts'

/** Between the instants and days that rows are drawn with, none of which is later than any of these by less than minutes. */
const CUTS = ['2026-03-28T12:10:00Z', '2026-03-29T01:10:00Z', '2026-03-30T12:10:00Z', '2026-06-01T12:10:00Z']

/** So long that what is before the cut is past it by now. */
const ttlSince = (cut: string): string => `PT${Math.round((Date.now() - Date.parse(cut)) / 1000)}S`

/** A directive of a view with these fields, as lines; empty where none of them is a stored time. */
export const retentionText = (draw: Draw, lines: readonly string[]): string => {
  const times = lines.flatMap((line) => {
    const [, name] = /^ {2}(\w+): (?:DateTime|Date)!?(?=$| )/.exec(line) ?? []
    return name === undefined || /@(allow|expr|min|max|first)\b/.test(line) ? [] : [name]
  })
  return times.length === 0 ? '' : ` @retention(ttl: "${ttlSince(draw.pick(CUTS))}", on: "${draw.pick(times)}")`
}

/** What has no time is kept. */
export const isLeft = ({ retention }: View, values: Readonly<Record<string, Answer>>): boolean => {
  const at = retention && values[retention.on]
  return at == null || Date.parse(String(at)) >= Date.now() - retention!.ttlMs
}
