/** Joins: which fields equal which, whether that reaches one row or several, and which of several is meant. */
import type { ConstValueNode, FieldDefinitionNode } from 'graphql'
import type { Column, Entity, Join, Place, ValueType } from '../model.ts'
import { type Draft, type EntityDraft, isJoin, shapeOf, valueTypeOf } from './declared.ts'
import { type Directive, directiveNamed, textNodes } from './directive.ts'
import type { Folder } from './document.ts'
import { instead, placeOf, sentence } from './fault.ts'
import { nameOfType } from './literal.ts'
import { isTenanted, type Scope } from './row.ts'
import { readOrderBy } from './where.ts'

export const readJoins = (folder: Folder, scope: Scope, { entity, declaration }: EntityDraft): void => {
  const joins: Join[] = []
  for (const field of declaration.fields) {
    if (!isJoin(folder, scope, field)) continue
    const join = readJoin(folder, scope, entity, field)
    if (join === undefined) scope.faulty.add(`${entity.name}.${field.name.value}`)
    else joins.push(join)
  }
  entity.joins = joins
}

const readJoin = (folder: Folder, scope: Scope, entity: Entity, field: FieldDefinitionNode): Join | undefined => {
  const name = `${entity.name}.${field.name.value}`
  const shape = shapeOf(field.type)
  const directive = directiveNamed(folder, field, 'join')
  const target = scope.entities.get(shape.name)
  if (directive === undefined)
    return scope.report(
      field.type,
      `${name} is a ${shape.name}, and nothing says how to reach it`,
      'Add @join(from: …) or @join(to: …).',
    )
  if (target === undefined) {
    if (valueTypeOf(scope, shape.name) !== undefined)
      return scope.report(
        directive.node,
        `${name} is a ${shape.name}, which no @join can reach`,
        'Remove @join, or give the field the type of an entity.',
      )
    if (folder.types.has(shape.name))
      return scope.report(field.type, `${name} joins ${shape.name}, which is no entity`, 'Join the entity itself.')
    return undefined
  }
  if (shape.nested || shape.loose || (shape.list && !shape.nonNull))
    return scope.report(field.type, `${name} is a to-many join that may hold null`, `Write [${shape.name}!]!.`)
  const from = readSides(scope, entity, directive.literal('from'), entity.key)
  const to = readSides(scope, target, directive.literal('to'), target.key)
  if (from === undefined || to === undefined) return undefined
  const faulty = (['from', 'to'] as const).some(
    (side) => directive.literal(side) === undefined && (side === 'from' ? entity : target).key.length === 0,
  )
  if (faulty) return undefined
  if (from.length !== to.length)
    return scope.report(
      directive.node,
      `${name} joins ${sentence(from, 'and')} of ${entity.name} to ${sentence(to, 'and')} of ${target.name}: ${from.length} fields to ${to.length}`,
      'Name as many fields in `from` (default: my key) as in `to` (default: their key).',
    )
  checkPairs(scope, name, entity, target, from, to, shape, directive)
  return {
    name: field.name.value,
    target: target.name,
    many: shape.list,
    promised: shape.nonNull,
    from,
    to,
    place: placeOf(field.name),
  }
}

const readSides = (
  scope: Scope,
  entity: Entity,
  literal: ConstValueNode | undefined,
  fallback: readonly string[],
): readonly string[] | undefined => {
  if (literal === undefined) return fallback
  const nodes = textNodes(literal)
  const known = nodes.filter((node) => {
    if (entity.columns.some((column) => column.name === node.value)) return true
    if (!scope.faulty.has(`${entity.name}.${node.value}`))
      scope.report(
        node,
        `${entity.name} has no stored field ${node.value}`,
        instead(
          node.value,
          entity.columns.map(({ name }) => name),
        ),
      )
    return false
  })
  return known.length < nodes.length ? undefined : nodes.map((node) => node.value)
}

const checkPairs = (
  scope: Scope,
  name: string,
  entity: Entity,
  target: Entity,
  from: readonly string[],
  to: readonly string[],
  shape: { list: boolean; nonNull: boolean },
  directive: Directive,
): void => {
  const at = (side: string): Place => placeOf(directive.literal(side) ?? directive.node)
  for (const [index, mine] of from.entries()) {
    const a = entity.columns.find((column) => column.name === mine)!
    const b = target.columns.find((column) => column.name === to[index])!
    if (a.list || b.list || joinable(a.type) === undefined || joinable(a.type) !== joinable(b.type))
      scope.report(
        at('from'),
        `${name} joins ${entity.name}.${a.name}, ${kindOf(a)}, to ${target.name}.${b.name}, ${kindOf(b)}`,
        'Join scalars of one type, and neither Float nor JSON.',
      )
    for (const [owner, column] of [
      [entity, a],
      [target, b],
    ] as const)
      if (isPersonal(owner, column))
        scope.report(
          at('from'),
          `${name} joins by ${owner.name}.${column.name}, which is personal data: not running yet`,
          'Join by an opaque id.',
        )
    if (!shape.list && shape.nonNull && !a.nonNull)
      scope.report(
        at('from'),
        `${name} promises a ${target.name}, but ${a.name} may be null and a null joins nothing`,
        `Declare ${a.name} non-null, or the join without \`!\`.`,
      )
  }
}

const isPersonal = (owner: Entity, { pii, computed }: Column): boolean =>
  pii !== undefined ||
  owner.columns.some((input) => input.pii !== undefined && computed?.inputs.includes(input.name) === true)

const kindOf = ({ type, list }: Column): string => `${list ? 'a list of ' : 'a '}${nameOfType(type)}`

/** Types with one name here compare with each other; undefined: with nothing. */
const joinable = (type: ValueType): string | undefined => {
  if (type.kind === 'enum') return type.enum
  if (type.scalar === 'Float' || type.scalar === 'JSON') return undefined
  return type.scalar === 'ID' ? 'String' : type.scalar
}

export const readPicks = (folder: Folder, scope: Scope, { entity, declaration }: EntityDraft): void => {
  for (const join of entity.joins as Draft<Join>[]) {
    const field = declaration.fields.find((known) => known.name.value === join.name)!
    const directive = directiveNamed(folder, field, 'join')!
    const literal = directive.literal('pick')
    const target = scope.entities.get(join.target)!
    if (join.many) {
      if (literal !== undefined)
        scope.report(
          literal,
          `${entity.name}.${join.name} is to-many and picks one`,
          `Declare it ${join.target}, or remove pick.`,
        )
      continue
    }
    const pick = literal && readOrderBy(scope, target, literal)
    if (pick !== undefined && pick.length > 0) join.pick = pick
    const bound = isTenanted(entity) && target.tenant.kind === 'COLUMN' ? [...join.to, target.tenant.column] : join.to
    if (literal === undefined && !target.key.every((name) => bound.includes(name)))
      scope.report(
        directive.node,
        `${entity.name}.${join.name} may reach several rows of ${join.target}: ${sentence(join.to, 'and')} ${join.to.length > 1 ? 'are' : 'is'} not its key`,
        `Say which with \`pick: { field: DESC }\`, declare it [${join.target}!]!, or join to its key (${target.key.join(', ')}).`,
      )
  }
}
