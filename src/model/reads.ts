/** What of its own row a condition or a field is made of, by names of fields. */

import type { Where } from './condition.ts'
import type { Field, View } from './model.ts'

export const fieldsOf = (where: Where): readonly string[] => {
  switch (where.kind) {
    case 'and':
    case 'or':
      return where.items.flatMap(fieldsOf)
    case 'not':
      return fieldsOf(where.item)
    case 'compare':
      return where.value.kind === 'field' ? [where.field, where.value.field] : [where.field]
    case 'join':
    case 'exists':
      return []
  }
}

/** The fields of the row that this one is computed from, or shown by. */
export const readsOf = ({ value, allow }: Pick<Field, 'value' | 'allow'>): readonly string[] => [
  ...(value.kind === 'expr' ? value.inputs : []),
  ...(allow?.when === undefined ? [] : fieldsOf(allow.when)),
]

/** A field and the fields that it is computed from, or shown by. */
export const withInputs = (view: View, field: Field): readonly Field[] => {
  const below = readsOf(field).flatMap((name) => withInputs(view, view.fields.find((one) => one.name === name)!))
  return [...new Set([...below, field])]
}

/** Fields of a view that a change can alter. ROW: the whole row: whether it is there, whose it is, its key. */
export type Touched = ReadonlySet<string> | 'ROW'
