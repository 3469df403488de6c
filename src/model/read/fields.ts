/** The fields of views and parts: their values, and whether the declared types agree with them. */
import type { FieldDefinitionNode } from 'graphql'
import type { Field, ValueType } from '../model.ts'
import type { Produced, Setting } from './aggregate-value.ts'
import { readAllow, withConditions } from './allow.ts'
import { type FieldDraft, readTag, shapeOf, valueTypeOf } from './declared.ts'
import { directiveNamed, textOf } from './directive.ts'
import { described, type Folder, type TypeDeclaration } from './document.ts'
import { readExpression } from './expression.ts'
import type { Input, ValueKind } from './expression-walk.ts'
import { instead, placeInText, placeOf } from './fault.ts'
import { expressionOf, readValue, valueDirective } from './field-value.ts'
import { nameOfType } from './literal.ts'
import type { Scope } from './row.ts'
import { optional } from './source.ts'

export const readFields = (setting: Setting, declaration: TypeDeclaration): readonly FieldDraft[] =>
  withConditions(
    setting,
    declaration,
    declaration.fields.map((field) => readField(setting, declaration, field)).filter((field) => field !== undefined),
  )

const readField = (
  setting: Setting,
  declaration: TypeDeclaration,
  field: FieldDefinitionNode,
): FieldDraft | undefined => {
  const { folder, scope, owner } = setting
  const directive = valueDirective(folder, field)
  const read = directive?.name === 'expr' ? readExpr(setting, declaration, field) : readDeclared(setting, field)
  if (read === undefined) {
    scope.faulty.add(`${owner}.${field.name.value}`)
    return undefined
  }
  const deprecated = directiveNamed(folder, field, 'deprecated')
  const has = (name: string): boolean => directiveNamed(folder, field, name) !== undefined
  return {
    name: field.name.value,
    ...described(field),
    ...optional('deprecated', deprecated && (textOf(deprecated.value('reason')) ?? 'No longer supported')),
    ...read,
    lookup: has('lookup'),
    filter: has('filter'),
    order: has('order'),
    ...optional('allow', readAllow(folder, scope, field, 'field')),
    ...optional('tag', readTag(folder, field)),
    declassified: has('declassify'),
    place: placeOf(field.name),
  }
}

type Typed = Pick<Field, 'type' | 'list' | 'nonNull' | 'value'>

const readDeclared = (setting: Setting, field: FieldDefinitionNode): Typed | undefined => {
  const produced = readValue(setting, field, valueDirective(setting.folder, field))
  return produced && agree(setting, field, produced)
}

/** Judges the declared type against the value's. */
const agree = (
  { folder, scope, owner }: Setting,
  field: FieldDefinitionNode,
  produced: Produced,
): Typed | undefined => {
  const shape = shapeOf(field.type)
  const name = `${owner}.${field.name.value}`
  const type = declaredType(folder, scope, name, field, shape.name, produced)
  if (type === undefined) return undefined
  if (shape.list !== produced.list || shape.nested || shape.loose)
    return scope.report(
      field.type,
      `${name} is declared ${shape.list ? 'a list' : 'a single value'}, and its value is ${produced.list ? 'a list' : 'a single value'}`,
      `Write ${produced.list ? `[${shape.name}!]${produced.nullable === undefined ? '!' : ''}` : shape.name}.`,
    )
  if (shape.nonNull && produced.nullable !== undefined)
    return scope.report(
      field.type,
      `${name} is declared non-null, but ${produced.nullable}`,
      `Write ${shape.list ? `[${shape.name}!]` : shape.name} without the last \`!\`${produced.nullable.endsWith('no row') ? '.' : ', or rule null out in the `where` of the view.'}`,
    )
  const value = produced.value(type.kind === 'part' ? type.part : undefined)
  if (value.kind === 'list' && !shape.nonNull)
    return scope.report(
      field.type,
      `${name} is a list that may be null`,
      `Write [${shape.name}!]!: without rows it is empty.`,
    )
  return { type, list: shape.list, nonNull: shape.nonNull, value }
}

