/** Default deny, seen from the other side: a field that no role may see, a search that would tell what is masked, a row whose presence would. */

import type { Field, LineageTag, Model, Part, Place, View } from '../model.ts'
import { allows, formOfValue } from '../policy.ts'
import { directivesNamed } from '../read/directive.ts'
import type { Folder } from '../read/document.ts'
import { placeOf, type Report, sentence } from '../read/fault.ts'
import { whereTags } from '../read/lineage.ts'
import { fieldsOf } from '../reads.ts'
import { argumentPlace } from './shape.ts'

export const checkAccess = (folder: Folder, model: Model, report: Report): void => {
  const readers = readersOf(model)
  for (const type of [...model.views.values(), ...model.parts.values()]) {
    const roles = readers.get(type.name)
    if (roles === undefined || roles.length === 0) continue
    for (const field of type.fields) {
      checkNamed(folder, type, field, roles, report)
      checkSeen(
        model,
        type,
        field,
        roles.filter((role) => allows(field.allow, role)),
        report,
      )
    }
  }
  for (const part of model.parts.values()) checkPartAllow(folder, part, readers.get(part.name), report)
  for (const view of model.views.values()) checkRows(folder, model, view, readers.get(view.name) ?? [], report)
}

/** Who reaches each view and part, by @allow alone; parts by every field that shows them. */
const readersOf = (model: Model): ReadonlyMap<string, readonly string[]> => {
  const readers = new Map<string, readonly string[]>()
  const reach = (type: View | Part, arriving: readonly string[]): void => {
    const known = readers.get(type.name) ?? []
    const added = arriving.filter((role) => allows(type.allow, role) && !known.includes(role))
    if (added.length === 0 && readers.has(type.name)) return
    readers.set(type.name, [...known, ...added])
    for (const field of type.fields) {
      const part = field.type.kind === 'part' ? model.parts.get(field.type.part) : undefined
      if (part !== undefined)
        reach(
          part,
          added.filter((role) => allows(field.allow, role) && formOfValue(model, field, role) !== 'hidden'),
        )
    }
  }
  for (const view of model.views.values()) reach(view, model.roles)
  return readers
}

const checkNamed = (
  folder: Folder,
  type: View | Part,
  field: Field,
  roles: readonly string[],
  report: Report,
): void => {
  const refused = (field.allow?.roles ?? []).filter((role) => !roles.includes(role))
  if (refused.length === 0) return
  const node = folder.types.get(type.name)?.fields.find((known) => known.name.value === field.name)
  const allow = node?.directives?.find((directive) => directive.name.value === 'allow')
  report(
    allow === undefined ? field.place : placeOf(allow),
    `${type.name}.${field.name} is allowed to ${sentence(refused, 'and')}, whom ${type.name} does not let in`,
    `Allow ${sentence(refused, 'and')} ${'maxLagMs' in type ? `on ${type.name}` : `on what shows ${type.name}`} too, or remove ${refused.length > 1 ? 'them' : 'it'} here: a field only narrows.`,
  )
}

const checkPartAllow = (folder: Folder, part: Part, roles: readonly string[] | undefined, report: Report): void => {
  const refused = (part.allow?.roles ?? []).filter((role) => roles !== undefined && !roles.includes(role))
  if (refused.length > 0)
    report(
      argumentPlace(folder.types.get(part.name), 'allow', 'roles') ?? part.place,
      `${part.name} is allowed to ${sentence(refused, 'and')}, whom nothing that shows it lets in`,
      'Allow them on the view and the field that show it, or remove them here: a part only narrows.',
    )
}

const checkSeen = (model: Model, type: View | Part, field: Field, roles: readonly string[], report: Report): void => {
  const fault = seenFault(model, type, field, roles)
  if (fault !== undefined) report(field.place, fault[0], fault[1])
}

