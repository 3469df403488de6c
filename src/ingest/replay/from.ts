/** Where a replay begins: the log's start, a time, or positions of single partitions. */
import type { Position } from '../change.ts'

/** `at`: milliseconds since 1970. `positions`: these partitions alone, each from its offset. */
export type From =
  | { readonly kind: 'earliest' }
  | { readonly kind: 'time'; readonly at: number }
  | { readonly kind: 'positions'; readonly positions: readonly Position[] }

const positionForm = /^(.+)-(\d{1,9})-(\d{1,18})$/
const instantForm = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/

/** `ago`: milliseconds of a duration like PT2H, undefined for what is none. Throws, with what to write, on anything else. */
export const parseFrom = (
  texts: readonly string[],
  { now, ago }: { readonly now: number; readonly ago: (text: string) => number | undefined },
): From => {
  const [first = ''] = texts
  if (texts.length === 1) {
    if (first === 'earliest') return { kind: 'earliest' }
    const back = ago(first)
    if (back !== undefined) return { kind: 'time', at: now - back }
    if (instantForm.test(first)) {
      const at = Date.parse(first)
      if (Number.isNaN(at)) throw new Error(`--from ${first} is no moment: write one like 2026-11-21T09:30:00Z`)
      return { kind: 'time', at }
    }
  }
  return { kind: 'positions', positions: texts.map(positionOf) }
}

const positionOf = (text: string): Position => {
  const [, topic, partition, offset] = positionForm.exec(text) ?? []
  if (topic === undefined)
    throw new Error(
      `--from ${text} can't be read: write earliest, a position like orders-2-1500 (it may be repeated, once a partition), a moment like 2026-11-21T09:30:00Z, or how long ago, like PT2H`,
    )
  return { topic, partition: Number(partition), offset: BigInt(offset!) }
}

/** As it is stored and shown; `readFrom` reads it again. */
export const fromText = (from: From): string => {
  switch (from.kind) {
    case 'earliest':
      return 'earliest'
    case 'time':
      return new Date(from.at).toISOString()
    case 'positions':
      return from.positions.map(({ topic, partition, offset }) => `${topic}-${partition}-${offset}`).join(' ')
  }
}
export const readFrom = (text: string): From => parseFrom(text.split(' '), { now: 0, ago: () => undefined })
