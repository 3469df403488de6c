/** How hard live work is pressed: what a replay, or the filling of a generation, gives way to. */
import type { Sql } from '../../platform/postgres.ts'
import type { Catalog, Generation } from '../generations.ts'

/** `load`: 1 is where one has to give way; `why` names what is worst. */
export type Pressure = { readonly load: number; readonly why: string }

/** Keys that wait in the dirty log at which a replay gives way: some rounds' work. */
const deepKeys = 10_000

/**
 * The worst of: the lag of each view that reads the entity, against half of what it promises, and the depth of the dirty log.
 * A partition that doesn't run is left out: waiting for it would help nobody.
 */
export const pressureOn = (sql: Sql, catalog: Catalog, entity: string): (() => Promise<Pressure>) => {
  const readers = () =>
    catalog.generations.filter(({ state, paths }) => state === 'ACTIVE' && paths.some((path) => path.entity === entity))
  return async () => {
    const [log] = await sql<{ keys: number }[]>`
      select coalesce(sum(n), 0)::int as keys from (select n from forebay.dirty limit 2000) d`
    const depth = { load: log!.keys / deepKeys, why: `${log!.keys} keys or more wait in the dirty log` }
    return depth.load >= 1 ? depth : [depth, ...(await lagsOf(sql, readers()))].reduce(worse)
  }
}

export const worse = (worst: Pressure, one: Pressure): Pressure => (one.load > worst.load ? one : worst)

/** How far each of these is behind, against half of what it promises. `unbounded`: the load of one that has no bound yet. */
export const lagsOf = async (
  sql: Sql,
  generations: readonly Generation[],
  unbounded = 1,
): Promise<readonly Pressure[]> => {
  const views = generations.map(({ generation, view, reads }) => ({
    generation,
    name: view.name,
    maxLagMs: view.maxLagMs,
    topics: [...new Set(Object.values(reads).map(({ topic }) => topic))],
  }))
  const lags = await sql<{ name: string; maxLagMs: number; lagMs: number | null }[]>`
    select v.name, v."maxLagMs", case when bounded.yes then
      extract(epoch from clock_timestamp() - least(bounded.frontier, (select min(origin) from forebay.dirty d where d.generation = v.generation)))::float8 * 1000 end as "lagMs"
    from json_to_recordset(${JSON.stringify(views)}::text::json) as v(generation int, name text, "maxLagMs" float8, topics text[])
    cross join lateral (
      select min(p.frontier) as frontier, coalesce(bool_and(p.frontier is not null), true) as yes
      from forebay.positions p where p.topic = any(v.topics) and p.state = 'RUNNING') bounded`
  return lags.map(({ name, maxLagMs, lagMs }): Pressure => {
    if (lagMs === null) return { load: unbounded, why: `${name} has no bound yet` }
    return {
      load: lagMs / (maxLagMs / 2),
      why: `${name} is ${seconds(lagMs)} behind, of the ${seconds(maxLagMs)} it promises`,
    }
  })
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`
