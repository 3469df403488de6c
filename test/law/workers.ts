/** Two maintainers of which each owns half of the shards, and whose commits can be held back. */
import { type Maintainer, startMaintainer } from '../../src/ingest/maintain/maintainer.ts'
import { balanceShards, ownedShards } from '../../src/ingest/maintain/shards.ts'
import { shardOf } from '../../src/model/sql/key.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { type CommitGate, startCommitGate } from './commit-gate.ts'
import type { Stage } from './stage.ts'

export type Worker = { readonly maintainer: Maintainer; readonly sql: Sql; readonly gate: CommitGate }

const start = async ({ database, catalog }: Stage, closing: (() => Promise<unknown>)[]): Promise<Worker> => {
  const gate = await startCommitGate(database.url)
  const sql = connect(gate.url, { max: 1, name: 'maintainer' })
  closing.push(gate.close, () => sql.end({ timeout: 1 }))
  await balanceShards(sql)
  return { sql, gate, maintainer: startMaintainer({ sql, catalog, published: async () => undefined, auto: false }) }
}

/** `closing`: takes what ends them, to be called from the last. */
export const startWorkers = async (
  stage: Stage,
  closing: (() => Promise<unknown>)[],
): Promise<readonly [Worker, Worker]> => {
  const [first, second] = [await start(stage, closing), await start(stage, closing)]
  for (const { sql } of [first, second]) await balanceShards(sql)
  return [first, second]
}

/** The first of some ids whose key is this worker's. */
export const ownedId = async ({ sql }: Worker, prefix: string): Promise<string> => {
  const shards = (await sql.unsafe<{ shard: number }[]>(ownedShards)).map(({ shard }) => shard)
  const [row] = await sql.unsafe<{ id: string }[]>(
    `select id from (select $1 || i as id from generate_series(1, 500) i) s where ${shardOf('jsonb_build_array(id)')} = any($2::int[]) limit 1`,
    [prefix, shards],
  )
  return row!.id
}

/** Rounds by all of them until the log is empty. */
export const settle = async (stage: Stage, workers: readonly Worker[]): Promise<void> => {
  for (;;) {
    for (const { maintainer } of workers) await maintainer.round()
    const [left] = await stage.database.sql<{ n: number }[]>`select count(*)::int as n from forebay.dirty`
    if (left!.n === 0) return
  }
}