const declaredType = (
  folder: Folder,
  scope: Scope,
  name: string,
  field: FieldDefinitionNode,
  declared: string,
  { type, value }: Produced,
): Field['type'] | undefined => {
  if (type.kind === 'row') {
    const of = type.entity.name
    const declaration = folder.types.get(declared)
    const part = declaration && directiveNamed(folder, declaration, 'part')
    if (textOf(part?.value('of')) === of) return { kind: 'part', part: declared }
    if (part !== undefined && textOf(part.value('of')) === undefined) return undefined
    if (declaration === undefined && valueTypeOf(scope, declared) === undefined) return undefined
    const fitting = [...folder.types.values()]
      .filter((known) => textOf(directiveNamed(folder, known, 'part')?.value('of')) === of)
      .map((known) => known.name)
    return scope.report(
      field.type,
      `${name} shows rows of ${of}, and ${declared} is ${part === undefined ? 'no part' : `a part of ${textOf(part.value('of'))}`}`,
      fitting.length > 0
        ? instead(declared, fitting)
        : `Declare \`type … @part(of: "${of}")\`, or end the path at a field.`,
    )
  }
  const given = valueTypeOf(scope, declared)
  if (given === undefined) {
    if (folder.types.has(declared))
      return scope.report(
        field.type,
        `${name} is a ${declared}, and its value is ${nameOfType(type)}`,
        `Write ${bare(nameOfType(type))}.`,
      )
    if (folder.language.getType(declared) !== undefined)
      return scope.report(
        field.type,
        `${name} is a ${declared}, which no field can show`,
        `Write ${bare(nameOfType(type))}.`,
      )
    return undefined
  }
  const produced = value(undefined)
  if (produced.kind === 'aggregate' && produced.fn === 'count') {
    if (given.kind === 'scalar' && (given.scalar === 'Int' || given.scalar === 'Long')) return given
    return scope.report(field.type, `${name} is a ${declared}, and a count is Int or Long`, 'Write Int! or Long!.')
  }
  if (bare(nameOfType(given)) === bare(nameOfType(type))) return type
  return scope.report(
    field.type,
    `${name} is declared ${declared}, and its value is ${bare(nameOfType(type))}`,
    `Write ${bare(nameOfType(type))}.`,
  )
}

const bare = (type: string): string => type.split(' ')[0]!

const readExpr = (setting: Setting, declaration: TypeDeclaration, field: FieldDefinitionNode): Typed | undefined => {
  const { folder, scope, owner } = setting
  const shape = shapeOf(field.type)
  const name = `${owner}.${field.name.value}`
  const directive = directiveNamed(folder, field, 'expr')!
  const sql = expressionOf(directive)
  const literal = directive.literal('sql')
  const type = valueTypeOf(scope, shape.name)
  if (sql === undefined || literal === undefined) return undefined
  if (type === undefined || shape.list || (type.kind === 'scalar' && type.scalar === 'JSON')) {
    if (type === undefined && !folder.types.has(shape.name)) return undefined
    return scope.report(
      field.type,
      `${name} is an expression of type ${shape.list ? 'list' : shape.name}`,
      'An @expr gives one scalar or enum.',
    )
  }
  const read = readExpression(sql, {
    owner,
    self: field.name.value,
    inputs: new Map(declaration.fields.map((input) => [input.name.value, inputOf(setting, input)])),
    result: { name: shape.name, kind: kindOfValue(type) },
    fault: (offset, problem, remedy) => scope.report(placeInText(literal, offset), `${name}: ${problem}`, remedy),
  })
  if (read === undefined) return undefined
  if (shape.nonNull && read.nullable !== undefined)
    return scope.report(
      field.type,
      `${name} is declared non-null, but ${read.nullable}`,
      `Write ${shape.name}, or give a value for null with coalesce(…, …).`,
    )
  return { type, list: false, nonNull: shape.nonNull, value: { kind: 'expr', sql, inputs: read.inputs } }
}

const inputOf = ({ folder, scope }: Setting, field: FieldDefinitionNode): Input => {
  const shape = shapeOf(field.type)
  const type = valueTypeOf(scope, shape.name)
  const scalar = type?.kind === 'scalar' ? type.scalar : undefined
  return {
    readable: type !== undefined && valueDirective(folder, field)?.name !== 'list',
    nonNull: shape.nonNull,
    instant: scalar === 'DateTime' || scalar === 'Date',
    ...optional('kind', type === undefined || shape.list ? undefined : kindOfValue(type)),
    ...optional(
      'values',
      type?.kind === 'enum' ? scope.enums.get(type.enum)?.values.map(({ name }) => name) : undefined,
    ),
  }
}

export const kindOfValue = (type: ValueType): ValueKind | undefined => {
  if (type.kind === 'enum') return 'text'
  switch (type.scalar) {
    case 'Int':
    case 'Long':
    case 'Float':
    case 'Decimal':
      return 'number'
    case 'ID':
    case 'String':
      return 'text'
    case 'Boolean':
      return 'boolean'
    case 'DateTime':
    case 'Date':
    case 'JSON':
      return undefined
  }
}
