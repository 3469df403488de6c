/** The types of rows: views and parts, as far as a verdict shows them. */
import {
  GraphQLBoolean,
  GraphQLEnumType,
  type GraphQLFieldConfigMap,
  GraphQLFloat,
  GraphQLID,
  GraphQLInterfaceType,
  GraphQLList,
  GraphQLNonNull,
  GraphQLObjectType,
  type GraphQLOutputType,
  GraphQLString,
} from 'graphql'
import type { Field, Model, Part, View } from '../../model/model.ts'
import { unpromised } from '../../model/rolling.ts'
import { bucketFields } from '../../model/sql/bucket.ts'
import type { Shape, Verdict, ViewVerdict } from '../access/verdict.ts'
import type { Context, ViewRow } from '../context.ts'
import { type FreshnessState, iso, rowState } from '../freshness/freshness.ts'
import type { Fields } from '../read/project.ts'
import { globalId } from './global-id.ts'
import { type SharedTypes, valueType } from './inputs.ts'
import { dateTimeScalar, longScalar } from './scalars.ts'
import { freshnessStateType } from './status.ts'

export const nodeType = new GraphQLInterfaceType({
  name: 'Node',
  description: 'A row of any view.',
  fields: {
    _id: { type: new GraphQLNonNull(GraphQLID), description: 'The argument with which `node` finds the row again.' },
  },
  resolveType: (row: ViewRow) => row.view,
})

type RowFreshness = {
  readonly asOf: number | null
  readonly lagMs: number | null
  readonly state: FreshnessState
  readonly incomplete: boolean
}
const rowFreshnessType = new GraphQLObjectType<RowFreshness, Context>({
  name: 'RowFreshness',
  description: 'How far this row is known to be.',
  fields: {
    asOf: {
      type: dateTimeScalar,
      description: 'Every change that its sources made before is in what is asked of the row. Null: not known.',
      resolve: ({ asOf }) => iso(asOf),
    },
    lagMs: { type: longScalar, resolve: ({ lagMs }) => (lagMs === null ? null : String(lagMs)) },
    state: { type: new GraphQLNonNull(freshnessStateType) },
    incomplete: {
      type: new GraphQLNonNull(GraphQLBoolean),
      description: 'Something that the row is promised to have had not arrived; what depends on it is left out.',
    },
  },
})

const bucketStateType = new GraphQLEnumType({
  name: 'BucketState',
  description: 'Whether the time of a row is over.',
  values: {
    PRELIMINARY: { description: 'More may happen in it, or may have happened and not have arrived.' },
    FINAL: {
      description:
        'Its end is past by the lateness that was allowed for. What comes later still would correct the row.',
    },
  },
})

/** The state of a bucket tells something of its time, so whoever does not see that does not see this. */
const showsBucket = (view: View, shape: Shape): boolean => {
  const buckets = bucketFields(view)
  return buckets.length > 0 && buckets.every(({ name }) => shape.has(name))
}

/** What a verdict shows of a part, wherever the part occurs: `all` holds the fields shown at some place, `always` those at each. */
type Occurrence = { readonly all: Set<string>; readonly always: Set<string>; readonly tokens: Set<string> }

const occurrencesOf = (model: Model, verdict: Verdict): ReadonlyMap<string, Occurrence> => {
  const found = new Map<string, Occurrence>()
  const visit = (fields: readonly Field[], shape: Shape): void => {
    for (const field of fields) {
      const below = shape.get(field.name)?.part
      const part = field.type.kind === 'part' ? model.parts.get(field.type.part) : undefined
      if (!below || !part) continue
      const known = found.get(part.name)
      const tokens = [...below].flatMap(([name, { form }]) => (form === 'tokenized' ? [name] : []))
      found.set(part.name, {
        all: new Set([...(known?.all ?? []), ...below.keys()]),
        always: new Set([...below.keys()].filter((name) => known?.always.has(name) ?? true)),
        tokens: new Set([...(known?.tokens ?? []), ...tokens]),
      })
      visit(part.fields, below)
    }
  }
  for (const { view, shape, classShapes } of verdict.views.values()) {
    visit(view.fields, shape)
    for (const one of classShapes) visit(view.fields, one)
  }
  return found
}

/** `optional`: some reader of the rows sees nothing there, so it can't be promised. */
const outputType = (
  shared: SharedTypes,
  field: Field,
  parts: ReadonlyMap<string, GraphQLObjectType>,
  options: { readonly optional: boolean; readonly token: boolean },
): GraphQLOutputType => {
  const { type } = field
  const text = options.token && type.kind === 'scalar' && type.scalar === 'Date'
  const base = type.kind === 'part' ? parts.get(type.part)! : text ? GraphQLString : valueType(shared, type)
  const whole = field.list ? new GraphQLList(new GraphQLNonNull(base)) : base
  return field.nonNull && !options.optional ? new GraphQLNonNull(whole) : whole
}

