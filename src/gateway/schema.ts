/** The GraphQL schema of a model, as far as a verdict shows it. Its resolvers only ask the request's reader. */
import {
  DirectiveLocation,
  type GraphQLArgumentConfig,
  GraphQLBoolean,
  GraphQLDirective,
  GraphQLEnumType,
  type GraphQLFieldConfig,
  type GraphQLFieldConfigArgumentMap,
  GraphQLID,
  GraphQLInt,
  GraphQLList,
  GraphQLNonNull,
  GraphQLObjectType,
  GraphQLSchema,
  GraphQLString,
  specifiedDirectives,
} from 'graphql'
import type { Model, View } from '../model/model.ts'
import type { ViewTable } from '../model/view-table.ts'
import { type Context, countLimit, type Page, type Reader, type ViewRow } from './context.ts'
import { fieldError } from './errors.ts'
import { manyName, oneName } from './field-names.ts'
import { readGlobalId } from './global-id.ts'
import { limits } from './limits.ts'
import type { Root } from './plan.ts'
import { literalOf } from './predicate.ts'
import { durationScalar } from './scalars.ts'
import { orderOf, type SharedTypes, searchArguments, valueType, whereOf } from './schema-inputs.ts'
import { nodeType, rowTypes } from './schema-rows.ts'
import { forebayType } from './schema-status.ts'
import { lookable, searchable, type Verdict, type ViewVerdict } from './verdict.ts'

type Arguments = Readonly<Record<string, unknown>>
type Config = GraphQLFieldConfig<unknown, Context, Arguments>

/** What all schemas of one model share. */
export const sharedTypes = (model: Model): SharedTypes => ({
  enums: new Map(
    [...model.enums.values()].map(({ name, description, values }) => [
      name,
      new GraphQLEnumType({
        name,
        ...(description !== undefined && { description }),
        values: Object.fromEntries(
          values.map((value) => [
            value.name,
            { value: value.name, ...(value.description !== undefined && { description: value.description }) },
          ]),
        ),
      }),
    ]),
  ),
  direction: new GraphQLEnumType({
    name: 'OrderDirection',
    description: 'Rows without a value come last in either.',
    values: { ASC: { value: 'ASC' }, DESC: { value: 'DESC' } },
  }),
  filters: new Map(),
})

const enumOf = (name: string, ...values: string[]): GraphQLEnumType =>
  new GraphQLEnumType({ name, values: Object.fromEntries(values.map((value) => [value, {}])) })
const freshDirective = new GraphQLDirective({
  name: 'fresh',
  description: 'How fresh the answer must be. Not running yet: refused.',
  locations: [DirectiveLocation.QUERY],
  args: {
    maxStaleness: { type: durationScalar },
    after: { type: GraphQLString },
    consistency: { type: enumOf('Consistency', 'EVENTUAL', 'STRONG') },
    onStale: { type: enumOf('OnStale', 'SERVE', 'WAIT', 'FAIL') },
    wait: { type: durationScalar },
  },
})

const pageInfoType = new GraphQLObjectType({
  name: 'PageInfo',
  fields: {
    hasNextPage: { type: new GraphQLNonNull(GraphQLBoolean) },
    hasPreviousPage: { type: new GraphQLNonNull(GraphQLBoolean) },
    startCursor: { type: GraphQLString },
    endCursor: { type: GraphQLString },
  },
})

export const rootsOf = (model: Model): ReadonlyMap<string, Root> =>
  new Map(
    [...model.views.keys()].flatMap((view): (readonly [string, Root])[] => [
      [oneName(view), { view, many: false }],
      [manyName(view), { view, many: true }],
    ]),
  )

const readerOf = (context: Context, view: string): Reader => {
  context.touched.add(view)
  if (!context.reader) throw new Error('no reader: the operation was not planned')
  return context.reader
}

