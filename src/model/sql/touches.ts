/**
 * Which fields of a view a change of which dependency can alter, so that pending work delays only answers that show them (C22). Found by
 * compiling each field by itself, since what SQL reads is recorded as it is written.
 */
import type { Entity, Field, Model, View } from '../model.ts'
import { valueSqlType } from '../names.ts'
import { type Touched, withInputs } from '../reads.ts'
import { columnOf, entityOf, joinOf } from './row-scope.ts'
import { rowsSql } from './rows.ts'
import { outputName } from './shape.ts'

/** By path, in the order of `ids` (see `Nodes`). In a grouped view a change may move rows from group to group: each touches all. */
export const touchedFields = (model: Model, view: View, ids: readonly string[]): readonly Touched[] => {
  if (view.groupBy) return ids.map(() => 'ROW')
  const read = (fields: readonly Field[]) => {
    const sql = rowsSql(model, { ...view, fields }, view.name)
    return { ids: new Set(sql.ids), complete: sql.shape.complete }
  }
  const row = read([]).ids
  const fields = view.fields.map((field) => ({ field, ...read(withInputs(view, field)) }))
  // A field that may withhold its row decides whether there is one.
  const root = entityOf(model, view.of)
  for (const { field, ids, complete } of fields) {
    const withholds = complete.includes(`${outputName(field.name)} is not null`)
    if (withholds && !isNeverNull(model, root, field)) for (const id of ids) row.add(id)
  }
  return ids.map((id) =>
    row.has(id) ? 'ROW' : new Set(fields.filter(({ ids }) => ids.has(id)).map(({ field }) => field.name)),
  )
}

/** Of what is counted there is a number, and a sum of nothing is 0. (A sum of Long may be too great for a Long.) */
const isNeverNull = (model: Model, root: Entity, { value, type }: Field): boolean => {
  if (value.kind !== 'aggregate' || (value.fn !== 'count' && value.fn !== 'sum')) return false
  if (value.fn === 'count' || (type.kind === 'scalar' && type.scalar !== 'Long')) return true
  const owner = value.joins.reduce((entity, name) => entityOf(model, joinOf(entity, name).target), root)
  return valueSqlType(columnOf(owner, value.column!).type) === 'integer'
}
