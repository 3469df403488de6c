/** Views and parts: what they are of, their fields, conditions, groups and row rules. */
import { Kind } from 'graphql'
import { provenNonNull } from '../check/proven.ts'
import type { Allow, Entity, Part, RowRule, View } from '../model.ts'
import { fieldsOf } from '../reads.ts'
import type { Setting } from './aggregate-value.ts'
import { readAllow, shownRow } from './allow.ts'
import type { FieldDraft } from './declared.ts'
import { type Directive, directiveNamed, directivesNamed, textNodes, textOf, textsOf } from './directive.ts'
import type { Folder, TypeDeclaration } from './document.ts'
import { instead, placeOf } from './fault.ts'
import { readFields } from './fields.ts'
import { readDuration } from './literal.ts'
import { readViewRetention } from './retention.ts'
import type { Scope } from './row.ts'
import { optional } from './source.ts'
import { entitySite, readWhere } from './where.ts'

export type ViewDraft = Omit<View, 'fields'> & { readonly fields: readonly FieldDraft[] }
export type PartDraft = Omit<Part, 'fields'> & { readonly fields: readonly FieldDraft[] }

const rootOf = (scope: Scope, folder: Folder, directive: Directive, name: string): Entity | undefined => {
  const of = textOf(directive.value('of'))
  const entity = of === undefined ? undefined : scope.entities.get(of)
  if (of === undefined || entity !== undefined || folder.unread.has(of)) return entity
  return scope.report(
    directive.literal('of')!,
    `${name} is of ${of}, which is no entity`,
    instead(of, scope.entities.keys()),
  )
}

export const readPart = (folder: Folder, scope: Scope, declaration: TypeDeclaration): PartDraft | undefined => {
  const directive = directiveNamed(folder, declaration, 'part')!
  const of = rootOf(scope, folder, directive, declaration.name)
  if (of === undefined) return undefined
  const { name } = declaration
  const setting: Setting = { folder, scope, owner: name, of, grouped: false, part: true, known: new Set() }
  return {
    name,
    of: of.name,
    ...optional('description', declaration.description),
    fields: readFields(setting, declaration),
    ...optional('allow', readAllow(folder, scope, declaration)),
    place: placeOf(declaration.node.name),
  }
}

export const readView = (folder: Folder, scope: Scope, declaration: TypeDeclaration): ViewDraft | undefined => {
  const directive = directiveNamed(folder, declaration, 'view')!
  const of = rootOf(scope, folder, directive, declaration.name)
  const allow = readViewAllow(folder, scope, declaration)
  if (of === undefined) return undefined
  const { name } = declaration
  const literal = directive.literal('where')
  const where = literal && readWhere(scope, entitySite(of), literal)
  const groups = directive.literal('groupBy')
  const setting: Setting = {
    folder,
    scope,
    owner: name,
    of,
    grouped: groups !== undefined,
    part: false,
    known: provenNonNull(where),
  }
  const fields = readFields(setting, declaration)
  const groupBy = readGroups(scope, declaration, directive, fields)
  return {
    name,
    of: of.name,
    ...optional('description', declaration.description),
    ...optional('where', where),
    ...optional('groupBy', groupBy),
    ...optional('retention', readViewRetention(folder, scope, declaration, fields, groupBy)),
    maxLagMs: readMaxLag(scope, directive),
    fields,
    allow,
    rows: readRules(folder, scope, declaration, fields, directive),
    place: placeOf(declaration.node.name),
  }
}

const readViewAllow = (folder: Folder, scope: Scope, declaration: TypeDeclaration): Allow => {
  const allow = readAllow(folder, scope, declaration)
  if (allow !== undefined) return allow
  scope.report(
    declaration.node.name,
    `no policy says who may read ${declaration.name}`,
    'Add @allow(roles: [A_ROLE]): what is not allowed is denied.',
  )
  return { roles: [] }
}

