/** The `Where` and `OrderBy` literals: resolved against a row and typed. */
import { type ConstObjectFieldNode, type ConstValueNode, Kind, print } from 'graphql'
import type { CompareOp, Operand, OrderBy, Where } from '../condition.ts'
import type { Entity, ValueType } from '../model.ts'
import { itemsOf } from './directive.ts'
import { instead, sentence } from './fault.ts'
import { nameOfType, readLiteral } from './literal.ts'
import { entityRow, follow, type Row, type Scope, unknownField } from './row.ts'

/** Where a condition stands decides what it may use. `entity`: the row's entity, when it has joins to follow. */
export type WhereSite = {
  readonly row: Row
  readonly entity?: Entity
  readonly claims: boolean
  readonly negated?: boolean
}

export const entitySite = (entity: Entity): WhereSite => ({ row: entityRow(entity), entity, claims: false })

/** The typed condition; undefined when it has a fault, which is then reported. */
export const readWhere = (scope: Scope, site: WhereSite, node: ConstValueNode): Where | undefined => {
  if (node.kind !== Kind.OBJECT)
    return scope.report(node, `${print(node)} is no condition`, 'Write `{ field: { op: value } }`.')
  return conjunction(node.fields.map((field) => readEntry(scope, site, field)))
}

const conjunction = (items: readonly (Where | undefined)[]): Where | undefined => {
  const known = items.filter((item) => item !== undefined)
  if (known.length < items.length) return undefined
  return known.length === 1 ? known[0] : { kind: 'and', items: known }
}

const readEntry = (scope: Scope, site: WhereSite, { name, value }: ConstObjectFieldNode): Where | undefined => {
  switch (name.value) {
    case 'and':
    case 'or': {
      const items = itemsOf(value).map((item) => readWhere(scope, site, item))
      const known = items.filter((item) => item !== undefined)
      return known.length < items.length ? undefined : { kind: name.value, items: known }
    }
    case 'not': {
      const item = readWhere(scope, { ...site, negated: true }, value)
      return item && { kind: 'not', item }
    }
    default: {
      const column = site.row.columns.get(name.value)
      if (column !== undefined) return readComparison(scope, site, name.value, column, value)
      const join = site.row.joins.get(name.value)
      if (join === undefined) return unknownField(scope, site.row, name.value, placeOfName(name))
      return readJoinCondition(scope, site, name.value, value)
    }
  }
}

const placeOfName = (name: ConstObjectFieldNode['name']) => ({
  file: name.loc!.source.name,
  line: name.loc!.startToken.line,
  column: name.loc!.startToken.column,
})

const readJoinCondition = (scope: Scope, site: WhereSite, name: string, value: ConstValueNode): Where | undefined => {
  const join = site.row.joins.get(name)!
  if (site.entity === undefined)
    return scope.report(
      value,
      `${site.row.name}.${name} is a join, and this condition speaks of the row alone`,
      'Compare its own fields.',
    )
  if (join.many)
    return scope.report(
      value,
      `${site.row.name}.${name} is to-many, and a condition follows only to-one joins`,
      'Count its rows in a field with its own `where`.',
    )
  const target = follow(scope, site.entity, join, value)
  if (target === undefined) return undefined
  if (value.kind !== Kind.OBJECT)
    return scope.report(
      value,
      `${print(value)} is no condition on ${target.name}`,
      'Write `{ field: { op: value } }` or `{ exists: true }`.',
    )
  const exists = value.fields.find((field) => field.name.value === 'exists' && field.value.kind === Kind.BOOLEAN)
  const rest = value.fields.filter((field) => field !== exists)
  const items: (Where | undefined)[] = []
  if (exists?.value.kind === Kind.BOOLEAN) items.push({ kind: 'exists', join: name, exists: exists.value.value })
  if (rest.length > 0 || exists === undefined) {
    const where = readWhere(scope, { ...site, row: entityRow(target), entity: target }, { ...value, fields: rest })
    items.push(where && { kind: 'join', join: name, where })
  }
  return conjunction(items)
}

type Compared = { readonly type: ValueType; readonly list: boolean }

/** The operators that a field's type has; none at all for what is opaque. */
const operatorsOf = ({ type, list }: Compared): readonly CompareOp[] => {
  if (list) return ['has', 'isNull']
  if (type.kind === 'enum') return ['eq', 'ne', 'in', 'notIn', 'isNull']
  switch (type.scalar) {
    case 'JSON':
      return ['isNull']
    case 'Boolean':
      return ['eq', 'ne', 'in', 'notIn', 'isNull']
    case 'ID':
    case 'String':
      return ['eq', 'ne', 'in', 'notIn', 'lt', 'lte', 'gt', 'gte', 'isNull', 'startsWith']
    case 'Int':
    case 'Long':
    case 'Float':
    case 'Decimal':
    case 'DateTime':
    case 'Date':
      return ['eq', 'ne', 'in', 'notIn', 'lt', 'lte', 'gt', 'gte', 'isNull']
  }
}

const readComparison = (
  scope: Scope,
  site: WhereSite,
  field: string,
  column: Compared,
  value: ConstValueNode,
): Where | undefined => {
  if (value.kind !== Kind.OBJECT)
    return scope.report(value, `${field} is compared with no operator`, `Write \`${field}: { eq: ${print(value)} }\`.`)
  if (value.fields.length === 0)
    return scope.report(value, `${field} is compared with nothing`, `Write \`${field}: { eq: … }\`, or leave it out.`)
  return conjunction(
    value.fields.map(({ name, value: operand }) => {
      const ops = operatorsOf(column)
      const op = ops.find((known) => known === name.value)
      if (op === undefined) {
        const kind = `${column.list ? 'a list of ' : ''}${nameOfType(column.type)}`
        return scope.report(
          placeOfName(name),
          `${field} is ${kind}, which has no operator ${name.value}`,
          instead(name.value, ops),
        )
      }
      const read = readOperand(scope, site, column, op, operand)
      return read && { kind: 'compare', field, op, value: read }
    }),
  )
}

