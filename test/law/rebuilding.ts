/** A process that builds generations, as ingest starts it, and what there is to see of them. */
import { setTimeout as sleep } from 'node:timers/promises'
import { openCatalog } from '../../src/ingest/generations.ts'
import { proveWhole } from '../../src/ingest/rebuild/prove.ts'
import { type RebuildOptions, startRebuilds } from '../../src/ingest/rebuild/worker.ts'
import type { Model } from '../../src/model/model.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'

/** `auto` off: it works when told to. */
export const openBuilder = async (
  url: string,
  model: Model,
  options: Partial<RebuildOptions> & { readonly auto?: boolean } = {},
) => {
  const [sql, one] = [connect(url, { max: 1, name: 'law reader' }), connect(url, { max: 1, name: 'law rebuild' })]
  const catalog = await openCatalog(sql, model)
  const rebuilds = startRebuilds({ sql: one, catalog, windowMs: 3_600_000, logged: () => {}, ...options })
  return {
    work: () => rebuilds.work(),
    async close() {
      await rebuilds.stop()
      await Promise.all([sql.end({ timeout: 0 }), one.end({ timeout: 0 })])
    },
  }
}

/** Ends the sessions of every builder, as a process that is killed leaves them. */
export const killBuilders = (sql: Sql): Promise<unknown> => sql`
  select pg_terminate_backend(pid) from pg_stat_activity
  where datname = current_database() and application_name = 'forebay law rebuild'`

export type Seen = {
  readonly generation: number
  readonly view: string
  readonly state: string
  readonly pointed: boolean
}
export const generationsOf = (sql: Sql): Promise<readonly Seen[]> => sql<Seen[]>`
  select generation, view, state, exists (select from forebay.pointers p where p.generation = g.generation) as pointed
  from forebay.generations g where retired_at is null order by generation`

export const isBuilding = async (sql: Sql): Promise<boolean> =>
  (await generationsOf(sql)).some(({ state }) => state === 'BUILDING' || state === 'PROVEN')

/** Compares every generation that is kept up with its own definition: those that differ. */
export const unequal = async (sql: Sql, model: Model): Promise<readonly string[]> => {
  const { generations } = await openCatalog(sql, model)
  const found: string[] = []
  for (const generation of generations) {
    const options = { signal: new AbortController().signal, say: () => {}, sleep: (ms: number) => sleep(ms) }
    const { keys, differing } = await proveWhole(sql, generation, options)
    if (differing > 0) found.push(`${generation.table.view} ${generation.generation}: ${differing} of ${keys}`)
  }
  return found
}
