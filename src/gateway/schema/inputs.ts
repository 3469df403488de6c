/** What may be searched on: `where` and `orderBy` of a view, from its @filter and @order fields. */
import {
  GraphQLBoolean,
  type GraphQLEnumType,
  type GraphQLFieldConfigArgumentMap,
  type GraphQLInputFieldConfigMap,
  GraphQLInputObjectType,
  type GraphQLInputType,
  GraphQLList,
  GraphQLNonNull,
} from 'graphql'
import type { CompareOp, Literal, OrderBy, Where } from '../../model/condition.ts'
import type { Field, ValueType, View } from '../../model/model.ts'
import { fieldError } from '../errors.ts'
import { scalarTypes } from './scalars.ts'

/** Types that all schemas of a model share. */
export type SharedTypes = {
  readonly enums: ReadonlyMap<string, GraphQLEnumType>
  readonly direction: GraphQLEnumType
  /** Filters by name, made on demand. */
  readonly filters: Map<string, GraphQLInputObjectType>
}

export const valueType = (shared: SharedTypes, type: ValueType): GraphQLEnumType | (typeof scalarTypes)['ID'] =>
  type.kind === 'scalar' ? scalarTypes[type.scalar] : shared.enums.get(type.enum)!

const ordered: readonly CompareOp[] = ['lt', 'lte', 'gt', 'gte']
const operatorsOf = (field: Field): readonly CompareOp[] => {
  const { type } = field
  if (type.kind === 'part') return []
  if (field.list) return ['has', 'isNull']
  if (type.kind === 'scalar' && type.scalar === 'Boolean') return ['eq', 'ne', 'isNull']
  const base: readonly CompareOp[] = ['eq', 'ne', 'in', 'notIn', 'isNull']
  if (type.kind === 'enum') return base
  const text = type.scalar === 'String' || type.scalar === 'ID'
  return [...base, ...ordered, ...(text ? (['startsWith'] as const) : [])]
}

const filterType = (shared: SharedTypes, field: Field): GraphQLInputObjectType => {
  const type = valueType(shared, field.type as ValueType)
  const name = `${type.name}${field.list ? 'List' : ''}Filter`
  const known = shared.filters.get(name)
  if (known) return known
  const input = (op: CompareOp): GraphQLInputType =>
    op === 'isNull' ? GraphQLBoolean : op === 'in' || op === 'notIn' ? new GraphQLList(new GraphQLNonNull(type)) : type
  const made = new GraphQLInputObjectType({
    name,
    description: 'Several operators mean AND. `ne` and `notIn` keep rows without a value, the others drop them.',
    fields: Object.fromEntries(operatorsOf(field).map((op) => [op, { type: input(op) }])),
  })
  shared.filters.set(name, made)
  return made
}

const described = (view: View, field: Field) => ({
  ...(field.description !== undefined && { description: field.description }),
  extensions: { coordinate: `${view.name}.${field.name}` },
})

/** `where` and `orderBy` over the fields that `may` be searched; absent where there are none. */
export const searchArguments = (
  shared: SharedTypes,
  view: View,
  may: (field: Field) => boolean,
): GraphQLFieldConfigArgumentMap => {
  const filters = view.fields.filter((field) => field.filter && may(field))
  const orders = view.fields.filter((field) => field.order && may(field))
  const where: GraphQLInputObjectType = new GraphQLInputObjectType({
    name: `${view.name}Where`,
    description: 'Several fields mean AND.',
    fields: (): GraphQLInputFieldConfigMap => ({
      ...Object.fromEntries(
        filters.map((field) => [field.name, { type: filterType(shared, field), ...described(view, field) }]),
      ),
      and: { type: new GraphQLList(new GraphQLNonNull(where)) },
      or: { type: new GraphQLList(new GraphQLNonNull(where)) },
      not: { type: where },
    }),
  })
  const orderBy = new GraphQLInputObjectType({
    name: `${view.name}OrderBy`,
    description: 'Exactly one field; several stand in a list. Rows without a value come last.',
    isOneOf: true,
    fields: Object.fromEntries(
      orders.map((field) => [field.name, { type: shared.direction, ...described(view, field) }]),
    ),
  })
  return {
    ...(filters.length > 0 && { where: { type: where } }),
    ...(orders.length > 0 && { orderBy: { type: new GraphQLList(new GraphQLNonNull(orderBy)) } }),
  }
}

type Input = Readonly<Record<string, unknown>>
const maxListValues = 200
const maxConditions = 50

/** The coerced `where` argument as a condition. Throws TOO_COSTLY past 50 conditions or 200 values in a list. */
export const whereOf = (view: View, input: Input): Where => {
  let conditions = 0
  const all = (items: readonly Where[]): Where => (items.length === 1 ? items[0]! : { kind: 'and', items })
  const object = (value: Input): Where =>
    all(
      Object.entries(value)
        .filter(([, inner]) => inner !== null && inner !== undefined)
        .map(([name, inner]): Where => {
          if (name === 'not') return { kind: 'not', item: object(inner as Input) }
          if (name === 'and' || name === 'or') return { kind: name, items: (inner as readonly Input[]).map(object) }
          return all(Object.entries(inner as Input).map(([op, operand]) => compare(name, op as CompareOp, operand)))
        }),
    )
  const compare = (field: string, op: CompareOp, operand: unknown): Where => {
    conditions += 1
    if (conditions > maxConditions) throw fieldError('TOO_COSTLY', `At most ${maxConditions} conditions in one where.`)
    const literal = (value: Literal) => ({ kind: 'literal', value }) as const
    if (operand === null || operand === undefined) {
      if (op === 'eq') return { kind: 'compare', field, op: 'isNull', value: literal(true) }
      if (op === 'ne') return { kind: 'compare', field, op: 'isNull', value: literal(false) }
      throw fieldError(
        'BAD_USER_INPUT',
        `${view.name}Where.${field}.${op} can't be null: only eq and ne compare with null.`,
      )
    }
    if (!Array.isArray(operand)) return { kind: 'compare', field, op, value: literal(operand as Literal) }
    if (operand.length > maxListValues)
      throw fieldError('TOO_COSTLY', `At most ${maxListValues} values in ${view.name}Where.${field}.${op}.`)
    return { kind: 'compare', field, op, value: { kind: 'list', values: operand as Literal[] } }
  }
  return object(input)
}

/** The coerced `orderBy` argument: first what is asked, each field once. */
export const orderOf = (input: readonly Input[]): readonly OrderBy[] => {
  const seen = new Set<string>()
  return input.flatMap((item) =>
    Object.entries(item).flatMap(([field, direction]) => {
      if (seen.has(field)) return []
      seen.add(field)
      return [{ joins: [], field, direction: direction as 'ASC' | 'DESC' }]
    }),
  )
}