const seenFault = (
  model: Model,
  type: View | Part,
  field: Field,
  roles: readonly string[],
): readonly [string, string] | undefined => {
  const coordinate = `${type.name}.${field.name}`
  // A field that names only roles its type refuses has been reported as that.
  if (roles.length === 0) return undefined
  const forms = roles.map((role) => formOfValue(model, field, role))
  const { tags, verbatim } = field.lineage
  if (forms.every((form) => form === 'hidden'))
    return [
      `nobody may see ${coordinate}: it is ${origin(tags)}, which no @policy shows${verbatim ? '' : ' clear'} to ${sentence(roles, 'or')}`,
      `Name ${sentence([...new Set(tags.map((tag) => tag.kind))], 'and')} ${verbatim ? 'in' : 'under `clear` of'} the @policy of one of them, declassify the field with a reason, or remove it.`,
    ]
  const searched = (['filter', 'order'] as const).find((name) => field[name])
  if (searched !== undefined && !forms.includes('clear'))
    return [
      `${coordinate} is searched on by @${searched}, and no role sees it clear: ${origin(tags)}`,
      `Remove @${searched}${searched === 'filter' ? ', or use @lookup, which compares a keyed hash' : ''}.`,
    ]
  return undefined
}

const origin = (tags: readonly LineageTag[]): string =>
  sentence(
    tags.map(
      ({ kind, coordinate, class: level }) => `${kind}${level === 'PERSONAL' ? '' : ` (${level})`} from ${coordinate}`,
    ),
    'and',
  )

/** Whether a row is there must not depend on what a reader may not see clear. */
const checkRows = (folder: Folder, model: Model, view: View, roles: readonly string[], report: Report): void => {
  const declaration = folder.types.get(view.name)!
  const root = model.entities.get(view.of)!
  const tags = view.where === undefined ? [] : whereTags(model.entities, root, view.where)
  const blind = roles.filter((role) => formOfValue(model, { lineage: { tags, verbatim: false } }, role) !== 'clear')
  if (blind.length > 0)
    report(
      argumentPlace(declaration, 'view', 'where') ?? view.place,
      `the rows of ${view.name} are chosen by ${origin(tags)}, which ${sentence(blind, 'and')} may not see clear`,
      'Choose by a field that is no personal data, or allow only roles that see it clear.',
    )
  for (const name of view.groupBy ?? []) {
    const field = view.fields.find((known) => known.name === name)
    if (field !== undefined && field.lineage.tags.length > 0)
      report(
        field.place,
        `${view.name} is grouped by ${name}, which is ${origin(field.lineage.tags)}, and so would its keys be`,
        'Group by a field that is no personal data.',
      )
  }
  const rules = directivesNamed(folder, declaration, 'rows')
  for (const [index, rule] of view.rows.entries()) {
    const node = rules[index]!
    const unknown = (rule.roles ?? []).filter((role) => !roles.includes(role))
    if (unknown.length > 0 && roles.length > 0)
      report(
        node.literal('roles')!,
        `a row rule of ${view.name} binds ${sentence(unknown, 'and')}, whom it does not let in`,
        `Name roles of @allow: ${sentence(roles, 'or')}.`,
      )
    for (const name of rule.where === undefined ? [] : fieldsOf(rule.where))
      checkRule(
        model,
        view,
        name,
        (rule.roles ?? roles).filter((role) => roles.includes(role)),
        placeOf(node.literal('where')!),
        report,
      )
  }
}

const checkRule = (
  model: Model,
  view: View,
  name: string,
  roles: readonly string[],
  at: Place,
  report: Report,
): void => {
  const field = view.fields.find((known) => known.name === name)
  const blind = field === undefined ? [] : roles.filter((role) => formOfValue(model, field, role) !== 'clear')
  if (field !== undefined && blind.length > 0)
    report(
      at,
      `a row rule of ${view.name} reads ${name}, ${origin(field.lineage.tags)}, which ${sentence(blind, 'and')} may not see clear`,
      'Rule by a field that is no personal data.',
    )
}
