/** What can be looked up, filtered on and ordered by: single values that compare exactly and have an index. */

import type { Field, Model, View } from '../model.ts'
import type { Folder } from '../read/document.ts'
import { placeOf, type Report } from '../read/fault.ts'
import { nameOfType } from '../read/literal.ts'

export const checkSearch = (folder: Folder, model: Model, report: Report): void => {
  for (const view of model.views.values())
    for (const field of view.fields)
      for (const search of ['lookup', 'filter', 'order'] as const) {
        const fault = field[search] ? searchFault(search, field) : undefined
        if (fault === undefined) continue
        report(
          placeOfDirective(folder, view, field, search),
          `@${search} stands on ${view.name}.${field.name}, ${fault[0]}`,
          fault[1],
        )
      }
}

const searchFault = (
  search: 'lookup' | 'filter' | 'order',
  { type, list, value, lineage }: Field,
): readonly [string, string] | undefined => {
  if (lineage.tags.some((tag) => tag.class === 'RESTRICTED'))
    return ['which is RESTRICTED', 'Remove it: what is encrypted is not searched.']
  if (type.kind === 'part')
    return [list ? 'a list of parts' : 'a part', 'Show the field to search on as a field of the view, with @from.']
  if (type.kind === 'scalar' && type.scalar === 'JSON') return ['which is JSON', 'Remove it: JSON is opaque.']
  if (list && !(search === 'filter' && value.kind === 'path'))
    return ['which is a list', search === 'filter' ? 'Filter on a stored list, or on a @count.' : 'Remove it.']
  if (search !== 'lookup') return undefined
  if (value.kind === 'aggregate') return ['which is an aggregate', 'Use @filter: many rows may share the value.']
  if (type.kind === 'scalar' && (type.scalar === 'Float' || type.scalar === 'Boolean'))
    return [`a ${nameOfType(type)}, by which no one row is found`, 'Use @filter.']
  return undefined
}

const placeOfDirective = (folder: Folder, view: View, field: Field, name: string) => {
  const node = folder.types.get(view.name)?.fields.find((known) => known.name.value === field.name)
  const directive = node?.directives?.find((known) => known.name.value === name)
  return directive === undefined ? field.place : placeOf(directive)
}
