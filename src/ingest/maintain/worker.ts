/**
 * Which generations are worked together and which alone. Together is the rule. What fails takes all of them with it, so then each is worked
 * by itself, key by key where it must be; one of which keys failed goes on so for a while. One whose statement fails for every key
 * rests, and is tried again.
 */
import { log } from '../../platform/log.ts'
import { codeOf, type Sql } from '../../platform/postgres.ts'
import type { Catalog, Generation } from '../generations.ts'
import { type Caution, isKeyFault } from './attempt.ts'
import type { Announce } from './change-feed.ts'
import { runFanout } from './fanout.ts'
import { type Round, runAlone, runRound } from './round.ts'

const longestRest = 30_000
/** A generation is worked alone for so long after the last of its keys failed. */
const waryMs = 30_000
/** Keys of a round that is worked alone. */
const aloneBudget = 1_000

export type Worker = {
  live(budget: number): Promise<Round>
  /** A stretch of a fan-out, of at most so many keys. */
  fanout(keys: number): Promise<Round>
}

const nothing: Round = { entries: 0, full: false, keys: 0, announced: [], due: [], failed: 0, fanouts: false }
const merged = (rounds: readonly Round[]): Round =>
  rounds.reduce(
    (all, one) => ({
      entries: all.entries + one.entries,
      full: all.full || one.full,
      keys: all.keys + one.keys,
      announced: [...all.announced, ...one.announced],
      due: [...all.due, ...one.due],
      failed: all.failed + one.failed,
      fanouts: all.fanouts || one.fanouts,
    }),
    nothing,
  )

/** `wide`: see Limits. */
export const createWorker = (sql: Sql, catalog: Catalog, wide: number, announce: Announce): Worker => {
  const resting = new Map<number, { readonly until: number; readonly forMs: number }>()
  const wary = new Map<number, Caution & { until: number }>()

  const able = (): readonly Generation[] =>
    catalog.generations.filter(({ generation }) => (resting.get(generation)?.until ?? 0) <= Date.now())

  const rest = ({ generation, table }: Generation, error: unknown): Round => {
    const forMs = Math.min((resting.get(generation)?.forMs ?? 500) * 2, longestRest)
    resting.set(generation, { until: Date.now() + forMs, forMs })
    log.error('view.failed', { view: table.view, sqlstate: codeOf(error), retryInMs: forMs })
    return nothing
  }
  const carefully = async (
    generation: Generation,
    work: (caution: Caution) => Promise<Round | undefined>,
  ): Promise<Round> => {
    const number = generation.generation
    const caution = wary.get(number) ?? { size: Number.POSITIVE_INFINITY, until: 0 }
    try {
      const done = (await work(caution)) ?? nothing
      resting.delete(number)
      if (done.failed > 0) caution.until = Date.now() + waryMs
      const narrow = done.entries > 0 && caution.size < aloneBudget
      if (caution.until > Date.now() || narrow) wary.set(number, caution)
      else wary.delete(number)
      return done
    } catch (error) {
      if (!isKeyFault(error)) throw error
      return rest(generation, error)
    }
  }
  const alone = async (generations: readonly Generation[], budget: number): Promise<Round> => {
    const rounds: Round[] = []
    for (const generation of generations)
      rounds.push(
        await carefully(generation, (caution) =>
          runAlone(sql, generation, { budget: Math.min(budget, aloneBudget), wide }, announce, caution),
        ),
      )
    return merged(rounds)
  }
  const isWary = ({ generation }: Generation): boolean => wary.has(generation)

  return {
    async live(budget) {
      const generations = able()
      const doubtful = generations.filter(isWary)
      const trusted = generations.filter((one) => !doubtful.includes(one))
      let done: Round
      try {
        done = await runRound(sql, trusted, { budget, wide }, generations, announce)
      } catch (error) {
        if (!isKeyFault(error)) throw error
        done = await alone(trusted, budget)
      }
      const due = trusted.filter(({ generation }) => done.due.includes(generation))
      const more = await alone([...doubtful, ...due], budget)
      return { ...merged([done, more]), due: [] }
    },
    async fanout(keys) {
      const limits = { budget: keys, wide }
      const generations = able()
      const trusted = generations.filter((one) => !isWary(one))
      try {
        const done = await runFanout(sql, trusted, limits, announce)
        if (done) return done
      } catch (error) {
        if (!isKeyFault(error)) throw error
      }
      for (const generation of generations) {
        const done = await carefully(generation, (caution) => runFanout(sql, [generation], limits, announce, caution))
        if (done.entries > 0) return done
      }
      return nothing
    },
  }
}
