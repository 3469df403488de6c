/** The columns and the key of a view's table. */
import type { Entity, Field, Model, ValueType, View } from '../model.ts'
import { columnName } from '../names.ts'
import type { ViewKey } from '../view-table.ts'
import { entityOf } from './row-scope.ts'

/** The root's key fields with the columns that hold them: the view's own where it shows them, else hidden ones. */
export const rootKeyColumns = (root: Entity, view: View): readonly ViewKey[] =>
  root.key.map((name) => {
    const shown = view.groupBy ? undefined : view.fields.find((field) => isPlain(field, name))
    const column = root.columns.find((candidate) => candidate.name === name)!
    return {
      name,
      type: column.type,
      nullable: false,
      column: shown ? columnName(shown.name) : `_key_${columnName(name)}`,
    }
  })

const isPlain = (field: Field, column: string): boolean =>
  field.value.kind === 'path' && field.value.joins.length === 0 && field.value.column === column && !field.value.bucket

/** What a caller names to get one row: the tenant is known from its token, so a tenant column in the key is left out. */
export const viewKeys = (model: Model, view: View): readonly ViewKey[] => {
  const root = entityOf(model, view.of)
  if (!view.groupBy) {
    const keys = rootKeyColumns(root, view)
    const without = keys.filter(({ name }) => !(root.tenant.kind === 'COLUMN' && root.tenant.column === name))
    return without.length ? without : keys
  }
  return view.groupBy.map((name) => {
    const field = view.fields.find((candidate) => candidate.name === name)!
    return { name, type: field.type as ValueType, nullable: !field.nonNull, column: columnName(name) }
  })
}
