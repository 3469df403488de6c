/**
 * What was in the log when, and whether an answer tells the truth about it (law 5). Each change of a key has a state that no other one
 * has, so what is shown of the key says how far it is.
 */

/** A number no other change of the key has; null: deleted; BAD: a record that can't be decoded. */
export type State = number | null | 'BAD'
/** `at`: a moment of the primary's clock, in milliseconds, at which the change was surely in the log; Infinity until that is known. */
type Change = { readonly state: State; at: number }

export type History = {
  /** Before it is written; the answer is told when it has been. */
  begin(key: string, state: State): (at: number) => void
  keys(prefix: string): readonly string[]
  /** What is wrong with showing `shown` of the key (null: nothing) under a bound; undefined: nothing is. `said`: that records are parked. */
  judge(key: string, shown: number | null, asOf: number, said: boolean): string | undefined
  /** Which of the key's changes shows so; -1: none. */
  place(key: string, shown: number | null): number
  /** The state that must be shown at last. */
  last(key: string): State
}

export const startHistory = (): History => {
  const changes = new Map<string, Change[]>()
  return {
    begin(key, state) {
      const change: Change = { state, at: Number.POSITIVE_INFINITY }
      changes.set(key, [...(changes.get(key) ?? []), change])
      return (at) => {
        change.at = at
      }
    },
    keys: (prefix) => [...changes.keys()].filter((key) => key.startsWith(prefix)),
    judge(key, shown, asOf, said) {
      const all = changes.get(key) ?? []
      const due = all.findLastIndex(({ state, at }) => at < asOf && state !== 'BAD')
      const bad = all.findLastIndex(({ state, at }) => at < asOf && state === 'BAD')
      const found = all.findLastIndex(({ state }) => state === shown)
      if (shown !== null && found === -1) return `${key} shows ${shown}, which was never written`
      if (found < due && !(shown === null && due === -1))
        return `${key} shows ${shown}, though ${all[due]!.state} was in the log ${(asOf - all[due]!.at).toFixed(1)} ms before asOf`
      if (bad > due && found < bad && !said) return `${key} has a parked record before asOf, and that is not said`
      return undefined
    },
    place: (key, shown) => (changes.get(key) ?? []).findLastIndex(({ state }) => state === shown),
    last: (key) => (changes.get(key) ?? []).findLast(({ state }) => state !== 'BAD')?.state ?? null,
  }
}
