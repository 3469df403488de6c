/** What can be asked for live. */
import { DirectiveLocation, GraphQLBoolean, GraphQLDirective, GraphQLNonNull, GraphQLObjectType } from 'graphql'
import { oneName } from '../../model/read/generated-names.ts'
import type { ViewTable } from '../../model/view-table.ts'
import type { Verdict } from '../access/verdict.ts'
import type { FieldConfig } from '../context.ts'
import { type SharedTypes, valueType } from './inputs.ts'

export const liveDirective = new GraphQLDirective({
  name: 'live',
  description:
    'Answers again whenever what it reads changes: over a WebSocket, or as an event stream at /graphql/stream. Elsewhere it is answered once.',
  locations: [DirectiveLocation.QUERY],
  args: { if: { type: GraphQLBoolean, defaultValue: true } },
})

/** `…Changed(<key>)` of each view: answered as its query is, see src/gateway/live/operation.ts. */
export const subscriptionType = (
  verdict: Verdict,
  tables: ReadonlyMap<string, ViewTable>,
  shared: SharedTypes,
  types: ReadonlyMap<string, GraphQLObjectType>,
): GraphQLObjectType | undefined => {
  const fields = [...verdict.views.values()].map(({ view }): [string, FieldConfig] => [
    `${oneName(view.name)}Changed`,
    {
      type: types.get(view.name)!,
      description: `The ${view.name} as it is, and again each time that it has changed; null where there is none that this reader may see.`,
      args: Object.fromEntries(
        tables.get(view.name)!.key.map((key) => {
          const type = valueType(shared, key.type)
          return [key.name, { type: key.nullable ? type : new GraphQLNonNull(type) }]
        }),
      ),
    },
  ])
  if (fields.length === 0) return undefined
  return new GraphQLObjectType({ name: 'Subscription', fields: Object.fromEntries(fields) })
}
