/** Reconciling on a stage: passes that are asked for, walked and judged step by step, with rounds in between. */
import type { Generation } from '../../src/ingest/generations.ts'
import type { Maintainer } from '../../src/ingest/maintain/maintainer.ts'
import { requestPass } from '../../src/ingest/reconcile/pass.ts'
import { type Reconciler, startReconciler } from '../../src/ingest/reconcile/worker.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import type { Stage } from './stage.ts'

export type Outcome = {
  readonly state: string
  readonly compared: number
  readonly drifted: number
  readonly repaired: number
}
export type Found = { readonly key: string; readonly kind: string; readonly repaired: boolean }

export const openReconciling = (s: Stage) => {
  const pools: Sql[] = []
  const { sql } = s.database
  const passOf = async (id: string): Promise<Outcome> => {
    const [row] = await sql<Outcome[]>`
      select state, compared::int, drifted::int, repaired::int from forebay.reconciliations where id = ${id}`
    return row!
  }
  return {
    passOf,
    generation: (view: string): Generation => s.catalog.generations.find(({ table }) => table.view === view)!,
    ask(view: string): Promise<string> {
      const { generation } = this.generation(view)
      return requestPass(sql, { kind: 'VIEW', name: view, generation }, 'test')
    },
    reconciler(maintainer: Pick<Maintainer, 'owned' | 'prove'>): Reconciler {
      const own = connect(s.database.url, { max: 1, name: 'reconcile' })
      pools.push(own)
      return startReconciler({ sql: own, catalog: s.catalog, maintainer, share: 1, auto: false })
    },
    drift: async (id: string): Promise<readonly Found[]> => [
      ...(await sql<Found[]>`
        select key, kind, repaired_at is not null as repaired from forebay.drift where pass = ${id} order by proof, key`),
    ],
    /** Until the pass is over, with `rounds` for what was marked. */
    async finish(id: string, reconcilers: readonly Reconciler[], rounds: () => Promise<unknown>, turns = 60) {
      for (let left = turns; left > 0; left--) {
        for (const reconciler of reconcilers) {
          while (await reconciler.step());
          await reconciler.judge()
        }
        await rounds()
        if ((await passOf(id)).state === 'DONE') return passOf(id)
      }
      throw new Error(`pass ${id} does not end: ${JSON.stringify(await passOf(id))}`)
    },
    async close() {
      for (const pool of pools) await pool.end({ timeout: 1 })
    },
  }
}
