/** Random entities: keys plain and composite, tenants by column and by join, to-one, to-many, self and non-key joins, soft deletes. */
import type { Conflict, Format } from '../../src/model/model.ts'
import type { Draw } from './draw.ts'
import { writable } from './expression-arbitrary.ts'
import { drawFormat, sourceWords } from './formats.ts'

export type TypeName =
  | 'ID'
  | 'Long'
  | 'Int'
  | 'Kind'
  | 'DateTime'
  | 'String'
  | 'Decimal'
  | 'Date'
  | 'Boolean'
  | 'JSON'
  | 'Float'
export type ColumnSpec = {
  readonly name: string
  readonly type: TypeName
  readonly nonNull: boolean
  readonly list?: boolean
  readonly scale?: number
  /** Made of others by @expr. */
  readonly computed?: string
}
export type JoinSpec = {
  readonly name: string
  readonly target: string
  readonly many: boolean
  readonly promised: boolean
  readonly arguments: string
}
export type TenantSpec = 'none' | 'shared' | 'column' | { readonly join: string }
export type EntitySpec = {
  readonly name: string
  readonly domain: string
  readonly key: readonly ColumnSpec[]
  readonly columns: readonly ColumnSpec[]
  readonly joins: JoinSpec[]
  readonly tenant: TenantSpec
  readonly deleted?: string
  readonly format: Format
  readonly conflict: Conflict
}

const NAMES = ['Ant', 'Bee', 'Cat', 'Dog', 'Elk']
const lower = (name: string): string => name[0]!.toLowerCase() + name.slice(1)
const upper = (name: string): string => name[0]!.toUpperCase() + name.slice(1)
const names = (items: readonly string[]): string => JSON.stringify(items)

const TENANT: ColumnSpec = { name: 'tenantId', type: 'ID', nonNull: true }
const KEYS: readonly (readonly ColumnSpec[])[] = [
  [{ name: 'id', type: 'ID', nonNull: true }],
  [{ name: 'id', type: 'Long', nonNull: true }],
  [
    { name: 'code', type: 'ID', nonNull: true },
    { name: 'line', type: 'Int', nonNull: true },
  ],
  [{ name: 'number', type: 'Decimal', nonNull: true }],
  [{ name: 'since', type: 'DateTime', nonNull: true }],
  [
    { name: 'grade', type: 'Kind', nonNull: true },
    { name: 'odd', type: 'Boolean', nonNull: true },
    { name: 'shelf', type: 'Date', nonNull: true },
  ],
]
const OPTIONAL: readonly ColumnSpec[] = [
  { name: 'label', type: 'String', nonNull: false },
  { name: 'big', type: 'Long', nonNull: false },
  { name: 'amount', type: 'Decimal', nonNull: true, scale: 2 },
  { name: 'rate', type: 'Decimal', nonNull: false },
  { name: 'debt', type: 'Decimal', nonNull: false, scale: 3 },
  { name: 'wide', type: 'Int', nonNull: false },
  { name: 'day', type: 'Date', nonNull: false },
  { name: 'gone', type: 'Boolean', nonNull: true },
  { name: 'tags', type: 'String', nonNull: true, list: true },
  { name: 'area', type: 'String', nonNull: false },
  { name: 'seenAt', type: 'DateTime', nonNull: false },
  { name: 'spare', type: 'Int', nonNull: false },
  { name: 'doc', type: 'JSON', nonNull: false },
  { name: 'ratio', type: 'Float', nonNull: false },
]
const ALWAYS: readonly ColumnSpec[] = [
  { name: 'kind', type: 'Kind', nonNull: true },
  { name: 'qty', type: 'Int', nonNull: true },
  { name: 'at', type: 'DateTime', nonNull: true },
]
const DELETED = ['{ gone: { eq: true } }', '{ or: [{ gone: { eq: true } }, { kind: { eq: C } }] }']
const PICKS = ['{ at: DESC }', '{ qty: ASC }', '[{ qty: DESC }, { at: ASC }]']

