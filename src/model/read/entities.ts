/** Entities: their columns, keys, sources, and what counts as deleted. */
import type { FieldDefinitionNode } from 'graphql'
import type { Column, Encoding, Entity } from '../model.ts'
import { fieldsOf } from '../reads.ts'
import { isSourced } from '../sourced.ts'
import { readComputed } from './computed.ts'
import { type Draft, type EntityDraft, isJoin, readTag, scalars, shapeOf, valueTypeOf } from './declared.ts'
import { type Directive, directiveNamed, fieldOf, itemsOf, textNodes, textOf } from './directive.ts'
import { described, type Folder, type TypeDeclaration } from './document.ts'
import { instead, placeOf, sentence } from './fault.ts'
import { readJoins, readPicks } from './joins.ts'
import { nameOfType } from './literal.ts'
import { readRetention } from './retention.ts'
import { entityRow, type Scope } from './row.ts'
import { namingOf, optional, readSource, type SourceWords, sourceWords, steps } from './source.ts'
import { readTenants } from './tenant.ts'
import { readWhere } from './where.ts'

export type DomainWords = ReadonlyMap<string, { readonly owner: string; readonly source: SourceWords }>

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
    if (deleted === undefined) continue
    const computed = fieldsOf(deleted).find((name) => row.columns.get(name)?.computed !== undefined)
    if (computed === undefined) entity.deleted = deleted
    else
      scope.report(
        literal!,
        `whether a ${entity.name} counts as deleted depends on ${computed}, which is computed`,
        'Decide by the fields that it is made of.',
      )
  }
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
    .map((field) =>
      directiveNamed(folder, field, 'expr') === undefined
        ? readColumn(folder, scope, name, field, naming)
        : readComputed(folder, scope, declaration, field),
    )
    .filter((column) => column !== undefined)
  const retention = readRetention(folder, scope, declaration, columns)
  const conflict = (directive.value('conflict') ?? 'VERSION') as Entity['conflict']
  const at = placeOf(directive.literal('source') ?? directive.node)
  const source = readSource(scope, name, columns.filter(isSourced), own, common, at)
  checkConflict(scope, name, conflict, own)
  return {
    name,
    domain,
    ...optional('description', declaration.description),
    key: readKey(scope, name, columns, directive),
    columns,
    joins: [],
    tenant: { kind: 'NONE' },
    source: {
      ...(source ?? { topic: '', format: 'DEBEZIUM', zone: 'UTC' }),
      ...optional('owner', conflict === 'OWNER' ? ownerOf(own, common, domains.get(domain)?.owner) : undefined),
    },
    conflict,
    ...optional('retention', retention),
    place,
  }
}

/** Who alone may write, by conflict OWNER. */
const ownerOf = (own: SourceWords, common: SourceWords, domainOwner: string | undefined): string | undefined =>
  textOf(own.value.owner) ?? textOf(common.value.owner) ?? domainOwner

/** What an entity's own source says of order, and its conflict does not follow. */
const checkConflict = (scope: Scope, name: string, conflict: Entity['conflict'], own: SourceWords): void => {
  const word = (field: string) => fieldOf(own.literal, field)
  const [owner, version, each] = [word('owner'), word('version'), word('each')]
  if (owner !== undefined && conflict !== 'OWNER')
    scope.report(
      owner,
      `${name} names an owner, whom conflict: ${conflict} does not ask for`,
      'Write `conflict: OWNER`, or leave it out.',
    )
  if (version !== undefined && (conflict === 'EVENT_TIME' || conflict === 'FIELD_CLOCK'))
    scope.report(
      version,
      `${name} declares a version, but conflict: ${conflict} goes by the event time`,
      'Leave it out, or use conflict: VERSION.',
    )
  if (each !== undefined && conflict === 'FIELD_CLOCK')
    scope.report(
      each,
      `${name} is the elements of an array, which come whole, so that its fields have no clocks of their own`,
      'Use conflict: EVENT_TIME.',
    )
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

const keyFault = ({ type, list, nonNull, pii, computed }: Column): readonly [string, string] | undefined => {
  if (computed !== undefined) return ['is computed', 'Key by fields of the source: a delete brings no more than them.']
  const scalar = type.kind === 'scalar' ? type.scalar : undefined
  if (list) return ['is a list', 'Key by scalars.']
  if (scalar === 'Float' || scalar === 'JSON')
    return [`is ${scalar}, which does not compare exactly`, 'Key by an ID, a number without fraction, text, or a time.']
  if (!nonNull) return ['may be null', `Declare it \`${nameOfType(type).split(' ')[0]}!\`.`]
  if (pii !== undefined)
    return [`is personal data (${pii.kind})`, 'Key by an opaque id: keys stand in logs, caches and URLs.']
  return undefined
}
