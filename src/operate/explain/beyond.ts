/** What an index can't have in the order of a list: how much of what a path reaches is read beyond the rows that are shown. */

import type { OrderBy, Where } from '../../model/condition.ts'
import type { Entity, Field, FieldValue, Model, View } from '../../model/model.ts'
import { entityOf, joinOf } from '../../model/sql/row-scope.ts'

type ListValue = Extract<FieldValue, { kind: 'list' | 'first' }>

/** A sentence for each field of the view and its parts that reads more than it shows. */
export const readsBeyond = (model: Model, view: View): readonly string[] => {
  const seen = new Set<string>()
  const ofFields = (owner: string, entity: Entity, fields: readonly Field[]): readonly string[] => {
    if (seen.has(owner)) return []
    seen.add(owner)
    return fields.flatMap(({ name, value, type }) => {
      const part = type.kind === 'part' ? model.parts.get(type.part) : undefined
      const reason = value.kind === 'list' || value.kind === 'first' ? reasonOf(model, entity, value) : undefined
      return [
        ...(reason === undefined ? [] : [`${owner}.${name} ${reason}`]),
        ...(part ? ofFields(part.name, entityOf(model, part.of), part.fields) : []),
      ]
    })
  }
  return ofFields(view.name, entityOf(model, view.of), view.fields)
}

const reasonOf = (model: Model, entity: Entity, { joins, many, orderBy, where }: ListValue): string | undefined => {
  const path = joins.slice(0, many + 1)
  let owner = entity
  let hops = 0
  for (const name of path) {
    const join = joinOf(owner, name)
    if (join.many) hops += 1
    owner = entityOf(model, join.target)
  }
  const all = `reads and sorts all that ${path.join('.')} reaches`
  if (hops > 1) return `${all}: no index has rows of several to-many joins in one order`
  const foreign = orderBy.findIndex((order) => order.joins.length > 0)
  if (foreign === 0)
    return `${all}: no index has an order that begins with a field of another row (${spelt(orderBy[0]!)})`
  if (foreign > 0)
    return `reads all that are equal to the last one shown in ${orderBy.slice(0, foreign).map(spelt).join(', ')}: no index has a field of another row (${spelt(orderBy[foreign]!)})`
  if (where && speaksOfOthers(where))
    return `reads rows until enough of them meet its condition: no index has the fields of another row`
  return undefined
}

const spelt = ({ joins, field }: OrderBy): string => [...joins, field].join('.')

const speaksOfOthers = (where: Where): boolean => {
  switch (where.kind) {
    case 'and':
    case 'or':
      return where.items.some(speaksOfOthers)
    case 'not':
      return speaksOfOthers(where.item)
    case 'join':
    case 'exists':
      return true
    case 'compare':
      return false
  }
}