/** The columns of `target`'s key as they stand in an entity that points at it. */
const pointer = (prefix: string, target: EntitySpec, nonNull: boolean): readonly ColumnSpec[] =>
  target.key.map((key) => ({ ...key, name: `${prefix}${upper(key.name)}`, nonNull }))

export const makeEntities = (draw: Draw): readonly EntitySpec[] => {
  const tenanted = draw.oneIn(2)
  const entities: EntitySpec[] = []
  const count = 2 + draw.below(4)
  for (let i = 0; i < count; i++)
    entities.push(makeEntity(draw, NAMES[i]!, entities, tenanted, i === 0 && draw.oneIn(4)))
  addSideways(draw, entities)
  return entities
}

const makeEntity = (
  draw: Draw,
  name: string,
  earlier: readonly EntitySpec[],
  tenanted: boolean,
  shared: boolean,
): EntitySpec => {
  const plainKey = draw.oneIn(2) ? draw.pick(KEYS) : draw.pick(KEYS.slice(0, 3))
  const columns: ColumnSpec[] = [...ALWAYS, ...draw.some(OPTIONAL)]
  const joins: JoinSpec[] = []
  const parents = earlier.length === 0 ? [] : [...new Set([draw.pick(earlier), ...draw.some(earlier, 4)])]
  let tenant: TenantSpec = !tenanted ? 'none' : shared ? 'shared' : 'column'
  for (const parent of parents) {
    const prefix = lower(parent.name)
    const nonNull = !draw.oneIn(3)
    const own = pointer(prefix, parent, nonNull)
    const promised = nonNull && !draw.oneIn(3)
    columns.push(...own)
    joins.push(toOne(prefix, parent.name, promised, own))
    if (tenant === 'column' && parent.tenant !== 'shared' && draw.oneIn(2)) tenant = { join: prefix }
  }
  columns.push(...computedColumns(draw, columns))
  const format = drawFormat(draw)
  const keyed = tenant === 'column' && draw.oneIn(4)
  const key = keyed ? [TENANT, ...plainKey] : plainKey
  const entity: EntitySpec = {
    name,
    domain: draw.pick(['zoo', 'farm']),
    key,
    columns: [...columns, ...(tenant === 'column' && !keyed ? [TENANT] : [])],
    joins,
    tenant,
    ...(columns.some((c) => c.name === 'gone') && draw.oneIn(2) ? { deleted: draw.pick(DELETED) } : {}),
    format,
    // Their event times rise with their versions, so that all come to the same.
    conflict: format === 'DEBEZIUM' && draw.oneIn(2) ? draw.pick(['EVENT_TIME', 'FIELD_CLOCK', 'OWNER']) : 'VERSION',
  }
  for (const parent of parents) addBackwards(draw, entity, parent)
  const twice = parents.length > 0 && draw.oneIn(4) ? withSecond(entity, draw.pick(parents)) : entity
  return draw.oneIn(4) ? withSelf(twice) : twice
}

const computedColumns = (draw: Draw, columns: readonly ColumnSpec[]): readonly ColumnSpec[] =>
  draw.oneIn(2)
    ? draw
        .some(writable(columns), 3)
        .map(({ sql, type, nonNull }, n) => ({ name: `made${n}`, type, nonNull, computed: sql }))
    : []

const toOne = (name: string, target: string, promised: boolean, own: readonly ColumnSpec[]): JoinSpec => ({
  name,
  target,
  many: false,
  promised,
  arguments: `from: ${names(own.map((c) => c.name))}`,
})

/** The other way: a shared parent gets none, since it may not reach tenanted rows. */
const addBackwards = (draw: Draw, child: EntitySpec, parent: EntitySpec): void => {
  if (parent.tenant === 'shared') return
  const to = names(parent.key.map((k) => `${lower(parent.name)}${upper(k.name)}`))
  const many = { target: child.name, many: true, promised: true }
  parent.joins.push({ name: `${lower(child.name)}s`, ...many, arguments: `to: ${to}` })
  if (draw.oneIn(3)) {
    const pick = { target: child.name, many: false, promised: false }
    parent.joins.push({ name: `top${child.name}`, ...pick, arguments: `to: ${to}, pick: ${draw.pick(PICKS)}` })
  }
}