const isRaw = (value: unknown): value is { readonly rawJSON: string } =>
  typeof value === 'object' && value !== null && 'rawJSON' in value
/** A Float whose digits were kept as text is a number after all. */
const asNumber = (value: unknown): unknown => (isRaw(value) ? Number(value.rawJSON) : value)

const fieldConfig = (field: Field, type: GraphQLOutputType, fieldsOf: (row: never) => Fields) => {
  const float = field.type.kind === 'scalar' && scalarIs(field, GraphQLFloat.name)
  return {
    type,
    ...(field.description !== undefined && { description: field.description }),
    ...(field.deprecated !== undefined && { deprecationReason: field.deprecated }),
    extensions: { personal: field.lineage.tags.length > 0 },
    resolve: (row: unknown) => {
      const value = fieldsOf(row as never)[field.name]
      if (!float) return value
      return Array.isArray(value) ? value.map(asNumber) : asNumber(value)
    },
  }
}
const scalarIs = (field: Field, name: string): boolean => field.type.kind === 'scalar' && field.type.scalar === name

export const rowTypes = (
  model: Model,
  shared: SharedTypes,
  verdict: Verdict,
): ReadonlyMap<string, GraphQLObjectType> => {
  const occurrences = occurrencesOf(model, verdict)
  const parts = new Map<string, GraphQLObjectType>()
  const partType = (part: Part, { all, always, tokens }: Occurrence): GraphQLObjectType =>
    new GraphQLObjectType<Fields, Context>({
      name: part.name,
      ...(part.description !== undefined && { description: part.description }),
      extensions: { shaped: true },
      fields: () =>
        fieldMap(
          part.fields.filter(({ name }) => all.has(name)),
          (field) =>
            fieldConfig(
              field,
              outputType(shared, field, parts, { optional: !always.has(field.name), token: tokens.has(field.name) }),
              (row: Fields) => row,
            ),
        ),
    })
  for (const part of model.parts.values()) {
    const occurrence = occurrences.get(part.name)
    if (occurrence) parts.set(part.name, partType(part, occurrence))
  }
  return new Map([...verdict.views.values()].map((seen) => [seen.view.name, viewType(shared, seen, parts)]))
}

const viewType = (
  shared: SharedTypes,
  { view, shape, classShapes }: ViewVerdict,
  parts: ReadonlyMap<string, GraphQLObjectType>,
): GraphQLObjectType => {
  const unsure = unpromised(view.fields)
  return new GraphQLObjectType<ViewRow, Context>({
    name: view.name,
    ...(view.description !== undefined && { description: view.description }),
    extensions: { shaped: true },
    interfaces: [nodeType],
    isTypeOf: (row) => row.view === view.name,
    fields: () => ({
      ...fieldMap(shown(view, shape), (field) => {
        const optional = unsure.has(field.name) || classShapes.some((one) => !one.has(field.name))
        const token = classShapes.some((one) => one.get(field.name)?.form === 'tokenized')
        return fieldConfig(field, outputType(shared, field, parts, { optional, token }), (row: ViewRow) => row.fields)
      }),
      _id: { type: new GraphQLNonNull(GraphQLID), resolve: (row) => globalId(row) },
      ...([shape, ...classShapes].every((one) => showsBucket(view, one)) && {
        _bucket: {
          type: new GraphQLNonNull(bucketStateType),
          description: 'Whether the time that the row is about is over.',
          resolve: (row: ViewRow) => row.bucket,
        },
      }),
      _freshness: {
        type: new GraphQLNonNull(rowFreshnessType),
        resolve: (row, _, context): RowFreshness => {
          const lagMs = row.asOf === null ? null : Math.max(0, context.now() - row.asOf)
          const state = rowState(context.freshness(row.view), lagMs, row.degraded)
          return { asOf: row.asOf, lagMs, state, incomplete: row.incomplete }
        },
      },
    }),
  })
}

const shown = (view: View, shape: Shape): readonly Field[] => view.fields.filter(({ name }) => shape.has(name))
const fieldMap = <Source>(
  fields: readonly Field[],
  config: (field: Field) => GraphQLFieldConfigMap<Source, Context>[string],
): GraphQLFieldConfigMap<Source, Context> => Object.fromEntries(fields.map((field) => [field.name, config(field)]))
