/**
 * How often something was lately asked for, in bounded memory: a count-min sketch whose counts are halved as it fills up, and the names of those
 * that were asked for most. An estimate is never too low but for that halving. Caches admit by it: what is asked for once is not worth keeping,
 * least of all in place of what is asked for often.
 */

export type Popular = { readonly name: string; readonly reads: number }
export type Popularity = {
  /** Counts it, and answers with how often it was asked for by now. */
  count(name: string): number
  estimate(name: string): number
  /** The most asked for first. */
  top(): readonly Popular[]
}

const rows = 4

/** FNV-1a. */
const hashOf = (text: string): number => {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}

/** `width`: counters of a row, a power of two; with 16,384 and the usual skew a count is too high by a few. */
export const createPopularity = ({ width = 16_384, most = 10 } = {}): Popularity => {
  const counters = new Uint32Array(rows * width)
  const best = new Map<string, number>()
  const mask = width - 1
  let counted = 0
  let least = 0

  /** The places of a name, one a row, from two hashes. */
  const place = (hash: number, row: number): number => {
    const other = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) | 1
    return row * width + ((hash + Math.imul(row, other)) & mask)
  }
  const lowest = (hash: number): number => {
    let found = Number.POSITIVE_INFINITY
    for (let row = 0; row < rows; row++) found = Math.min(found, counters[place(hash, row)]!)
    return found
  }
  const age = (): void => {
    for (let i = 0; i < counters.length; i++) counters[i]! >>>= 1
    for (const [name, reads] of best) best.set(name, reads >>> 1)
    least >>>= 1
    counted = 0
  }
  const rank = (name: string, reads: number): void => {
    if (best.has(name)) {
      best.set(name, reads)
      return
    }
    if (best.size >= most) {
      if (reads <= least) return
      const last = [...best].reduce((one, other) => (other[1] < one[1] ? other : one))
      if (reads <= last[1]) {
        least = last[1]
        return
      }
      best.delete(last[0])
    }
    best.set(name, reads)
    least = best.size < most ? 0 : Math.min(...best.values())
  }
  return {
    count(name) {
      const hash = hashOf(name)
      const reads = lowest(hash) + 1
      // Only those counters that would be too low: the others stand for others.
      for (let row = 0; row < rows; row++) {
        const at = place(hash, row)
        if (counters[at]! < reads) counters[at] = reads
      }
      if (reads > 1) rank(name, reads)
      counted += 1
      if (counted >= width * 8) age()
      return reads
    },
    estimate: (name) => lowest(hashOf(name)),
    top: () => [...best].map(([name, reads]) => ({ name, reads })).sort((a, b) => b.reads - a.reads),
  }
}