const readMaxLag = (scope: Scope, directive: Directive): number => {
  const text = textOf(directive.value('maxLag')) ?? ''
  const maxLag = readDuration(text)
  const literal = directive.literal('maxLag')
  if (literal !== undefined && (maxLag === undefined || maxLag <= 0))
    scope.report(
      literal,
      `maxLag ${literal.kind === Kind.STRING ? `"${literal.value}" ` : ''}is no duration above zero`,
      'Write an ISO 8601 duration such as "PT5S"; months and years have no fixed length.',
    )
  return maxLag ?? 10_000
}

const readGroups = (
  scope: Scope,
  declaration: TypeDeclaration,
  directive: Directive,
  fields: readonly FieldDraft[],
): readonly string[] | undefined => {
  const literal = directive.literal('groupBy')
  if (literal === undefined) return undefined
  const nodes = textNodes(literal)
  const { name } = declaration
  if (nodes.length === 0)
    scope.report(literal, `${name} groups by nothing`, 'Name fields of the view, or remove groupBy.')
  for (const node of nodes) {
    const field = fields.find((known) => known.name === node.value)
    if (field === undefined) {
      if (!scope.faulty.has(`${name}.${node.value}`))
        scope.report(
          node,
          `${name} groups by ${node.value}, which is no field of it`,
          instead(
            node.value,
            fields.map((known) => known.name),
          ),
        )
    } else if (field.value.kind !== 'path' || field.list)
      scope.report(
        node,
        `${name} groups by ${node.value}, which is no single value of a member`,
        'Group by plain fields and @from fields.',
      )
    else if (field.type.kind === 'scalar' && (field.type.scalar === 'Float' || field.type.scalar === 'JSON'))
      scope.report(
        node,
        `${name} groups by ${node.value}, a ${field.type.scalar}, whose values do not compare exactly`,
        'Group by another type.',
      )
  }
  const groups = nodes.map((node) => node.value)
  for (const field of fields)
    if (!groups.includes(field.name) && field.value.kind !== 'aggregate' && field.value.kind !== 'expr')
      scope.report(
        field.place,
        `${name}.${field.name} is one member's, and ${name} has a row per group`,
        `Add "${field.name}" to groupBy, or use @count, @sum, @avg, @min or @max.`,
      )
  return groups
}

const readRules = (
  folder: Folder,
  scope: Scope,
  declaration: TypeDeclaration,
  fields: readonly FieldDraft[],
  view: Directive,
): readonly RowRule[] => {
  const grouped = view.literal('groupBy') !== undefined
  const groups = textsOf(view.value('groupBy'))
  return directivesNamed(folder, declaration, 'rows').map((directive) => {
    const literal = directive.literal('where')
    const where = literal && readWhere(scope, { row: shownRow(declaration.name, fields), claims: true }, literal)
    const minGroup = directive.value('minGroup')
    const roles = directive.literal('roles') && textsOf(directive.value('roles'))
    if (grouped && where !== undefined)
      for (const name of fieldsOf(where))
        if (!groups.includes(name))
          scope.report(
            literal!,
            `a row rule reads ${declaration.name}.${name}, which is no group key`,
            'Rules of a grouped view read only what it groups by.',
          )
    if (typeof minGroup === 'number' && !grouped)
      scope.report(
        directive.literal('minGroup')!,
        `minGroup stands on ${declaration.name}, which is not grouped`,
        'Remove it, or add groupBy.',
      )
    else if (typeof minGroup === 'number' && minGroup < 1)
      scope.report(directive.literal('minGroup')!, `minGroup ${minGroup} hides nothing`, 'Write at least 2.')
    if (literal === undefined && minGroup === undefined)
      scope.report(directive.node, '@rows hides nothing', 'Add `where` or `minGroup`.')
    return {
      ...optional('where', where),
      ...optional('roles', roles),
      ...optional('minGroup', typeof minGroup === 'number' ? minGroup : undefined),
    }
  })
}
