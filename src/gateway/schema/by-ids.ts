/** A view's rows by many keys at once: as many as were asked for, in that order. */
import {
  GraphQLInputObjectType,
  type GraphQLInputType,
  GraphQLList,
  GraphQLNonNull,
  type GraphQLObjectType,
} from 'graphql'
import type { View } from '../../model/model.ts'
import { byIdsName, keyName } from '../../model/read/generated-names.ts'
import type { ViewKey, ViewTable } from '../../model/view-table.ts'
import { type Arguments, type FieldConfig, readerOf } from '../context.ts'
import { fieldError } from '../errors.ts'
import { type SharedTypes, valueType } from './inputs.ts'

const textOf = (value: unknown): string | null => (value === null ? null : String(value))

export const byIdsField = (shared: SharedTypes, view: View, table: ViewTable, row: GraphQLObjectType): FieldConfig => {
  const typeOf = ({ type, nullable }: ViewKey): GraphQLInputType => {
    const inner = valueType(shared, type)
    return nullable ? inner : new GraphQLNonNull(inner)
  }
  const [only, ...more] = table.key
  const single = more.length === 0 ? only : undefined
  const id = single
    ? typeOf(single)
    : new GraphQLNonNull(
        new GraphQLInputObjectType({
          name: keyName(view.name),
          description: `What names a row of ${view.name}.`,
          fields: Object.fromEntries(table.key.map((key) => [key.name, { type: typeOf(key) }])),
        }),
      )
  const keyOf = (given: unknown): (string | null)[] => {
    if (single) return [textOf(given)]
    return table.key.map(({ name }) => {
      const value = (given as Arguments)[name]
      if (value === undefined)
        throw fieldError('BAD_USER_INPUT', `${byIdsName(view.name)} needs ${name} in each of ids: null names no value.`)
      return textOf(value)
    })
  }
  return {
    type: new GraphQLNonNull(new GraphQLList(row)),
    description: `Each in the place of its key in \`ids\`; null where there is none that this reader may see.`,
    args: { ids: { type: new GraphQLNonNull(new GraphQLList(id)) } },
    resolve: (_, { ids }, context) => {
      const reader = readerOf(context, view.name)
      return (ids as readonly unknown[]).map(async (id) => await reader.byKey(view, keyOf(id)))
    },
  }
}
