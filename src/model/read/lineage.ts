/**
 * Which tagged entity columns reach a value. Personal data travels through paths, conditions and orders; a count carries only the tags
 * of its condition and its window; @declassify ends the tags and @pii on a view's field adds one. Only a value taken over as it stands is
 * verbatim, and so has masked and tokenized forms: not what another tagged column selected or ordered.
 */

import type { OrderBy, Where } from '../condition.ts'
import type { Window } from '../event-time.ts'
import type { Entity, Field, Lineage, LineageTag } from '../model.ts'
import { fieldsOf } from '../reads.ts'
import type { FieldDraft } from './declared.ts'
import { entityRow } from './row.ts'

type Entities = ReadonlyMap<string, Entity>

/** The fields with their lineage, in the same order. `owner` and `of`: the view's or part's name and entity. */
export const withLineage = (
  entities: Entities,
  owner: string,
  of: Entity,
  fields: readonly FieldDraft[],
): readonly Field[] => {
  const known = new Map<string, Lineage>()
  const lineage = (field: FieldDraft, passed: readonly string[]): Lineage => {
    const seen = known.get(field.name)
    if (seen !== undefined || passed.includes(field.name)) return seen ?? none
    const own = field.declassified ? none : shown(field, [...passed, field.name])
    const result = tagged(owner, field, own)
    known.set(field.name, result)
    return result
  }
  /** Whether a value is there tells what its condition reads. */
  const shown = (field: FieldDraft, passed: readonly string[]): Lineage => {
    const own = derived(field, passed)
    const condition = field.allow?.when === undefined ? [] : ofFields(fieldsOf(field.allow.when), passed)
    return condition.length === 0 ? own : { tags: distinct([...own.tags, ...condition]), verbatim: false }
  }
  const ofFields = (names: readonly string[], passed: readonly string[]): readonly LineageTag[] =>
    fields.filter(({ name }) => names.includes(name)).flatMap((input) => lineage(input, passed).tags)
  const derived = (field: FieldDraft, passed: readonly string[]): Lineage => {
    if (field.value.kind !== 'expr') return ofValue(entities, of, field)
    return { tags: distinct(ofFields(field.value.inputs, passed)), verbatim: false }
  }
  return fields.map(({ tag: _tag, declassified: _declassified, ...field }, index) => ({
    ...field,
    lineage: lineage(fields[index]!, []),
  }))
}

const none: Lineage = { tags: [], verbatim: false }

/** A field's own @pii comes first: it names the mask. On an @expr it gives the value a masked form. */
const tagged = (owner: string, { name, tag, value, type, declassified }: FieldDraft, lineage: Lineage): Lineage => {
  if (tag === undefined) return lineage
  const tags = distinct([{ ...tag, coordinate: `${owner}.${name}` }, ...lineage.tags])
  return { tags, verbatim: lineage.verbatim || ((value.kind === 'expr' || declassified) && hasForms(type)) }
}

/** String, ID and Date have masked and tokenized forms. */
const hasForms = (type: Field['type']): boolean =>
  type.kind === 'scalar' && (type.scalar === 'String' || type.scalar === 'ID' || type.scalar === 'Date')

const ofValue = (entities: Entities, of: Entity, { value, type }: FieldDraft): Lineage => {
  switch (value.kind) {
    case 'expr':
      return none
    case 'aggregate': {
      const counted = reach(entities, of, value.joins.slice(0, value.many + 1)).end
      const condition = [
        ...(value.where === undefined ? [] : whereTags(entities, counted, value.where)),
        ...(value.window === undefined ? [] : windowTags(entities, counted, value.window)),
      ]
      if (value.fn === 'count') return { tags: distinct(condition), verbatim: false }
      const walk = reach(entities, of, value.joins)
      return { tags: distinct([...columnTags(walk.end, value.column), ...walk.tags, ...condition]), verbatim: false }
    }
    case 'path':
    case 'part': {
      const walk = reach(entities, of, value.joins)
      const own = value.kind === 'path' ? columnTags(walk.end, value.column) : []
      const whole = value.kind === 'path' && value.bucket === undefined && hasOwnForm(walk.end, value.column)
      return { tags: distinct([...own, ...walk.tags]), verbatim: whole && hasForms(type) && walk.tags.length === 0 }
    }
    case 'list':
    case 'first': {
      const counted = reach(entities, of, value.joins.slice(0, value.many + 1)).end
      const walk = reach(entities, of, value.joins)
      const chosen = [
        ...walk.tags,
        ...(value.where === undefined ? [] : whereTags(entities, counted, value.where)),
        ...value.orderBy.flatMap((order) => orderTags(entities, counted, order)),
      ]
      return {
        tags: distinct([...columnTags(walk.end, value.column), ...chosen]),
        verbatim:
          value.column !== undefined && hasForms(type) && chosen.length === 0 && hasOwnForm(walk.end, value.column),
      }
    }
  }
}

/** What is computed has a masked form only by a tag of its own. */
const hasOwnForm = (entity: Entity, name: string): boolean => {
  const column = entityRow(entity).columns.get(name)
  return column?.computed === undefined || column.pii !== undefined
}

/** Follows joins; the tags are those of the columns by which a join picks one of several. */
const reach = (
  entities: Entities,
  start: Entity,
  joins: readonly string[],
): { end: Entity; tags: readonly LineageTag[] } => {
  let end = start
  const tags: LineageTag[] = []
  for (const name of joins) {
    const join = entityRow(end).joins.get(name)!
    end = entities.get(join.target)!
    for (const order of join.pick ?? []) tags.push(...orderTags(entities, end, order))
  }
  return { end, tags }
}

/** A computed column is as personal as what it reads; its own tag comes first. */
const columnTags = (entity: Entity, name: string | undefined): readonly LineageTag[] => {
  const column = name === undefined ? undefined : entityRow(entity).columns.get(name)
  if (column === undefined) return []
  const { pii, computed } = column
  const own = pii === undefined ? [] : [{ ...pii, coordinate: `${entity.name}.${name}` }]
  return [...own, ...(computed?.inputs ?? []).flatMap((input) => columnTags(entity, input))]
}

const orderTags = (entities: Entities, row: Entity, { joins, field }: OrderBy): readonly LineageTag[] => {
  const walk = reach(entities, row, joins)
  return [...walk.tags, ...columnTags(walk.end, field)]
}

const windowTags = (entities: Entities, row: Entity, { joins, column }: Window): readonly LineageTag[] => {
  const walk = reach(entities, row, joins)
  return [...walk.tags, ...columnTags(walk.end, column)]
}

/** The tags of every column that a condition reads. */
export const whereTags = (entities: Entities, row: Entity, where: Where): readonly LineageTag[] => {
  switch (where.kind) {
    case 'and':
    case 'or':
      return where.items.flatMap((item) => whereTags(entities, row, item))
    case 'not':
      return whereTags(entities, row, where.item)
    case 'exists':
      return reach(entities, row, [where.join]).tags
    case 'join': {
      const walk = reach(entities, row, [where.join])
      return [...walk.tags, ...whereTags(entities, walk.end, where.where)]
    }
    case 'compare':
      return [
        ...columnTags(row, where.field),
        ...(where.value.kind === 'field' ? columnTags(row, where.value.field) : []),
      ]
  }
}

const distinct = (tags: readonly LineageTag[]): readonly LineageTag[] => [
  ...new Map(tags.map((tag) => [`${tag.coordinate} ${tag.kind}`, tag])).values(),
]
