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
    DEGRADED: {
      description:
        'Records that it depends on are in quarantine, or keys of it could not be recomputed: rows say which.',
    },
    UNKNOWN: { description: 'No bound is known.' },
  },
})

const basisType = new GraphQLEnumType({
  name: 'FreshnessBasis',
  values: {
    LOG: { description: 'Every change that was in the log before.' },
    SOURCE: { description: 'Every change that its sources had committed before.' },
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
    basis: { ...required(basisType), description: 'What asOf is a bound of.' },
    logAsOf: {
      ...moment((view: ViewStatus) => view.logAsOf ?? null),
      description: 'The bound about the logs alone, where sources were asked too.',
    },
    lagMs: long((view: ViewStatus) => view.lagMs),
    maxLagMs: long((view: ViewStatus) => view.maxLagMs),
    pending: {
      ...required(GraphQLInt),
      description: 'Entries of the dirty log that wait to be worked in; counted up to 10,000.',
    },
    parkedKeys: {
      ...required(GraphQLInt),
      description: 'Keys that could not be recomputed and are tried again; which and why: forebay explain parked.',
    },
    registered: { type: dateTimeScalar, description: 'Null: no maintainer keeps this definition yet.' },
    rowsEstimate: { ...long((view: ViewStatus) => view.rowsEstimate), description: "Postgres's own estimate." },
    topics: listOf(GraphQLString),
  },
})
type PartitionStatus = Status['sources'][number]['partitions'][number]
const partitionStateType = new GraphQLEnumType({
  name: 'PartitionState',
  values: {
    IDLE: { description: 'All that its log held when it was last asked is applied.' },
    RUNNING: { description: 'Being read.' },
    PAUSED: { description: 'Held back until an operator acts.' },
    STUCK: { description: 'Can not be read on, or its log does not answer: see `needs`.' },
  },
})
const partitionNeedsType = new GraphQLEnumType({
  name: 'PartitionNeeds',
  values: {
    ANSWER: { description: 'Nothing but that its log answers again.' },
    OPERATOR: { description: 'That somebody does what the reason says.' },
  },
})
const partitionType = new GraphQLObjectType<PartitionStatus, Context>({
  name: 'ForebayPartition',
  fields: {
    partition: required(GraphQLInt),
    nextOffset: required(longScalar),
    observedEnd: { type: longScalar },
    observedAt: {
      ...moment((row: PartitionStatus) => row.observedAt),
      description: 'When its log was last asked where it ends, and answered.',
    },
    frontier: {
      ...moment((row: PartitionStatus) => row.frontier),
      description: 'Applied past all that the log held then.',
    },
    sourceFrontier: {
      ...moment((row: PartitionStatus) => row.sourceFrontier),
      description: 'Applied past all that the source itself had committed then. Null where it can not be asked.',
    },
    state: { ...required(partitionStateType), resolve: ({ shown }) => shown.state },
    needs: { type: partitionNeedsType, resolve: ({ shown }) => shown.needs, description: 'What it takes to go on.' },
    since: moment((row: PartitionStatus) => row.shown.since),
    reason: { type: GraphQLString, resolve: ({ shown }) => shown.reason },
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
