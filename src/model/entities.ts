/** Entities: their columns, joins, sources, and what counts as deleted. */
import { type ConstValueNode, type FieldDefinitionNode, Kind, type TypeNode } from 'graphql'
import { type Directive, directiveNamed, itemsOf, textNodes, textOf } from './directive.ts'
import { described, type Folder, type TypeDeclaration } from './document.ts'
import { instead, placeOf, sentence } from './fault.ts'
import { nameOfType } from './literal.ts'
import type { Column, Encoding, Entity, Join, PiiClass, PiiTag, Place, ScalarName, ValueType } from './model.ts'
import { entityRow, isTenanted, type Scope } from './row.ts'
import { namingOf, optional, readSource, type SourceWords, sourceWords, steps } from './source.ts'
import { readTenants } from './tenant.ts'
import { readOrderBy, readWhere } from './where.ts'

export type Draft<T> = { -readonly [key in keyof T]: T[key] }
export type EntityDraft = {
  readonly entity: Draft<Entity>
  readonly declaration: TypeDeclaration
  readonly directive: Directive
}
export type DomainWords = ReadonlyMap<string, { readonly source: SourceWords }>

const scalars: readonly ScalarName[] = [
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

/** Fills `entities` (the map that `scope` resolves by) with every type that has @entity. */
export const readEntities = (
  folder: Folder,
  scope: Scope,
  entities: Map<string, Entity>,
  domains: DomainWords,
): void => {
  const drafts: EntityDraft[] = []
  for (const declaration of folder.types.values()) {
    const directive = directiveNamed(folder, declaration, 'entity')
    if (directive === undefined) continue
    const draft = { entity: readColumns(folder, scope, declaration, directive, domains), declaration, directive }
    drafts.push(draft)
    entities.set(declaration.name, draft.entity)
  }
  for (const draft of drafts) readJoins(folder, scope, draft)
  readTenants(folder, scope, drafts)
  for (const draft of drafts) readPicks(folder, scope, draft)
  for (const { entity, directive } of drafts) {
    const literal = directive.literal('deleted')
    const row = { ...entityRow(entity), joins: new Map() }
    const deleted = literal && readWhere(scope, { row, claims: false }, literal)
    if (deleted !== undefined) entity.deleted = deleted
  }
}

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

const readColumns = (
  folder: Folder,
  scope: Scope,
  declaration: TypeDeclaration,
  directive: Directive,
  domains: DomainWords,
): Draft<Entity> => {
  const { name } = declaration
  const place = placeOf(declaration.node.name)
  const domain = textOf(directive.value('domain')) ?? ''
  const own = sourceWords(directive.literal('source'), directive.value('source'))
  const common = domains.get(domain)?.source ?? sourceWords(undefined, {})
  if (domain !== '' && !domains.has(domain))
    scope.report(
      directive.literal('domain') ?? directive.node,
      `${name} belongs to domain ${domain}, which nothing declares`,
      instead(domain, domains.keys()).replace(
        'Declare it first.',
        `Add \`extend schema @domain(name: "${domain}", owner: "…")\`.`,
      ),
    )
  const naming = namingOf(own, common)
  const columns = declaration.fields
    .filter((field) => !isJoin(folder, scope, field))
    .map((field) => readColumn(folder, scope, name, field, naming))
    .filter((column) => column !== undefined)
  const source = readSource(scope, name, columns, own, common, placeOf(directive.literal('source') ?? directive.node))
  return {
    name,
    domain,
    ...optional('description', declaration.description),
    key: readKey(scope, name, columns, directive),
    columns,
    joins: [],
    tenant: { kind: 'NONE' },
    source: source ?? { topic: '', format: 'DEBEZIUM', zone: 'UTC' },
    conflict: readConflict(scope, directive),
    place,
  }
}

const isJoin = (folder: Folder, scope: Scope, field: FieldDefinitionNode): boolean =>
  directiveNamed(folder, field, 'join') !== undefined ||
  (valueTypeOf(scope, shapeOf(field.type).name) === undefined && folder.types.has(shapeOf(field.type).name))

const readConflict = (scope: Scope, directive: Directive): Entity['conflict'] => {
  const conflict = directive.value('conflict')
  if (conflict === 'FIELD_CLOCK' || conflict === 'OWNER')
    scope.report(
      directive.literal('conflict')!,
      `conflict: ${conflict} is not running yet`,
      'Use VERSION or EVENT_TIME.',
    )
  return conflict === 'EVENT_TIME' ? 'EVENT_TIME' : 'VERSION'
}

const readColumn = (
  folder: Folder,
  scope: Scope,
  entity: string,
  field: FieldDefinitionNode,
  naming: (name: string) => string,
): Column | undefined => {
  const name = field.name.value
  const shape = shapeOf(field.type)
  const column = directiveNamed(folder, field, 'column')
  const scale = column?.value('scale')
  const type = valueTypeOf(scope, shape.name, typeof scale === 'number' ? scale : undefined)
  const fault = (problem: string, remedy: string): undefined => {
    scope.faulty.add(`${entity}.${name}`)
    return scope.report(field.type, problem, remedy)
  }
  if (type === undefined) {
    scope.faulty.add(`${entity}.${name}`)
    const known = folder.language.getType(shape.name) !== undefined
    return known
      ? fault(
          `${entity}.${name} is a ${shape.name}, which no field can store`,
          `Stored are ${sentence(scalars, 'and')}, and enums.`,
        )
      : undefined
  }
  if (shape.nested)
    return fault(`${entity}.${name} is a list of lists`, 'Use JSON, or an entity of its own with `each`.')
  if (shape.loose) return fault(`${entity}.${name} is a list whose elements may be null`, `Write [${shape.name}!].`)
  if (typeof scale === 'number' && (shape.name !== 'Decimal' || scale < 0 || scale > 1000))
    scope.report(
      column!.literal('scale')!,
      `${entity}.${name} is ${shape.name} with scale ${scale}`,
      'A scale of 0 to 1000 belongs to a Decimal.',
    )
  const pii = readTag(folder, field)
  return {
    name,
    type,
    list: shape.list,
    nonNull: shape.nonNull,
    ...described(field),
    ...optional('pii', pii),
    path: steps(textOf(column?.value('name'))) ?? [naming(name)],
    encoding: (textOf(column?.value('encoding')) ?? 'AUTO') as Encoding,
    place: placeOf(field.name),
  }
}

/** The @pii of a field. */
export const readTag = (folder: Folder, field: FieldDefinitionNode): PiiTag | undefined => {
  const pii = directiveNamed(folder, field, 'pii')
  const kind = textOf(pii?.value('kind'))
  return kind === undefined ? undefined : { kind, class: (textOf(pii?.value('class')) ?? 'PERSONAL') as PiiClass }
}

const readKey = (scope: Scope, entity: string, columns: readonly Column[], directive: Directive): readonly string[] => {
  const nodes = textNodes(directive.literal('key'))
  if (nodes.length === 0 && itemsOf(directive.literal('key')).length === 0 && directive.literal('key') !== undefined)
    scope.report(directive.literal('key')!, `${entity} has an empty key`, 'Name the fields that tell its rows apart.')
  const key: string[] = []
  for (const node of nodes) {
    const column = columns.find((known) => known.name === node.value)
    if (column === undefined) {
      if (!scope.faulty.has(`${entity}.${node.value}`))
        scope.report(
          node,
          `the key of ${entity} names ${node.value}, which is no stored field of it`,
          instead(
            node.value,
            columns.map(({ name }) => name),
          ),
        )
      continue
    }
    const fault = keyFault(column)
    if (fault !== undefined) scope.report(node, `the key field ${entity}.${column.name} ${fault[0]}`, fault[1])
    if (key.includes(column.name))
      scope.report(node, `the key of ${entity} names ${column.name} twice`, 'Keep one of them.')
    key.push(column.name)
  }
  return key
}

const keyFault = ({ type, list, nonNull, pii }: Column): readonly [string, string] | undefined => {
  const scalar = type.kind === 'scalar' ? type.scalar : undefined
  if (list) return ['is a list', 'Key by scalars.']
  if (scalar === 'Float' || scalar === 'JSON')
    return [`is ${scalar}, which does not compare exactly`, 'Key by an ID, a number without fraction, text, or a time.']
  if (!nonNull) return ['may be null', `Declare it \`${nameOfType(type).split(' ')[0]}!\`.`]
  if (pii !== undefined)
    return [`is personal data (${pii.kind})`, 'Key by an opaque id: keys stand in logs, caches and URLs.']
  return undefined
}

// ── joins ───────────────────────────────────────────────────────────────────────────────────────────────────────────
const readJoins = (folder: Folder, scope: Scope, { entity, declaration }: EntityDraft): void => {
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
      if (column.pii !== undefined)
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

const kindOf = ({ type, list }: Column): string => `${list ? 'a list of ' : 'a '}${nameOfType(type)}`

/** Types with one name here compare with each other; undefined: with nothing. */
const joinable = (type: ValueType): string | undefined => {
  if (type.kind === 'enum') return type.enum
  if (type.scalar === 'Float' || type.scalar === 'JSON') return undefined
  return type.scalar === 'ID' ? 'String' : type.scalar
}

const readPicks = (folder: Folder, scope: Scope, { entity, declaration }: EntityDraft): void => {
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