// ── one row ─────────────────────────────────────────────────────────────────────────────────────────────────────────
const oneField = (shared: SharedTypes, seen: ViewVerdict, table: ViewTable, type: GraphQLObjectType): Config => {
  const { view } = seen
  const lookups = view.fields.filter((field) => field.type.kind !== 'part' && lookable(seen, field))
  const alone = lookups.length === 0
  const argument = (key: ViewTable['key'][number]): GraphQLArgumentConfig => {
    const inner = valueType(shared, key.type)
    return { type: alone && !key.nullable ? new GraphQLNonNull(inner) : inner }
  }
  const args: GraphQLFieldConfigArgumentMap = Object.fromEntries([
    ...table.key.map((key) => [key.name, argument(key)] as const),
    ...lookups
      .filter(({ name }) => !table.key.some((key) => key.name === name))
      .map((field) => [
        field.name,
        {
          type: field.type.kind === 'part' ? GraphQLID : valueType(shared, field.type),
          description: 'Instead of the key. An error when several rows have it.',
          extensions: { coordinate: `${view.name}.${field.name}` },
        },
      ]),
  ])
  const choices = [table.key.map(({ name }) => name).join(' and '), ...lookups.map(({ name }) => name)]
  const choose = `${oneName(view.name)} needs ${choices.length > 1 ? `exactly one of ${choices.join(', ')}` : choices[0]}.`
  return {
    type,
    args,
    ...(view.description !== undefined && { description: view.description }),
    resolve: async (_, given, context) => {
      const reader = readerOf(context, view.name)
      // An explicit null names a null group; elsewhere it names nothing.
      const byKey = table.key.filter(
        ({ name, nullable }) => given[name] !== undefined && (nullable || given[name] !== null),
      )
      const byLookup = lookups.filter(
        ({ name }) => !table.key.some((key) => key.name === name) && given[name] !== undefined && given[name] !== null,
      )
      if (byLookup.length === 1 && byKey.length === 0)
        return await reader.byLookup(view, byLookup[0]!.name, given[byLookup[0]!.name])
      if (byLookup.length > 0 || byKey.length < table.key.length) throw fieldError('BAD_USER_INPUT', choose)
      return await reader.byKey(
        view,
        table.key.map(({ name }) => (given[name] === null ? null : String(given[name]))),
      )
    },
  }
}

// ── pages ───────────────────────────────────────────────────────────────────────────────────────────────────────────
/** Pages and counts are read only when something of them is asked for. */
type Connection = {
  readonly page: () => Promise<Page>
  readonly backward: boolean
  readonly from: boolean
  readonly count: () => Promise<number>
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
        description: `Of the rows that this reader may see and that match; counted up to ${countLimit}.`,
        resolve: async ({ count }) => Math.min(await count(), countLimit),
      },
      totalCountCapped: {
        type: new GraphQLNonNull(GraphQLBoolean),
        description: `There are more than ${countLimit}.`,
        resolve: async ({ count }) => (await count()) > countLimit,
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

const manyField = (shared: SharedTypes, seen: ViewVerdict, row: GraphQLObjectType): Config => {
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

// ── the whole ───────────────────────────────────────────────────────────────────────────────────────────────────────
const nodeField = (verdict: Verdict, tables: ReadonlyMap<string, ViewTable>): Config => ({
  type: nodeType,
  description: 'A row of any view by its `_id`; null where there is none that this reader may see.',
  args: { id: { type: new GraphQLNonNull(GraphQLID) } },
  resolve: async (_, { id }, context): Promise<ViewRow | null> => {
    const named = readGlobalId(String(id))
    const table = named && tables.get(named.view)
    if (!named || !table || named.key.length !== table.key.length)
      throw fieldError('BAD_USER_INPUT', 'This is no id: pass on an `_id` as it was answered.')
    const key = named.key.map((text, i) => (text === null ? null : literalOf(text, table.key[i]!.type)))
    const seen = verdict.views.get(named.view)
    if (!seen || key.some((value, i) => value === undefined || (value === null && !table.key[i]!.nullable))) return null
    return await readerOf(context, named.view).byKey(seen.view, key as (string | null)[])
  },
})

export const graphqlSchema = (
  model: Model,
  tables: ReadonlyMap<string, ViewTable>,
  shared: SharedTypes,
  verdict: Verdict,
): GraphQLSchema => {
  const types = rowTypes(model, shared, verdict)
  const fields: Record<string, Config> = {}
  for (const seen of verdict.views.values()) {
    const type = types.get(seen.view.name)!
    fields[oneName(seen.view.name)] = oneField(shared, seen, tables.get(seen.view.name)!, type)
    fields[manyName(seen.view.name)] = manyField(shared, seen, type)
  }
  fields.node = nodeField(verdict, tables)
  if (verdict.operates) {
    fields.forebay = {
      type: new GraphQLNonNull(forebayType),
      description: 'How the engine is.',
      resolve: (_, __, context) => context.status(),
    }
  }
  return new GraphQLSchema({
    query: new GraphQLObjectType({ name: 'Query', fields }),
    types: [...types.values()],
    directives: [...specifiedDirectives, freshDirective],
  })
}
