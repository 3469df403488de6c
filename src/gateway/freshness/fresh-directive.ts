/** `@fresh` on an operation: the headers' words as arguments. */
import {
  DirectiveLocation,
  GraphQLDirective,
  GraphQLEnumType,
  GraphQLString,
  getDirectiveValues,
  type OperationDefinitionNode,
} from 'graphql'
import { durationScalar } from '../schema/scalars.ts'
import { type Ask, askedByArguments } from './asked.ts'

const enumOf = (name: string, values: Readonly<Record<string, string>>): GraphQLEnumType =>
  new GraphQLEnumType({
    name,
    values: Object.fromEntries(Object.entries(values).map(([value, description]) => [value, { description }])),
  })

export const freshDirective = new GraphQLDirective({
  name: 'fresh',
  description:
    'How fresh the answer must be. Headers say the same (Forebay-Max-Staleness and so on); where both do, the stricter counts.',
  locations: [DirectiveLocation.QUERY],
  args: {
    maxStaleness: {
      type: durationScalar,
      description: 'All that was in the log so long before the request arrived must be in.',
    },
    after: { type: GraphQLString, description: 'Position tokens, parted by commas: what they name must be in.' },
    consistency: {
      type: enumOf('Consistency', {
        EVENTUAL: 'As fresh as it is.',
        STRONG: 'All that was in the log when the request arrived.',
      }),
    },
    onStale: {
      type: enumOf('OnStale', {
        SERVE: 'Answer anyway, and say so.',
        WAIT: 'Wait until it is as fresh as asked, then fail.',
        FAIL: 'Fail at once.',
      }),
      description: 'What to do where it is not as fresh as asked, or, where nothing is, as promised: WAIT.',
    },
    wait: { type: durationScalar, description: 'How long to wait at most.' },
  },
})

/** Undefined where the operation asks nothing. */
export const readFresh = (
  operation: OperationDefinitionNode,
): ((variables: Readonly<Record<string, unknown>>, key: Buffer) => Ask) | undefined =>
  operation.directives?.some(({ name }) => name.value === freshDirective.name)
    ? (variables, key) => askedByArguments(getDirectiveValues(freshDirective, operation, variables) ?? {}, key)
    : undefined
