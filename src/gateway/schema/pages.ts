/** A view's rows in pages: a Relay connection. */
import { GraphQLBoolean, GraphQLInt, GraphQLList, GraphQLNonNull, GraphQLObjectType, GraphQLString } from 'graphql'
import type { View } from '../../model/model.ts'
import { searchable, type ViewVerdict } from '../access/verdict.ts'
import {
  type Arguments,
  type Context,
  type Count,
  countLimit,
  type FieldConfig,
  type Page,
  readerOf,
} from '../context.ts'
import { fieldError } from '../errors.ts'
import { limits } from '../limits.ts'
import { orderOf, type SharedTypes, searchArguments, whereOf } from './inputs.ts'

const pageInfoType = new GraphQLObjectType({
  name: 'PageInfo',
  fields: {
    hasNextPage: { type: new GraphQLNonNull(GraphQLBoolean) },
    hasPreviousPage: { type: new GraphQLNonNull(GraphQLBoolean) },
    startCursor: { type: GraphQLString },
    endCursor: { type: GraphQLString },
  },
})

/** Pages and counts are read only when something of them is asked for. */
type Connection = {
  readonly page: () => Promise<Page>
  readonly backward: boolean
  readonly from: boolean
  readonly count: () => Promise<Count>
}

const connectionType = (view: View, row: GraphQLObjectType): GraphQLObjectType => {
  const edge = new GraphQLObjectType<Page['rows'][number], Context>({
    name: `${view.name}Edge`,
    fields: {
      node: { type: new GraphQLNonNull(row), resolve: (edge) => edge.row },
      cursor: { type: new GraphQLNonNull(GraphQLString) },
    },
  })
  return new GraphQLObjectType<Connection, Context>({
    name: `${view.name}Connection`,
    fields: {
      edges: {
        type: new GraphQLNonNull(new GraphQLList(new GraphQLNonNull(edge))),
        resolve: async ({ page }) => (await page()).rows,
      },
      nodes: {
        type: new GraphQLNonNull(new GraphQLList(new GraphQLNonNull(row))),
        resolve: async ({ page }) => (await page()).rows.map((one) => one.row),
      },
      pageInfo: {
        type: new GraphQLNonNull(pageInfoType),
        resolve: async ({ page, backward, from }) => {
          const { rows, more } = await page()
          return {
            hasNextPage: backward ? from : more,
            hasPreviousPage: backward ? more : from,
            startCursor: rows[0]?.cursor ?? null,
            endCursor: rows.at(-1)?.cursor ?? null,
          }
        },
      },
      totalCount: {
        type: new GraphQLNonNull(GraphQLInt),
        description: `Of the rows that this reader may see and that match: exact up to ${countLimit}, else an estimate from a sample of them, of two digits.`,
        resolve: async ({ count }) => (await count()).rows,
      },
      totalCountEstimated: {
        type: new GraphQLNonNull(GraphQLBoolean),
        description: `There are more than ${countLimit}, and totalCount is an estimate.`,
        resolve: async ({ count }) => (await count()).estimated,
      },
    },
  })
}

const once = <T>(make: () => Promise<T>): (() => Promise<T>) => {
  let made: Promise<T> | undefined
  return () => {
    made ??= make()
    return made
  }
}

const sizeOf = (name: string, value: unknown): number => {
  if (typeof value !== 'number' || value < 0 || value > limits.pageSize) {
    throw fieldError('BAD_USER_INPUT', `${name} must be from 0 to ${limits.pageSize}.`)
  }
  return value
}
/** Which way and how far: `first`/`after` or `last`/`before`. */
const windowOf = (given: Arguments): { limit: number; backward: boolean; from: string | undefined } => {
  const has = (name: string): boolean => given[name] !== undefined && given[name] !== null
  const backward = has('last') || has('before')
  if (backward && (has('first') || has('after'))) {
    throw fieldError('BAD_USER_INPUT', 'Page forward with first and after, or backward with last and before, not both.')
  }
  const [size, place] = backward ? (['last', 'before'] as const) : (['first', 'after'] as const)
  return {
    limit: has(size) ? sizeOf(size, given[size]) : limits.defaultPageSize,
    backward,
    from: has(place) ? String(given[place]) : undefined,
  }
}

export const manyField = (shared: SharedTypes, seen: ViewVerdict, row: GraphQLObjectType): FieldConfig => {
  const { view } = seen
  return {
    type: new GraphQLNonNull(connectionType(view, row)),
    args: {
      ...searchArguments(shared, view, (field) => searchable(seen, field)),
      first: {
        type: GraphQLInt,
        description: `At most ${limits.pageSize}; ${limits.defaultPageSize} where neither first nor last is given.`,
      },
      after: { type: GraphQLString },
      last: { type: GraphQLInt },
      before: { type: GraphQLString },
    },
    resolve: (_, given, context): Connection => {
      const reader = readerOf(context, view.name)
      const where = given.where ? whereOf(view, given.where as Arguments) : undefined
      const orderBy = orderOf((given.orderBy ?? []) as readonly Arguments[])
      const window = windowOf(given)
      return {
        page: once(() => reader.page(view, { where, orderBy, ...window })),
        count: once(() => reader.count(view, where)),
        backward: window.backward,
        from: window.from !== undefined,
      }
    },
  }
}
