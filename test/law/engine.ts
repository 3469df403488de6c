/** The real engine on a real Postgres: a database with a model's tables, its views registered, and both halves of ingest at hand. */
import { createApplier } from '../../src/ingest/apply/apply.ts'
import { registerViews } from '../../src/ingest/generations.ts'
import type { Model } from '../../src/model/model.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import type { Sql } from '../../src/platform/postgres.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'
import type { Log } from './change-arbitrary.ts'
import { makeScene, type Scene } from './scene.ts'

export const openEngine = async (model: Model) => {
  const database: Database = await freshDatabase()
  await installModel(database.sql, model)
  const catalog = await registerViews(database.sql, model)
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
  const { sql, url, drop } = await freshDatabase()
  try {
    await installModel(sql, scene.model)
    await startPositions(sql, scene.log)
    await use({ ...scene, sql, url })
  } finally {
    await drop()
  }
}

/** Partitions start at offset 0, whatever the log's first record. */
export const startPositions = async (sql: Sql, log: Log): Promise<void> => {
  for (const [record] of log.values())
    await sql`insert into forebay.positions (topic, partition, next_offset) values (${record!.topic}, ${record!.partition}, 0)`
}
