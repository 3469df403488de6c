/** What `@lookup` compares: e-mail addresses and phone numbers normalised, everything else as it is. */
import type { Field, View } from '../model.ts'
import { columnName, ident } from '../names.ts'

/** How a looked-up value is normalised, as SQL over `value`; absent: compared as it is. */
export const normaliserOf = (field: Field): ((value: string) => string) | undefined => {
  if (!field.lookup || !field.lineage.verbatim) return undefined
  if (field.lineage.tags.some(({ kind }) => kind === 'EMAIL')) return (value) => `lower(btrim(${value}))`
  if (field.lineage.tags.some(({ kind }) => kind === 'PHONE'))
    return (value) => `regexp_replace(${value}, '[^0-9+]', '', 'g')`
  return undefined
}

/** The column that a @lookup compares, unquoted. */
export const lookupColumn = (field: Field): string =>
  normaliserOf(field) ? `_lookup_${columnName(field.name)}` : columnName(field.name)

/** DDL of the generated columns that hold normalised values. */
export const lookupColumns = (view: View): string[] =>
  view.fields.flatMap((field) => {
    const normalise = normaliserOf(field)
    if (!normalise) return []
    return [
      `${ident(lookupColumn(field))} text collate "C" generated always as (${normalise(ident(columnName(field.name)))}) stored`,
    ]
  })
