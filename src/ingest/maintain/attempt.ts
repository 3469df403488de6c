/**
 * How a round runs a statement for keys. Together: for all at once, and what fails takes the round with it. Alone: behind savepoints, for
 * fewer and fewer keys until what fails stands by itself, so that one bad key doesn't hold its view back. A round does so for a bounded
 * time; what it doesn't get to goes back into the log, and the next one begins with as few keys as this one ended with.
 */
import { codeOf, isDataError } from '../../platform/postgres.ts'
import type { Tx } from '../apply/fence.ts'

/** `number`: the log's, under which these keys can be written to it. */
export type Place = { readonly node: number; readonly number: number }
export type Attempt = <Row>(
  place: Place,
  keys: readonly string[],
  run: (tx: Tx, keys: readonly string[]) => Promise<readonly Row[]>,
) => Promise<readonly Row[]>

export const together =
  (tx: Tx): Attempt =>
  (_, keys, run) =>
    run(tx, keys)

export type Culprit = Place & { readonly key: string; readonly sqlstate: string; readonly reason: string }
type Left = Place & { readonly keys: readonly string[] }
/** Kept from round to round: keys that are run together at most. */
export type Caution = { size: number }

/** A key's statement may take so long, and wait so long for a lock. */
export const keyTimeoutMs = 10_000
export const lockTimeoutMs = 5_000
/** After so long, or so many failures, a round only ends what it has begun. */
const longestMs = 2_000
const mostFailures = 100
/** So many keys, taken from all over, of which every one fails, say that the statement does. */
const samples = 8

const timeout = '57014'
/** The key or its statement is at fault, and not the connection, a conflict or the server. XX: memory for a value that Postgres can't make. */
export const isKeyFault = (error: unknown): boolean =>
  isDataError(error) || codeOf(error) === timeout || /^(XX|P0|38|39)[0-9A-Z]{3}$/.test(codeOf(error))
/** The statement doesn't fit the tables: no key is to blame. */
const isStatementFault = (error: unknown): boolean => /^(42|0A)/.test(codeOf(error))

export const alone = (tx: Tx, caution: Caution, now: () => number = () => performance.now()) => {
  const begun = now()
  const culprits: Culprit[] = []
  const left: Left[] = []
  let failures = 0
  const attempt: Attempt = async <Row>(
    place: Place,
    keys: readonly string[],
    run: (tx: Tx, keys: readonly string[]) => Promise<readonly Row[]>,
  ) => {
    const done: Row[] = []
    const waiting: (readonly string[])[] = [keys]
    let [worked, failed] = [0, 0]
    while (waiting.length > 0) {
      const next = waiting.pop()!
      const some = next.slice(0, caution.size)
      if (some.length < next.length) waiting.push(next.slice(some.length))
      if (failures >= mostFailures || (failures > 0 && now() - begun > longestMs)) {
        left.push({ ...place, keys: some })
        continue
      }
      try {
        done.push(...((await tx.savepoint((inner) => run(inner, some))) as readonly Row[]))
        worked += some.length
        if (some.length >= caution.size) caution.size *= 4
      } catch (error) {
        if (!isKeyFault(error) || isStatementFault(error)) throw error
        failures += 1
        if (some.length > 1) {
          const half = Math.ceil(some.length / 2)
          caution.size = half
          const spread = failures === 1 && some.length > 2 * samples ? sampled(some) : []
          const rest = some.filter((key) => !spread.includes(key))
          waiting.push(rest.slice(half), rest.slice(0, half), ...spread.map((key) => [key]))
          continue
        }
        failed += 1
        if (worked === 0 && failed >= samples) throw error
        culprits.push({ ...place, key: some[0]!, sqlstate: codeOf(error), reason: reasonOf(error) })
      }
    }
    return done
  }
  return { attempt, culprits, left }
}
export type Alone = ReturnType<typeof alone>

const sampled = (keys: readonly string[]): readonly string[] =>
  Array.from({ length: samples }, (_, i) => keys[Math.floor((i * keys.length) / samples)]!)

/** What Postgres quotes may be a value, and so personal; of a limit (54) it is the name of what has it. */
const reasonOf = (error: unknown): string => {
  const said = error instanceof Error ? error.message : codeOf(error)
  return codeOf(error).startsWith('54') ? said : said.replaceAll(/"[^"]*"/g, '"…"')
}
