/** `forebay { … }`: how the engine is, for those who run it. */
import {
  GraphQLEnumType,
  GraphQLInt,
  GraphQLList,
  GraphQLNonNull,
  GraphQLObjectType,
  type GraphQLOutputType,
  GraphQLString,
} from 'graphql'
import type { Context } from '../context.ts'
import { iso } from '../freshness/freshness.ts'
import type { Status } from '../freshness/status.ts'
import { dateTimeScalar, longScalar } from './scalars.ts'

export const freshnessStateType = new GraphQLEnumType({
  name: 'FreshnessState',
  values: {
    FRESH: { description: 'Behind by at most half of what is promised.' },
    LAGGING: { description: 'Within the promise, but past half of it.' },
    STALE: { description: 'Behind by more than is promised.' },
    DEGRADED: { description: 'Records that it depends on could not be applied and are in quarantine.' },
    UNKNOWN: { description: 'No bound is known.' },
  },
})

const required = (type: GraphQLOutputType) => ({ type: new GraphQLNonNull(type) })
const listOf = (type: GraphQLOutputType) => required(new GraphQLList(new GraphQLNonNull(type)))
const moment = (of: (row: never) => number | null) => ({
  type: dateTimeScalar,
  resolve: (row: unknown) => iso(of(row as never)),
})
const long = (of: (row: never) => number | null) => ({
  type: longScalar,
  resolve: (row: unknown) => of(row as never)?.toString() ?? null,
})

type ViewStatus = Status['views'][number]
const viewStatusType = new GraphQLObjectType<ViewStatus, Context>({
  name: 'ForebayView',
  fields: {
    name: required(GraphQLString),
    hash: { ...required(GraphQLString), description: 'Of its definition; names its table.' },
    state: required(freshnessStateType),
    asOf: moment((view: ViewStatus) => view.asOf),
    lagMs: long((view: ViewStatus) => view.lagMs),
    maxLagMs: long((view: ViewStatus) => view.maxLagMs),
    pending: { ...required(GraphQLInt), description: 'Entries of the dirty log that wait to be worked in.' },
    registered: { type: dateTimeScalar, description: 'Null: no maintainer keeps this definition yet.' },
    rowsEstimate: { ...long((view: ViewStatus) => view.rowsEstimate), description: "Postgres's own estimate." },
    topics: listOf(GraphQLString),
  },
})
const partitionType = new GraphQLObjectType({
  name: 'ForebayPartition',
  fields: {
    partition: required(GraphQLInt),
    nextOffset: required(longScalar),
    observedEnd: { type: longScalar },
    frontier: {
      ...moment((row: { frontier: number | null }) => row.frontier),
      description: 'Applied past all that the log held then.',
    },
    state: required(GraphQLString),
    reason: { type: GraphQLString },
  },
})
const sourceType = new GraphQLObjectType({
  name: 'ForebaySource',
  fields: { topic: required(GraphQLString), partitions: listOf(partitionType) },
})
const parkedType = new GraphQLObjectType({
  name: 'ForebayParked',
  fields: {
    topic: required(GraphQLString),
    entity: { type: GraphQLString },
    count: required(GraphQLInt),
    oldest: { ...required(GraphQLString), description: '`topic-partition-offset`' },
    reasons: { ...listOf(GraphQLString), description: 'At most five different ones.' },
  },
})
const crossingType = new GraphQLObjectType({
  name: 'ForebayCrossing',
  fields: {
    join: { ...required(GraphQLString), description: '`Entity.field`' },
    count: { type: GraphQLInt, description: 'Counted when asked for, over both tables.' },
  },
})
export const forebayType = new GraphQLObjectType<Status, Context>({
  name: 'Forebay',
  fields: {
    views: listOf(viewStatusType),
    sources: listOf(sourceType),
    quarantine: listOf(parkedType),
    crossTenant: {
      ...listOf(crossingType),
      description: 'By join: pairs of rows that it would bring together but for their tenants. No view shows them.',
    },
  },
})
