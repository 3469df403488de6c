/** @allow: who may read a type or field, and in which rows a field is shown at all. */
import type { FieldDefinitionNode } from 'graphql'
import type { Allow, Field } from '../model.ts'
import { fieldsOf } from '../reads.ts'
import { rollingFields } from '../rolling.ts'
import type { Setting } from './aggregate-value.ts'
import { type FieldDraft, shapeOf } from './declared.ts'
import { directiveNamed, textsOf } from './directive.ts'
import type { Folder, TypeDeclaration } from './document.ts'
import type { Row, Scope } from './row.ts'
import { optional } from './source.ts'
import { readWhere } from './where.ts'

/** Roles and scopes; `when` needs the other fields and comes with them. */
export const readAllow = (
  folder: Folder,
  scope: Scope,
  on: Pick<TypeDeclaration, 'directives'> | FieldDefinitionNode,
  kind: 'type' | 'field' = 'type',
): Allow | undefined => {
  const allow = directiveNamed(folder, on, 'allow')
  if (allow === undefined) return undefined
  const when = allow.literal('when')
  if (when !== undefined && kind === 'type')
    scope.report(
      when,
      '`when` stands on a type, and says when a field is shown',
      'Put it on each field that it is about, or choose rows by `where` of @view or @rows.',
    )
  const roles = allow.literal('roles') && textsOf(allow.value('roles'))
  const scopes = allow.literal('scopes') && textsOf(allow.value('scopes'))
  // A list with an unknown name reads as absent, and was reported as that.
  const unread = ['roles', 'scopes'].some(
    (name) => allow.literal(name) !== undefined && allow.value(name) === undefined,
  )
  if (
    (roles === undefined || roles.length === 0) &&
    (scopes === undefined || scopes.length === 0) &&
    when === undefined &&
    !unread
  )
    scope.report(allow.node, '@allow names nobody', 'Write @allow(roles: [A_ROLE]).')
  return { ...optional('roles', roles), ...optional('scopes', scopes) }
}

/** What a condition over a view's or part's own fields may read: parts and their lists apart. */
export const shownRow = (name: string, fields: readonly Pick<Field, 'name' | 'type' | 'list' | 'value'>[]): Row => ({
  name,
  joins: new Map(),
  columns: new Map(
    fields.flatMap((field) =>
      field.type.kind === 'part' || field.value.kind === 'list'
        ? []
        : [[field.name, { type: field.type, list: field.list }] as const],
    ),
  ),
})

/** The fields with the conditions under which they are shown. */
export const withConditions = (
  setting: Setting,
  declaration: TypeDeclaration,
  fields: readonly FieldDraft[],
): readonly FieldDraft[] => {
  const { folder, scope, owner } = setting
  const row = shownRow(owner, fields)
  const rolling = rollingFields(fields)
  const view = directiveNamed(folder, declaration, 'view')
  const groups = textsOf(view?.value('groupBy'))
  const isKey = ({ name, value }: FieldDraft): boolean =>
    groups.includes(name) ||
    (view !== undefined && value.kind === 'path' && value.joins.length === 0 && setting.of.key.includes(value.column))
  return fields.map((field) => {
    const node = declaration.fields.find(({ name }) => name.value === field.name)!
    const literal = directiveNamed(folder, node, 'allow')?.literal('when')
    if (literal === undefined) return field
    const coordinate = `${owner}.${field.name}`
    const when = readWhere(scope, { row, claims: false }, literal)
    if (when === undefined) return field
    const fault = (problem: string, remedy: string) => {
      scope.report(literal, `${coordinate} ${problem}`, remedy)
      return field
    }
    if (isKey(field))
      return fault(
        'is part of the key, and shown by a condition',
        'Leave the condition out: rows are told apart by it.',
      )
    if (field.nonNull && !field.list) {
      scope.report(
        node.type,
        `${coordinate} is declared non-null, and is null where its condition does not hold`,
        `Write ${shapeOf(node.type).name} without \`!\`.`,
      )
      return field
    }
    if (rolling.has(field.name))
      return fault(
        'changes as time goes by, and is shown by a condition',
        'Allow it by role alone, or leave the window out.',
      )
    const moving = fieldsOf(when).find((name) => rolling.has(name))
    if (moving !== undefined)
      return fault(
        `is shown by ${moving}, which changes as time goes by`,
        'Decide by a field that is stored with the row.',
      )
    return { ...field, allow: { ...field.allow, when } }
  })
}
