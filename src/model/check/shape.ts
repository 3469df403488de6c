/** Which directive may stand where, and which of them are not running yet. Judged by syntax alone, so it misses nothing. */
import type { ConstDirectiveNode, FieldDefinitionNode } from 'graphql'
import type { Folder, TypeDeclaration } from '../read/document.ts'
import { placeOf, type Report, sentence } from '../read/fault.ts'
import { valueDirectives } from '../read/field-value.ts'

type Kind = 'entity' | 'view' | 'part'
const kinds: readonly Kind[] = ['entity', 'view', 'part']

const onType: Record<Kind, readonly string[]> = {
  entity: ['entity', 'retention'],
  view: ['view', 'allow', 'rows', 'retention', 'slo', 'gateway'],
  part: ['part', 'allow'],
}
const onField: Record<Kind, readonly string[]> = {
  entity: ['column', 'join', 'tenant', 'subject', 'pii', 'expr', 'deprecated'],
  view: [...valueDirectives, 'lookup', 'filter', 'order', 'allow', 'pii', 'declassify', 'deprecated'],
  part: [...valueDirectives, 'allow', 'pii', 'declassify', 'deprecated'],
}
const article: Record<Kind, string> = { entity: 'an @entity', view: 'a @view', part: 'a @part' }

const later: Readonly<Record<string, string>> = {
  gateway: 'Remove it; ask the view by its @lookup field meanwhile.',
  slo: 'Remove it; `maxLag` of @view is the promise that answers report on.',
}

export const checkShape = (folder: Folder, report: Report): void => {
  for (const declaration of folder.types.values()) {
    const marked = kinds.filter((kind) => declaration.directives.some((directive) => directive.name.value === kind))
    const [kind] = marked
    const { name, node, directives } = declaration
    if (kind === undefined)
      report(node.name, `${name} is neither entity, view nor part`, 'Add @entity(…), @view(…) or @part(of: …).')
    if (marked.length > 1)
      report(
        node.name,
        `${name} is ${sentence(
          marked.map((one) => article[one]),
          'and',
        )} at once`,
        'Keep one, and give the other a type of its own.',
      )
    for (const used of node.interfaces ?? [])
      report(used, `${name} implements ${used.name.value}`, 'Remove it: entities, views and parts have no interfaces.')
    for (const directive of directives) checkLater(directive, report)
    if (kind === undefined) continue
    if (declaration.fields.length === 0) report(node.name, `${name} has no fields`, 'Give it one, or remove it.')
    for (const directive of directives)
      if (!kinds.includes(directive.name.value as Kind) && !onType[kind].includes(directive.name.value))
        misplaced(folder, directive, name, kind, onType, report)
    for (const field of declaration.fields) checkField(folder, declaration, field, kind, report)
  }
}

const checkField = (
  folder: Folder,
  { name }: TypeDeclaration,
  field: FieldDefinitionNode,
  kind: Kind,
  report: Report,
): void => {
  const coordinate = `${name}.${field.name.value}`
  for (const argument of field.arguments ?? [])
    report(
      argument,
      `${coordinate} takes an argument`,
      'Remove it: what can be asked follows from @lookup, @filter and @order.',
    )
  const directives = field.directives ?? []
  for (const directive of directives)
    if (!onField[kind].includes(directive.name.value)) misplaced(folder, directive, coordinate, kind, onField, report)
  const values = directives.filter((directive) => valueDirectives.some((value) => value === directive.name.value))
  for (const directive of values.slice(1))
    report(
      directive,
      `${coordinate} has two values, @${values[0]!.name.value} and @${directive.name.value}`,
      'Keep one of them.',
    )
  const has = (wanted: string) => directives.find((directive) => directive.name.value === wanted)
  if (has('join') !== undefined)
    for (const wrong of ['pii', 'column'])
      if (has(wrong) !== undefined)
        report(has(wrong)!, `@${wrong} stands on the join ${coordinate}`, 'Put it on the stored field.')
  if (kind === 'entity' && has('expr') !== undefined && has('column') !== undefined)
    report(
      has('column')!,
      `@column stands on ${coordinate}, which is computed and in no record`,
      'Remove it; round(…, 2) in the expression gives so many digits.',
    )
  const pii = has('pii')
  const level = pii?.arguments?.find((argument) => argument.name.value === 'class')?.value
  if (level?.kind === 'EnumValue' && level.value === 'RESTRICTED')
    report(
      level,
      `class RESTRICTED of ${coordinate} is not running yet, for want of encryption at rest`,
      'Use SENSITIVE, or keep the field out.',
    )
  const reason = has('declassify')?.arguments?.[0]?.value
  if (reason?.kind === 'StringValue' && reason.value.trim() === '')
    report(
      reason,
      `${coordinate} is declassified without a reason`,
      'Say why the value no longer says anything about a person.',
    )
}

const checkLater = (directive: ConstDirectiveNode, report: Report): void => {
  const remedy = later[directive.name.value]
  if (remedy !== undefined) report(directive, `@${directive.name.value} is not running yet`, remedy)
}

const misplaced = (
  folder: Folder,
  directive: ConstDirectiveNode,
  on: string,
  kind: Kind,
  places: Record<Kind, readonly string[]>,
  report: Report,
): void => {
  const name = directive.name.value
  const declared = folder.language.getDirective(name)
  // What the language does not know, or not at this place, has been reported by GraphQL's own rules.
  if (
    declared == null ||
    !declared.locations.some((location) => location === (places === onType ? 'OBJECT' : 'FIELD_DEFINITION'))
  )
    return
  const fitting = kinds.filter((other) => places[other].includes(name))
  const remedy =
    name === 'allow'
      ? 'Entities are never read themselves: allow the views and their fields.'
      : `It belongs on ${places === onType ? '' : 'fields of '}${sentence(
          fitting.map((other) => article[other]),
          'or',
        )}.`
  report(
    directive,
    `@${name} stands on ${on}, ${places === onType ? article[kind] : `a field of ${article[kind]}`}`,
    remedy,
  )
}

/** Where an argument of a type's directive stands. */
export const argumentPlace = (declaration: TypeDeclaration | undefined, directive: string, argument: string) => {
  const node = declaration?.directives.find((known) => known.name.value === directive)
  const value = node?.arguments?.find((known) => known.name.value === argument)?.value
  return value === undefined ? (declaration === undefined ? undefined : placeOf(declaration.node.name)) : placeOf(value)
}
