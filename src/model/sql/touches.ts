/**
 * Which fields of a view a change of which dependency can alter, so that pending work delays only answers that show them (C22). Found by
 * compiling each field by itself, since what SQL reads is recorded as it is written.
 */
import type { Field, Model, View } from '../model.ts'
import { type Dependencies, pathId, startCompilation } from './row-scope.ts'
import { rowsSql } from './rows.ts'

/** ROW: the whole row: whether it is there, whose it is, its key. */
export type Touched = ReadonlySet<string> | 'ROW'

/** By path, in the order of `paths`. In a grouped view a change may move rows from group to group: each touches all. */
export const touchedFields = (model: Model, view: View, dependencies: Dependencies): readonly Touched[] => {
  const ids = [...dependencies.values()]
    .sort((a, b) => a.steps.length - b.steps.length)
    .map(({ steps }) => pathId(steps))
  if (view.groupBy) return ids.map(() => 'ROW')
  const read = (fields: readonly Field[]) => {
    const compilation = startCompilation(model)
    const { shape } = rowsSql(compilation, { ...view, fields }, view.name)
    return { ids: new Set(compilation.dependencies.keys()), withholds: shape.complete.length > 0 }
  }
  const row = read([]).ids
  const fields = view.fields.map((field) => ({ field, ...read(withInputs(view, field)) }))
  // A field that may withhold its row decides whether there is one.
  for (const { field, ids, withholds } of fields)
    if (withholds && !isNeverNull(field)) for (const id of ids) row.add(id)
  return ids.map((id) =>
    id === '' || row.has(id) ? 'ROW' : new Set(fields.filter(({ ids }) => ids.has(id)).map(({ field }) => field.name)),
  )
}

/** Of what is counted there is a number, and a sum of nothing is 0. (One of Long may be too great for a Long.) */
const isNeverNull = ({ value, type }: Field): boolean =>
  value.kind === 'aggregate' &&
  (value.fn === 'count' || (value.fn === 'sum' && type.kind === 'scalar' && type.scalar !== 'Long'))

/** A field and the fields that its expression reads. */
const withInputs = (view: View, field: Field): readonly Field[] => {
  const inputs = field.value.kind === 'expr' ? field.value.inputs : []
  const below = inputs.flatMap((name) => withInputs(view, view.fields.find((one) => one.name === name)!))
  return [...new Set([...below, field])]
}
