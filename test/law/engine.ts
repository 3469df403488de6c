/** The real engine on a real Postgres: a database with a model's tables, its views registered, and both halves of ingest at hand. */
import { createApplier } from '../../src/ingest/apply/apply.ts'
import { createDecoder } from '../../src/ingest/decode.ts'
import { registerViews } from '../../src/ingest/generations.ts'
import { formatFault, parseSchema } from '../../src/model/load.ts'
import type { Model } from '../../src/model/model.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'

export const loadModel = async (text: string): Promise<Model> => {
  const loaded = await parseSchema([{ name: 'zoo.graphql', text }])
  if (!loaded.ok) throw new Error(`${loaded.faults.map(formatFault).join('\n')}\n${text}`)
  return loaded.model
}

export const openEngine = async (model: Model) => {
  const database: Database = await freshDatabase()
  await installModel(database.sql, model)
  const catalog = await registerViews(database.sql, model)
  return {
    database,
    model,
    catalog,
    decoder: createDecoder(model),
    applier: createApplier(database.sql, model, catalog),
  }
}
export type Engine = Awaited<ReturnType<typeof openEngine>>
