/**
 * Narrow recompute: of a row that is there, only the fields that a change can reach are computed and written (C11). An absent row is none of
 * theirs: what makes a row appear touches all of it.
 */
import type { View } from '../model.ts'
import { columnName } from '../names.ts'
import type { Touched } from '../reads.ts'
import type { LogPath } from './nodes.ts'
import { updateSql, type WriteParts } from './view-table.ts'

/** `fields`: what it brings up to date, computed fields that no table holds left out of account. */
export type Narrow = { readonly fields: readonly string[]; readonly statement: string }

/** `select`: rows of some of the view's fields in its columns, and whether something inside them may have been withheld. */
export type SelectFields = (names: ReadonlySet<string>) => { readonly fresh: string; readonly flagged: boolean }

/**
 * A statement for the fields that each path touches, for those that each entity does by several paths, and for all of these together; the
 * fewest fields first. None where fields besides may have withheld something, since a row says only whether any has.
 */
export const narrowStatements = (
  view: View,
  paths: readonly LogPath[],
  touched: readonly Touched[],
  parts: Omit<WriteParts, 'columns' | 'fresh'>,
  select: SelectFields,
): readonly Narrow[] => {
  const narrowest = paths.flatMap(({ node, entity }, path) => {
    const fields = touched[path]!
    return node === 0 && fields !== 'ROW' ? [{ entity, fields }] : []
  })
  const together = (some: readonly { readonly fields: ReadonlySet<string> }[]) =>
    new Set(some.flatMap(({ fields }) => [...fields]))
  const sets = [
    ...narrowest.map(({ fields }) => fields),
    ...[...Map.groupBy(narrowest, ({ entity }) => entity).values()].map(together),
    together(narrowest),
  ]
  const distinct = new Map(sets.map((fields) => [[...fields].sort().join(), fields]))
  return [...distinct.values()]
    .sort((a, b) => a.size - b.size)
    .flatMap((fields): Narrow[] => {
      const stored = view.fields.filter(({ name }) => fields.has(name))
      if (stored.length === 0 || stored.length === view.fields.length) return []
      const own = select(fields)
      const others = new Set(view.fields.map(({ name }) => name).filter((name) => !fields.has(name)))
      if (own.flagged && select(others).flagged) return []
      const columns = [...stored.map(({ name }) => columnName(name)), ...(own.flagged ? ['_incomplete'] : [])]
      return [{ fields: [...fields], statement: updateSql({ ...parts, columns, fresh: own.fresh }) }]
    })
}
