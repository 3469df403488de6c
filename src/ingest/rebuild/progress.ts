/** How far each build is: for people, and at /metrics. */
import { log } from '../../platform/log.ts'
import { gauge } from '../../platform/metrics.ts'
import type { Sql } from '../../platform/postgres.ts'
import type { State } from './states.ts'

export type Progress = {
  readonly view: string
  readonly generation: number
  readonly state: State
  readonly hash: string
  readonly declared: string
  readonly registeredAt: string
  readonly switchedAt: string | null
  readonly filled: boolean
  /** Keys logged, and to be logged in all as far as that is known by now. */
  readonly done: number
  readonly total: number
  readonly rate: number | null
  readonly waiting: string | null
  /** Why it isn't any further. */
  readonly reason: string | null
  /** It was seen to be unequal: it goes no further. */
  readonly failed: boolean
}

/** What is kept up, by view, the one that serves first. */
export const readProgress = (sql: Sql): Promise<readonly Progress[]> => sql<Progress[]>`
  select g.view, g.generation, g.state, g.hash, coalesce(g.declared, g.hash) as declared, forebay.iso(g.registered_at) as "registeredAt",
    forebay.iso(g.switched_at) as "switchedAt", g.filled_at is not null as filled, coalesce(f.done, 0)::float8 as done,
    coalesce(f.total, 0)::float8 as total, f.rate, f.waiting, g.reason, g.failed_at is not null as failed
  from forebay.generations g left join lateral (
    select sum(done) as done, sum(total) as total, (array_agg(rate order by moved_at desc))[1] as rate, max(waiting) as waiting
    from forebay.fills f where f.generation = g.generation) f on true
  where g.retired_at is null order by g.view, g.state <> 'ACTIVE', g.generation`

/** Seconds until all is logged; undefined where that can't be told. */
export const secondsLeft = ({ filled, done, total, rate }: Progress): number | undefined =>
  filled || rate === null || rate <= 0 ? undefined : Math.max(0, total - done) / rate

const labels = ['view', 'generation', 'state'] as const
const done = gauge({
  name: 'forebay_rebuild_keys_done',
  help: 'Keys logged for a generation that is being built.',
  labels,
})
const total = gauge({ name: 'forebay_rebuild_keys', help: 'Keys that a generation is built of, about.', labels })
const left = gauge({
  name: 'forebay_rebuild_seconds_left',
  help: 'Until all its keys are logged. +Inf: not known.',
  labels,
})
const generations = gauge({ name: 'forebay_generations', help: 'Generations kept up, by state.', labels: ['state'] })

/** `filling`: the generation that is being filled, which is logged too. */
export const tellProgress = async (sql: Sql, filling?: number): Promise<void> => {
  const all = await readProgress(sql)
  for (const one of [done, total, left, generations]) one.reset()
  for (const [state, some] of Map.groupBy(all, (one) => one.state)) generations.set({ state }, some.length)
  for (const one of all.filter(({ state, filled }) => !filled || state === 'BUILDING' || state === 'PROVEN')) {
    const { view, generation, state } = one
    const label = { view, generation: String(generation), state }
    done.set(label, one.done)
    total.set(label, one.total)
    const seconds = secondsLeft(one)
    left.set(label, one.filled ? 0 : (seconds ?? Number.POSITIVE_INFINITY))
    if (generation === filling) {
      const { rate, waiting } = one
      log.info('generation.filling', {
        view,
        generation,
        done: one.done,
        total: one.total,
        rate,
        secondsLeft: seconds,
        waiting,
      })
    }
  }
}