/** Points at the same parent once more, as an order does at who pays and at who receives. */
const withSecond = (entity: EntitySpec, parent: EntitySpec): EntitySpec => {
  const prefix = `other${parent.name}`
  const own = pointer(prefix, parent, false)
  entity.joins.push(toOne(prefix, parent.name, false, own))
  const to = names(own.map((c) => c.name))
  if (parent.tenant !== 'shared')
    parent.joins.push({
      name: `other${entity.name}s`,
      target: entity.name,
      many: true,
      promised: true,
      arguments: `to: ${to}`,
    })
  return { ...entity, columns: [...entity.columns, ...own] }
}

const withSelf = (entity: EntitySpec): EntitySpec => {
  const own = pointer('up', entity, false)
  const downs = { target: entity.name, many: true, promised: true }
  const self = [
    toOne('up', entity.name, false, own),
    { name: 'downs', ...downs, arguments: `to: ${names(own.map((c) => c.name))}` },
  ]
  entity.joins.push(...self)
  return { ...entity, columns: [...entity.columns, ...own] }
}

/** Joins on columns that are nobody's key, to others and to one's own kind; a shared entity can be reached so, and reaches nobody. */
const addSideways = (draw: Draw, entities: readonly EntitySpec[]): void => {
  const withArea = entities.filter((e) => e.columns.some((c) => c.name === 'area'))
  for (const a of withArea.filter((e) => e.tenant !== 'shared'))
    for (const b of withArea)
      if (draw.oneIn(3)) {
        const on = draw.oneIn(3) ? names(['kind', 'area']) : names(['area'])
        const sides = `from: ${on}, to: ${on}`
        a.joins.push({ name: `near${b.name}s`, target: b.name, many: true, promised: true, arguments: sides })
        if (draw.oneIn(3))
          a.joins.push({
            name: `nearest${b.name}`,
            target: b.name,
            many: false,
            promised: false,
            arguments: `${sides}, pick: ${draw.pick(PICKS)}`,
          })
      }
}

export const typeText = ({ type, nonNull, list }: Pick<ColumnSpec, 'type' | 'nonNull' | 'list'>): string =>
  `${list ? `[${type}!]` : type}${nonNull ? '!' : ''}`

export const entityText = (entity: EntitySpec): string => {
  const { name, domain, key, columns, joins, tenant, deleted, format, conflict } = entity
  const owner = conflict === 'OWNER' ? ', owner: "src"' : ''
  const options = [
    `domain: "${domain}"`,
    `key: ${names(key.map((k) => k.name))}`,
    `source: { topic: "src.${lower(name)}", ${sourceWords(format)}${owner} }`,
    ...(conflict === 'VERSION' ? [] : [`conflict: ${conflict}`]),
    ...(deleted ? [`deleted: ${deleted}`] : []),
    ...(tenant === 'shared' ? ['shared: true'] : []),
  ]
  const columnText = (c: ColumnSpec): string =>
    `  ${c.name}: ${typeText(c)}${c.scale === undefined ? '' : ` @column(scale: ${c.scale})`}${c.computed === undefined ? '' : ` @expr(sql: "${c.computed}")`}${tenant === 'column' && c.name === 'tenantId' ? ' @tenant' : ''}`
  const joinText = (j: JoinSpec): string => {
    const type = j.many ? `[${j.target}!]!` : `${j.target}${j.promised ? '!' : ''}`
    return `  ${j.name}: ${type} @join(${j.arguments})${typeof tenant === 'object' && tenant.join === j.name ? ' @tenant' : ''}`
  }
  return [
    `type ${name} @entity(${options.join(', ')}) {`,
    ...[...key, ...columns].map(columnText),
    ...joins.map(joinText),
    '}',
  ].join('\n')
}
