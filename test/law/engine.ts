/** The real engine on a real Postgres: a database with a model's tables, its views registered, and both halves of ingest at hand. */
import { createApplier } from '../../src/ingest/apply/apply.ts'
import { openCatalog, registerViews } from '../../src/ingest/generations.ts'
import type { Model } from '../../src/model/model.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import type { Sql } from '../../src/platform/postgres.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'
import type { Log } from './change-arbitrary.ts'
import { withModelTables } from './reused-database.ts'
import { makeScene, type Scene } from './scene.ts'

/** `live`: what is registered later is read when it is met, as in ingest. */
export const openEngine = async (model: Model, { live = false } = {}) => {
  const database: Database = await freshDatabase()
  await installModel(database.sql, model)
  const registered = await registerViews(database.sql, model)
  const catalog = live ? await openCatalog(database.sql, model) : registered
  return { database, model, catalog, applier: createApplier(database.sql, model, catalog) }
}
export type Engine = Awaited<ReturnType<typeof openEngine>>

/** A scene, and a database that knows its model and has applied nothing. */
export const withDatabase = async (
  text: string,
  numbers: readonly number[],
  use: (scene: Scene & { readonly sql: Sql; readonly url: string }) => Promise<void>,
): Promise<void> => {
  const scene = await makeScene(text, numbers)
  await withModelTables(scene.model, async ({ sql, url }) => {
    await startPositions(sql, scene.log)
    await use({ ...scene, sql, url })
  })
}

/** Partitions start at offset 0, whatever the log's first record. */
export const startPositions = async (sql: Sql, log: Log): Promise<void> => {
  for (const [record] of log.values())
    await sql`insert into forebay.positions (topic, partition, next_offset) values (${record!.topic}, ${record!.partition}, 0)`
}