const comparisons: readonly CompareOp[] = ['eq', 'ne', 'lt', 'lte', 'gt', 'gte']

const readOperand = (
  scope: Scope,
  site: WhereSite,
  column: Compared,
  op: CompareOp,
  node: ConstValueNode,
): Operand | undefined => {
  if (node.kind === Kind.OBJECT) return readReference(scope, site, column, op, node)
  if (op === 'isNull') {
    if (node.kind === Kind.BOOLEAN) return { kind: 'literal', value: node.value }
    return scope.report(node, `isNull takes no ${print(node)}`, 'Write true or false.')
  }
  if (op === 'in' || op === 'notIn') {
    const values = itemsOf(node).map((item) => readLiteral(item, column.type, scope.enums, scope.report))
    const known = values.filter((value) => value !== undefined)
    return known.length < values.length ? undefined : { kind: 'list', values: known }
  }
  if (node.kind === Kind.NULL && op !== 'eq' && op !== 'ne')
    return scope.report(node, `${op} null holds for no row`, 'Write `isNull: true` or `isNull: false`.')
  const value = readLiteral(node, column.type, scope.enums, scope.report)
  return value === undefined ? undefined : { kind: 'literal', value }
}

/** `{ field: "other" }` or `{ claim: "name" }` in place of a value. */
const readReference = (
  scope: Scope,
  site: WhereSite,
  column: Compared,
  op: CompareOp,
  node: ConstValueNode & { readonly kind: Kind.OBJECT },
): Operand | undefined => {
  const [entry] = node.fields
  const name = entry?.value.kind === Kind.STRING ? entry.value.value : undefined
  if (
    entry === undefined ||
    name === undefined ||
    node.fields.length > 1 ||
    !['field', 'claim'].includes(entry.name.value)
  )
    return scope.report(
      node,
      `${print(node)} is no ${nameOfType(column.type)}`,
      'Write a value, or `{ field: "another of the same row" }`.',
    )
  if (entry.name.value === 'claim') {
    if (!site.claims)
      return scope.report(node, 'a claim stands outside @rows', 'Say in @rows which rows a token may see.')
    if (site.negated === true)
      return scope.report(
        node,
        'a claim stands under `not`, where its absence would let every row pass',
        'Use ne or notIn.',
      )
    if (op === 'isNull' || op === 'startsWith') return scope.report(node, `${op} takes no claim`, 'Use eq, in or has.')
    return { kind: 'claim', claim: name }
  }
  const other = site.row.columns.get(name)
  if (other === undefined) return unknownField(scope, site.row, name, entry.value)
  if (!comparisons.includes(op))
    return scope.report(node, `${op} takes no field`, `Use ${sentence(comparisons, 'or')}.`)
  if (other.list || nameOfType(other.type) !== nameOfType(column.type))
    if (other.list || !bothNumbers(other.type, column.type))
      return scope.report(
        entry.value,
        `${name} is ${other.list ? 'a list of ' : ''}${nameOfType(other.type)}, compared with a ${nameOfType(column.type)}`,
        'Compare fields of one type.',
      )
  return { kind: 'field', field: name }
}

const bothNumbers = (a: ValueType, b: ValueType): boolean =>
  [a, b].every(
    (type) => type.kind === 'scalar' && (type.scalar === 'Decimal' || type.scalar === 'Int' || type.scalar === 'Long'),
  )

/** The order, most significant first; undefined when it has a fault, which is then reported. */
export const readOrderBy = (
  scope: Scope,
  entity: Entity,
  node: ConstValueNode | undefined,
): readonly OrderBy[] | undefined => {
  const items = itemsOf(node).map((item) => readOrder(scope, entity, item, []))
  const known = items.filter((item) => item !== undefined)
  return known.length < items.length ? undefined : known
}

const readOrder = (
  scope: Scope,
  entity: Entity,
  node: ConstValueNode,
  joins: readonly string[],
): OrderBy | undefined => {
  const entry = node.kind === Kind.OBJECT ? node.fields[0] : undefined
  if (node.kind !== Kind.OBJECT || entry === undefined || node.fields.length > 1)
    return scope.report(
      node,
      `${print(node)} is no order`,
      'Write `{ field: ASC }`; several fields are a list: `[{ a: ASC }, { b: DESC }]`.',
    )
  const field = entry.name.value
  const row = entityRow(entity)
  const join = row.joins.get(field)
  if (join !== undefined) {
    if (join.many)
      return scope.report(
        placeOfName(entry.name),
        `${entity.name}.${field} is to-many, and an order follows only to-one joins`,
        'Order by a field of the row itself.',
      )
    const target = follow(scope, entity, join, entry.value)
    return target && readOrder(scope, target, entry.value, [...joins, field])
  }
  const column = row.columns.get(field)
  if (column === undefined) return unknownField(scope, row, field, placeOfName(entry.name))
  if (column.list || (column.type.kind === 'scalar' && column.type.scalar === 'JSON'))
    return scope.report(
      placeOfName(entry.name),
      `${entity.name}.${field} is ${column.list ? 'a list' : 'JSON'}, which has no order`,
      'Order by a scalar.',
    )
  if (entry.value.kind !== Kind.ENUM || !['ASC', 'DESC'].includes(entry.value.value))
    return scope.report(entry.value, `${print(entry.value)} is no direction`, 'Write ASC or DESC.')
  return { joins, field, direction: entry.value.value === 'DESC' ? 'DESC' : 'ASC' }
}
