/** The oracle's vocabulary: rows as the source has them, and rows as they can be seen. */
import type { CellValue } from '../../src/ingest/change.ts'
import type { Column, Entity, Join, Model } from '../../src/model/model.ts'

export type Row = Readonly<Record<string, CellValue>>
/** Entity → key text → the row that the source has. Deleted rows are not in it. */
export type SourceRows = ReadonlyMap<string, ReadonlyMap<string, Row>>

/** A row that can be seen. `tenant`: its own, or for a shared row that of the row it was reached from; null: no tenant at all. */
export type Seen = { readonly entity: Entity; readonly row: Row; readonly tenant: string | null }
export const entityOf = (model: Model, name: string): Entity => {
  const entity = model.entities.get(name)
  if (!entity) throw new Error(`no entity ${name}`)
  return entity
}
export const columnOf = (entity: Entity, name: string): Column => {
  const column = entity.columns.find((c) => c.name === name)
  if (!column) throw new Error(`no column ${entity.name}.${name}`)
  return column
}
export const joinOf = (entity: Entity, name: string): Join => {
  const join = entity.joins.find((j) => j.name === name)
  if (!join) throw new Error(`no join ${entity.name}.${name}`)
  return join
}
export const isTenanted = (entity: Entity): boolean => entity.tenant.kind === 'COLUMN' || entity.tenant.kind === 'JOIN'
