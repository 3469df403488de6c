/** The GraphQL schema of a model, as far as a verdict shows it. Its resolvers only ask the request's reader. */
import {
  type GraphQLArgumentConfig,
  GraphQLEnumType,
  type GraphQLFieldConfigArgumentMap,
  GraphQLID,
  GraphQLNonNull,
  GraphQLObjectType,
  GraphQLSchema,
  specifiedDirectives,
} from 'graphql'
import type { Model } from '../../model/model.ts'
import { byIdsName, manyName, oneName } from '../../model/read/generated-names.ts'
import type { ViewTable } from '../../model/view-table.ts'
import { literalOf } from '../access/predicate.ts'
import { lookable, type Verdict, type ViewVerdict } from '../access/verdict.ts'
import { type FieldConfig, readerOf, type ViewRow } from '../context.ts'
import { fieldError } from '../errors.ts'
import { freshDirective } from '../freshness/fresh-directive.ts'
import type { Root } from '../plan.ts'
import { byIdsField } from './by-ids.ts'
import { readGlobalId } from './global-id.ts'
import { type SharedTypes, valueType } from './inputs.ts'
import { liveDirective, subscriptionType } from './live.ts'
import { manyField } from './pages.ts'
import { nodeType, rowTypes } from './rows.ts'
import { forebayType } from './status.ts'

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

export const rootsOf = (tables: ReadonlyMap<string, ViewTable>): ReadonlyMap<string, Root> =>
  new Map(
    [...tables].flatMap(([view, table]): (readonly [string, Root])[] => {
      const key = new Set(table.key.map(({ name }) => name))
      return [
        [oneName(view), { view, many: false, key }],
        [manyName(view), { view, many: true, key }],
        [byIdsName(view), { view, many: false, key: new Set(['ids']) }],
      ]
    }),
  )

// ── one row ─────────────────────────────────────────────────────────────────────────────────────────────────────────
const oneField = (shared: SharedTypes, seen: ViewVerdict, table: ViewTable, type: GraphQLObjectType): FieldConfig => {
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

// ── the whole ───────────────────────────────────────────────────────────────────────────────────────────────────────
const nodeField = (verdict: Verdict, tables: ReadonlyMap<string, ViewTable>): FieldConfig => ({
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
  const fields: Record<string, FieldConfig> = {}
  for (const seen of verdict.views.values()) {
    const type = types.get(seen.view.name)!
    fields[oneName(seen.view.name)] = oneField(shared, seen, tables.get(seen.view.name)!, type)
    fields[manyName(seen.view.name)] = manyField(shared, seen, type)
    fields[byIdsName(seen.view.name)] = byIdsField(shared, seen.view, tables.get(seen.view.name)!, type)
  }
  fields.node = nodeField(verdict, tables)
  if (verdict.operates) {
    fields.forebay = {
      type: new GraphQLNonNull(forebayType),
      description: 'How the engine is.',
      resolve: (_, __, context) => context.status(),
    }
  }
  const subscription = subscriptionType(verdict, tables, shared, types)
  return new GraphQLSchema({
    query: new GraphQLObjectType({ name: 'Query', fields }),
    ...(subscription && { subscription }),
    types: [...types.values()],
    directives: [...specifiedDirectives, freshDirective, liveDirective],
  })
}
