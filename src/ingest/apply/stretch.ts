import type { BadRecord, Change, Decoded, LogRecord, Position, ReplaceSet } from '../change.ts'
import type { Partition } from '../source.ts'

/** A record with what it came to. */
export type Item = {
  readonly record: LogRecord
  readonly changes: readonly Change[]
  readonly sets: readonly ReplaceSet[]
  readonly bad: readonly BadRecord[]
}
/** A stretch of one partition. `from`: its first offset; `to`: the next one after it. */
export type Stretch = Partition & { readonly from: bigint; readonly to: bigint; readonly items: readonly Item[] }

/** What a record came to for all entities that read it. */
export const itemOf = (record: LogRecord, decoded: readonly Decoded[]): Item => ({
  record,
  changes: decoded.flatMap((result) => (result.kind === 'changes' ? result.changes : [])),
  sets: decoded.flatMap((result) => (result.kind === 'changes' ? result.sets : [])),
  bad: decoded.flatMap((result) =>
    result.kind === 'bad' ? [{ record, entity: result.entity, reason: result.reason }] : [],
  ),
})

export const recordCount = (stretches: readonly Stretch[]): number =>
  stretches.reduce((total, { items }) => total + items.length, 0)

/** Two parts that together are the whole, the first to be applied first. At least two records are needed. */
export const halve = (stretches: readonly Stretch[]): readonly [readonly Stretch[], readonly Stretch[]] => {
  if (stretches.length > 1) {
    const middle = Math.ceil(stretches.length / 2)
    return [stretches.slice(0, middle), stretches.slice(middle)]
  }
  const whole = stretches[0]!
  const middle = Math.ceil(whole.items.length / 2)
  const border = whole.items[middle]!.record.offset
  return [
    [{ ...whole, to: border, items: whole.items.slice(0, middle) }],
    [{ ...whole, from: border, items: whole.items.slice(middle) }],
  ]
}

/** The same stretches with the records at these positions turned into bad ones. */
export const condemn = (
  stretches: readonly Stretch[],
  positions: readonly Position[],
  reason: string,
): readonly Stretch[] => {
  const doomed = new Set(positions.map(({ topic, partition, offset }) => `${topic} ${partition} ${offset}`))
  return stretches.map((stretch) => ({
    ...stretch,
    items: stretch.items.map((item): Item => {
      const { topic, partition, offset } = item.record
      if (!doomed.has(`${topic} ${partition} ${offset}`)) return item
      const entity = item.changes[0]?.entity ?? item.sets[0]?.entity ?? null
      return { record: item.record, changes: [], sets: [], bad: [{ record: item.record, entity, reason }] }
    }),
  }))
}
