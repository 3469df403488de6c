/** How hard live work is pressed: what a replay gives way to. */
import type { Model } from '../../model/model.ts'
import { entityOf } from '../../model/sql/row-scope.ts'
import type { Sql } from '../../platform/postgres.ts'
import type { Catalog } from '../generations.ts'

/** `load`: 1 is where a replay has to give way; `why` names what is worst. */
export type Pressure = { readonly load: number; readonly why: string }

/** Keys that wait in the dirty log at which a replay gives way: some rounds' work. */
const deepKeys = 10_000

/**
 * The worst of: the lag of each view that reads the entity, against half of what it promises, and the depth of the dirty log.
 * A partition that doesn't run is left out: waiting for it would help nobody.
 */
export const pressureOn = (
  sql: Sql,
  model: Model,
  { generations }: Catalog,
  entity: string,
): (() => Promise<Pressure>) => {
  const views = generations
    .filter(({ paths }) => paths.some((path) => path.entity === entity))
    .map(({ generation, view, paths }) => ({
      generation,
      name: view.name,
      maxLagMs: view.maxLagMs,
      topics: [...new Set(paths.map((path) => entityOf(model, path.entity).source.topic))],
    }))
  const asked = JSON.stringify(views)
  return async () => {
    const [log] = await sql<{ keys: number }[]>`
      select coalesce(sum(n), 0)::int as keys from (select n from forebay.dirty limit 2000) d`
    const depth = { load: log!.keys / deepKeys, why: `${log!.keys} keys or more wait in the dirty log` }
    if (depth.load >= 1) return depth
    const lags = await sql<{ name: string; maxLagMs: number; lagMs: number | null }[]>`
      select v.name, v."maxLagMs", case when bounded.yes then
        extract(epoch from clock_timestamp() - least(bounded.frontier, (select min(origin) from forebay.dirty d where d.generation = v.generation)))::float8 * 1000 end as "lagMs"
      from json_to_recordset(${asked}::text::json) as v(generation int, name text, "maxLagMs" float8, topics text[])
      cross join lateral (
        select min(p.frontier) as frontier, coalesce(bool_and(p.frontier is not null), true) as yes
        from forebay.positions p where p.topic = any(v.topics) and p.state = 'RUNNING') bounded`
    const pressures = lags.map(({ name, maxLagMs, lagMs }): Pressure => {
      if (lagMs === null) return { load: 1, why: `${name} has no bound yet` }
      return {
        load: lagMs / (maxLagMs / 2),
        why: `${name} is ${seconds(lagMs)} behind, of the ${seconds(maxLagMs)} it promises`,
      }
    })
    return [depth, ...pressures].reduce((worst, one) => (one.load > worst.load ? one : worst))
  }
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`
