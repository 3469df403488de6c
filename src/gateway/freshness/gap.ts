/**
 * What a folder declares of a view and another generation's table can't give: fields that aren't there, or are of another type, or whose
 * personal data comes from elsewhere, so that this folder's policy would judge values that it doesn't speak of.
 */
import { isDeepStrictEqual as isSame } from 'node:util'
import type { Field, Model, Part, View } from '../../model/model.ts'
import { fieldsOf } from '../../model/reads.ts'
import type { StoredView } from '../../model/stored-view.ts'
import type { ViewBasis } from './freshness.ts'

/** `whole`: why nothing of it can be read. `fields`: those that can't be. `unsearchable`: those that can be read but not looked for. */
export type Gap = {
  readonly whole?: string
  readonly fields: ReadonlySet<string>
  readonly unsearchable: ReadonlySet<string>
}

/** Undefined: all of it is there. */
export const gapOf = (
  model: Pick<Model, 'parts'>,
  own: Pick<ViewBasis, 'view' | 'table'>,
  stored: Pick<StoredView, 'view' | 'table' | 'parts'>,
): Gap | undefined => {
  const parts = new Map(stored.parts.map((part) => [part.name, part]))
  const held = new Set([...stored.table.columns, ...stored.table.rolling].map(({ field }) => field))
  const fields = new Set<string>()
  const unsearchable = new Set<string>()
  for (const field of own.view.fields) {
    const other = stored.view.fields.find(({ name }) => name === field.name)
    if (!other || !held.has(field.name) || !fits(field, other, model.parts, parts)) fields.add(field.name)
    else if (!isSearched(field, other)) unsearchable.add(field.name)
  }
  const whole = wholeOf(own, stored, fields)
  if (whole === undefined && fields.size + unsearchable.size === 0) return undefined
  return { fields, unsearchable, ...(whole === undefined ? {} : { whole }) }
}

const wholeOf = (
  own: Pick<ViewBasis, 'view' | 'table'>,
  { table, view }: Pick<StoredView, 'table' | 'view'>,
  absent: ReadonlySet<string>,
): string | undefined => {
  const of = ({ key, rootKey, tenanted, grouped }: StoredView['table']) => ({ key, rootKey, tenanted, grouped })
  if (!isSame(of(own.table), of(table))) return 'its rows have another key'
  if ((own.table.finalAt === undefined) !== (table.finalAt === undefined)) return 'its rows are of other buckets'
  if (!isShownAlike(own.view, view)) return 'its rows are shown by another condition'
  const ruled = ruledFields(own.view).find((name) => absent.has(name))
  return ruled === undefined ? undefined : `who may see its rows depends on ${ruled}, which is of another kind`
}

type Parts = ReadonlyMap<string, Part>

/** A value of `other` may stand where one of `field` is promised. */
const fits = (field: Field, other: Field, ours: Parts, theirs: Parts): boolean =>
  field.list === other.list &&
  (!field.nonNull || other.nonNull) &&
  isSame(lineageOf(field), lineageOf(other)) &&
  isShownAlike(field, other) &&
  (field.type.kind === 'part' && other.type.kind === 'part'
    ? partFits(ours.get(field.type.part), theirs.get(other.type.part), ours, theirs)
    : isSame(field.type, other.type))

const partFits = (ours: Part | undefined, theirs: Part | undefined, ourParts: Parts, theirParts: Parts): boolean =>
  ours !== undefined &&
  theirs !== undefined &&
  isShownAlike(ours, theirs) &&
  ours.fields.every((field) => {
    const other = theirs.fields.find(({ name }) => name === field.name)
    return other !== undefined && fits(field, other, ourParts, theirParts)
  })

type Conditional = Pick<Field, 'allow'>
/** A condition by which a value is shown is worked into the table. */
const isShownAlike = (one: Conditional, other: Conditional): boolean => isSame(one.allow?.when, other.allow?.when)

const lineageOf = ({ lineage: { tags, verbatim } }: Field) => ({
  verbatim,
  tags: tags.map(({ coordinate, kind, class: of }) => `${coordinate} ${kind} ${of}`).sort(),
})

const isSearched = (field: Field, other: Field): boolean =>
  (!field.lookup || other.lookup) && (!(field.filter || field.order) || other.filter || other.order)

/** Fields that rules look at, whatever is asked. */
const ruledFields = (view: View): readonly string[] =>
  [...view.rows.map(({ where }) => where), view.allow.when, ...view.fields.map(({ allow }) => allow?.when)].flatMap(
    (where) => (where === undefined ? [] : fieldsOf(where)),
  )
