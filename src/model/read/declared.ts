/** What a declared type says, before it is known to be right. */
import { type FieldDefinitionNode, Kind, type TypeNode } from 'graphql'
import type { Entity, Field, PiiClass, PiiTag, ScalarName, ValueType } from '../model.ts'
import { type Directive, directiveNamed, textOf } from './directive.ts'
import type { Folder, TypeDeclaration } from './document.ts'
import type { Scope } from './row.ts'
import { optional } from './source.ts'

export type Draft<T> = { -readonly [key in keyof T]: T[key] }
export type EntityDraft = {
  readonly entity: Draft<Entity>
  readonly declaration: TypeDeclaration
  readonly directive: Directive
}

/** A field before lineage: `tag` is its own @pii; `declassified` ends what it derives from. */
export type FieldDraft = Omit<Field, 'lineage'> & { readonly tag?: PiiTag; readonly declassified: boolean }

export const scalars: readonly ScalarName[] = [
  'ID',
  'String',
  'Int',
  'Long',
  'Float',
  'Boolean',
  'Decimal',
  'DateTime',
  'Date',
  'JSON',
]

/** What a field's type says, modifiers apart. `loose`: a list whose elements may be null. */
export const shapeOf = (
  type: TypeNode,
): { name: string; list: boolean; nonNull: boolean; loose: boolean; nested: boolean } => {
  const nonNull = type.kind === Kind.NON_NULL_TYPE
  const inner = nonNull ? type.type : type
  if (inner.kind === Kind.NAMED_TYPE)
    return { name: inner.name.value, list: false, nonNull, loose: false, nested: false }
  const element = shapeOf(inner.type)
  return { name: element.name, list: true, nonNull, loose: !element.nonNull, nested: element.list }
}

/** The type of a stored or shown value; undefined where the name is of something else. */
export const valueTypeOf = (scope: Scope, name: string, scale?: number): ValueType | undefined => {
  const scalar = scalars.find((known) => known === name)
  if (scalar !== undefined) return { kind: 'scalar', scalar, ...optional('scale', scale) }
  return scope.enums.has(name) ? { kind: 'enum', enum: name } : undefined
}

export const isJoin = (folder: Folder, scope: Scope, field: FieldDefinitionNode): boolean =>
  directiveNamed(folder, field, 'join') !== undefined ||
  (valueTypeOf(scope, shapeOf(field.type).name) === undefined && folder.types.has(shapeOf(field.type).name))

/** The @pii of a field. */
export const readTag = (folder: Folder, field: FieldDefinitionNode): PiiTag | undefined => {
  const pii = directiveNamed(folder, field, 'pii')
  const kind = textOf(pii?.value('kind'))
  return kind === undefined ? undefined : { kind, class: (textOf(pii?.value('class')) ?? 'PERSONAL') as PiiClass }
}
