/**
 * The order in which rows are read when only the first of them are wanted, so that an index can have that very order and no more rows
 * are read than are wanted, however many have equal values.
 *
 * The columns by which a join finds the rows come first, and are compared as a range (see `matchSql`): of an equality Postgres drops
 * them from the order, and takes any index that finds the rows for as good wherever it believes a key to have few, whatever one of
 * them has. They go the way the first field goes, so that an index serves an order and, read backwards, its opposite.
 */

import type { OrderBy } from '../condition.ts'
import type { Entity } from '../model.ts'

/** A field of the row itself. `nullsFirst` as the index has it; where there can be no null, as Postgres does unasked. */
export type Term = { readonly field: string; readonly desc: boolean; readonly nullsFirst: boolean }

/** How the rows that a join finds are read: the first of them in an order, or without `terms` all. `where`: of which alone, over the bare columns. */
export type Reading = { readonly terms?: readonly Term[]; readonly where?: string }

/** Nulls come last in both directions. */
export const termOf = (entity: Entity, field: string, desc: boolean): Term => ({
  field,
  desc,
  nullsFirst: desc && isNeverNull(entity, field),
})

/** In live rows: what is promised, unless it is computed, which nothing waits for. */
export const isNeverNull = (entity: Entity, field: string): boolean =>
  entity.columns.some(({ name, nonNull, computed }) => name === field && nonNull && computed === undefined)

/** `found`: the fields by which the rows are found. `keyed`: ties are told apart by the key, ascending. */
export const termsOf = (
  entity: Entity,
  found: readonly string[],
  orderBy: readonly Pick<OrderBy, 'field' | 'direction'>[],
  keyed: boolean,
): readonly Term[] => {
  const order = new Map<string, Term>()
  const add = (field: string, desc: boolean) => {
    if (!found.includes(field) && !order.has(field)) order.set(field, termOf(entity, field, desc))
  }
  for (const { field, direction } of orderBy) add(field, direction === 'DESC')
  if (keyed) for (const field of entity.key) add(field, false)
  const [first] = order.values()
  const desc = first?.desc ?? false
  return [...found.map((field) => ({ field, desc, nullsFirst: desc })), ...order.values()]
}

export const reversed = (terms: readonly Term[]): readonly Term[] =>
  terms.map(({ field, desc, nullsFirst }) => ({ field, desc: !desc, nullsFirst: !nullsFirst }))

/** What follows a column in ORDER BY and in an index; nothing where it is Postgres's own way. */
export const directionSql = ({ desc, nullsFirst }: Omit<Term, 'field'>): string => {
  if (desc) return nullsFirst ? 'desc' : 'desc nulls last'
  return nullsFirst ? 'asc nulls first' : ''
}
