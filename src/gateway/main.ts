/** The gateway: authenticate → plan → wait → fetch → mask → respond. */
import { execute, type GraphQLSchema } from 'graphql'
import { LRUCache } from 'lru-cache'
import type { Model } from '../model/model.ts'
import { crossings } from '../model/sql/cross-tenant.ts'
import { decodeView, type StoredView } from '../model/stored-view.ts'
import { type Admission, createAdmission } from '../platform/admission.ts'
import { databaseClock } from '../platform/clock.ts'
import type { Config } from '../platform/config.ts'
import type { Readiness } from '../platform/health.ts'
import type { Route } from '../platform/http.ts'
import { counter } from '../platform/metrics.ts'
import { connect, type Sql } from '../platform/postgres.ts'
import { present } from '../platform/present.ts'
import { connectRedis } from '../platform/redis.ts'
import type { Upgrade } from '../platform/upgrade.ts'
import { type Authenticate, configuredAuthenticator, type Identity } from './access/auth.ts'
import { deriveKeys, readSecret } from './access/secret.ts'
import { createVerdicts, fullVerdict, type Verdict } from './access/verdict.ts'
import { createAnswerCache } from './answer-cache/answer-cache.ts'
import type { Context } from './context.ts'
import { createDocuments } from './documents/documents.ts'
import { readManifests } from './documents/manifest.ts'
import { followChanges } from './feed/feed.ts'
import { answerFreshness, freshnessHeaders } from './freshness/answer-freshness.ts'
import { type ViewFreshness, viewBasis } from './freshness/freshness.ts'
import { createPrompt } from './freshness/prompt.ts'
import { startReplicas } from './freshness/replicas.ts'
import { createServing } from './freshness/serving.ts'
import { openStands } from './freshness/stand.ts'
import { countCrossings, readStatus } from './freshness/status.ts'
import { watchViews } from './freshness/view-metrics.ts'
import { createWait } from './freshness/wait.ts'
import { type Seen, startWatch } from './freshness/watch.ts'
import { graphiqlRoutes } from './graphiql.ts'
import { graphqlRoute, inTime } from './graphql-route.ts'
import { startLease } from './lease.ts'
import { eventStreams } from './live/event-stream.ts'
import { createLive } from './live/live.ts'
import { webSockets } from './live/web-socket.ts'
import { createPlanner } from './plan.ts'
import { createFlights } from './read/flights.ts'
import { createLookupLoads } from './read/lookup-loads.ts'
import { createNearCache, usualNearCacheBytes } from './read/near-cache.ts'
import { createProjector } from './read/project.ts'
import type { ReaderParts } from './read/reader.ts'
import { replicaRun } from './read/replica-run.ts'
import { createRowCache } from './read/row-cache.ts'
import { createRowLoads } from './read/row-loads.ts'
import type { Statement } from './read/row-sql.ts'
import { createRunner, type Run, readPool } from './read/statements.ts'
import { readinessOf } from './readiness.ts'
import { type Asker, askerOf, createOpen, followerOf } from './request.ts'
import { graphqlSchema, rootsOf, sharedTypes } from './schema/schema.ts'
import { startGraphqlServer } from './server.ts'
import type { GraphqlAnswer, GraphqlRequest, Steps } from './steps.ts'

export type GatewayOptions = {
  readonly config: Config
  readonly model: Model
  /** For watching how far the store is; rows are read through a pool of the gateway's own, so neither holds up the other. */
  readonly sql: Sql
  /** For tests: instead of what the configuration says. */
  readonly authenticate?: Authenticate
  readonly watchStatement?: (statement: Statement) => void
  readonly admission?: Admission
}
export type Gateway = {
  readonly routes: readonly Route[]
  readonly upgrades: readonly Upgrade[]
  readonly authenticate: Authenticate
  /** Every view is kept and has a bound. */
  ready(): Promise<Readiness>
  /** Tells whoever follows something live to go elsewhere. */
  leave(): Promise<void>
  stop(): Promise<void>
}

const tenantless = counter({
  name: 'forebay_tenantless_reads_total',
  help: 'Reads that saw nothing because the token carries no tenant.',
  labels: ['view'],
})
/** Throws when the configuration or Postgres doesn't let it start. */
export const startGateway = async (options: GatewayOptions): Promise<Gateway> => {
  const { config, model, sql } = options
  const authenticate = options.authenticate ?? (await configuredAuthenticator(config))
  const keys = deriveKeys(
    await readSecret({ secret: config.secret, production: config.production, dataDir: config.dataDir }),
  )
  const bases = new Map([...model.views.values()].map((view) => [view.name, viewBasis(model, view)]))
  const tables = new Map([...bases].map(([name, { table }]) => [name, table]))
  const clock = databaseClock(sql)
  await clock.refresh()
  const servingOf = () => createServing(model, bases, (generation) => loadDefinition(sql, generation))
  const feed = await followChanges({ sql, ...present({ databaseUrl: config.databaseUrl, redisUrl: config.redisUrl }) })
  const watch = await startWatch({
    sql,
    servingOf: servingOf(),
    told: ({ feeds, serving }, begun) => feed.seen({ feeds, catalog: serving.catalog }, begun),
    covered: ({ feeds }) => feed.covers(feeds),
  })
  const lease = startLease(sql, () => watch.current()?.serving.catalog)
  const metrics = watchViews(watch, bases.values(), clock)
  const reads = config.databaseUrl === undefined ? undefined : connect(config.databaseUrl, readPool)
  const redis = config.redisUrl === undefined ? undefined : connectRedis(config.redisUrl)

  const shared = sharedTypes(model)
  const full = graphqlSchema(model, tables, shared, fullVerdict(model))
  const trusted = await readManifests(config.trustedDocuments ?? [], full)
  const documents = createDocuments(trusted, config.onlyTrusted === true)
  const roots = rootsOf(tables)
  const verdicts = createVerdicts(model)
  const byIdentity = new WeakMap<Identity, Verdict>()
  const verdictOf = (identity: Identity): Verdict => {
    const verdict = byIdentity.get(identity) ?? verdicts(identity.roles, identity.scopes)
    byIdentity.set(identity, verdict)
    return verdict
  }
  const roleSchemas = new LRUCache<string, GraphQLSchema>({ max: 200 })
  const roleSchema = (verdict: Verdict): GraphQLSchema => {
    const known = roleSchemas.get(verdict.key)
    if (known) return known
    const made = graphqlSchema(model, tables, shared, verdict)
    roleSchemas.set(verdict.key, made)
    return made
  }
  const planOf = createPlanner()
  const run = createRunner(reads ?? sql, options.watchStatement)
  const near = createNearCache(feed, config.nearCacheBytes ?? usualNearCacheBytes)
  const caches = { feed, near, rows: redis && createRowCache(redis, () => clock.upper()) }
  const project = createProjector(model, keys.token)
  /** Rows that are read together are read by one server. */
  const readsWith = (own: Run): ReaderParts => ({
    flights: createFlights(own),
    loads: createRowLoads(own, caches),
    lookups: createLookupLoads(own),
    keys,
    project,
    tenantless: (view) => tenantless.inc({ view }),
  })
  const replicas =
    config.databaseReadUrls &&
    startReplicas({
      urls: config.databaseReadUrls,
      primary: sql,
      pool: readPool,
      servingOf,
      now: () => clock.upper(),
      reads: (replica, server) => readsWith(replicaRun(replica, server, run, options.watchStatement)),
    })

  const stands = openStands<ReaderParts>({
    primary: { watch, reads: readsWith(run) },
    replicas,
    wait: createWait(watch, createPrompt(sql)),
    now: () => clock.upper(),
  })

  const now = (): number => clock.upper()
  const known = (authorization: string) => authenticate.known?.(authorization)
  const answers = createAnswerCache({
    feed,
    watch,
    now,
    key: keys.position,
    known,
    ...present({ maxBytes: config.answerCacheBytes }),
  })

  const open = createOpen({
    stands,
    answers,
    keys,
    verdictOf,
    names: feed.names,
    now,
    status: (snapshot) => statusOf(snapshot),
  })
  const statusOf = async (snapshot: Seen) => {
    const status = await readStatus(sql, snapshot, bases, clock.upper())
    return { ...status, crossTenant: countCrossings(run, crossings(model)) }
  }

  const steps: Steps = {
    plan: (document, operation, variables, context) => {
      const { verdict } = context
      const plan = planOf(document, operation, variables, { full, roots, role: roleSchema(verdict) }, verdict)
      context.planned(plan)
    },
    wait: (variables, context) => {
      const reader = context.wait(variables)
      if (!(reader instanceof Promise)) {
        context.reader = reader
        return undefined
      }
      return reader.then((found) => {
        context.reader = found
      })
    },
    execute: async (document, operationName, variables, context) =>
      await execute({
        schema: roleSchema(context.verdict),
        document,
        contextValue: context,
        variableValues: variables,
        operationName,
      }),
    respond: ({ touched, freshness, now, met }) => {
      const views = new Map([...touched].flatMap((view) => tryFreshness(freshness, view)))
      const said = answerFreshness(views, now(), keys.position)
      return said
        ? { extensions: { freshness: { ...said, ...present({ met: met() }) } }, headers: freshnessHeaders(said) }
        : { extensions: {}, headers: [] }
    },
  }
  const server = await startGraphqlServer(full, steps)

  const answer = async (asked: GraphqlRequest, identity: Identity, asker: Asker): Promise<GraphqlAnswer> => {
    const leave = lease.enter(watch.current()?.serving.catalog ?? 0)
    try {
      return await server.run(asked, open(identity, asker))
    } finally {
      leave()
    }
  }
  const { lane } = answers
  const route = graphqlRoute(
    async (asked, context, passage) => {
      const identity = await authenticate(context.request.headers.authorization)
      const given = await answer(asked, identity, askerOf(context, passage !== undefined && lane.isHot(passage)))
      if (passage) lane.learn(passage, identity, given)
      return given
    },
    documents,
    options.admission ?? createAdmission(),
    lane,
  )
  const live = createLive({
    full,
    documents,
    tables,
    feed,
    verdictOf,
    answer: (asked, identity, watched) => inTime(answer(asked, identity, followerOf(asked, watched))),
  })
  const sockets = webSockets(live, authenticate, full)
  const streams = eventStreams(live, authenticate)
  return {
    routes: [route, streams.route, ...(config.production ? [] : graphiqlRoutes())],
    upgrades: [sockets.upgrade],
    authenticate,
    leave: async () => {
      streams.leave()
      await sockets.leave()
    },
    ready: async () => readinessOf(watch.current(), bases.values(), clock.upper()),
    stop: async () => {
      live.stop()
      metrics.stop()
      near.stop()
      answers.stop()
      await watch.stop()
      await feed.stop()
      await replicas?.stop()
      await server.stop()
      await lease.stop()
      redis?.end()
      await reads?.end({ timeout: 1 })
    },
  }
}

const loadDefinition = async (sql: Sql, generation: number): Promise<StoredView | undefined> => {
  const [row] = await sql<{ definition: string | null }[]>`
    select definition::text as definition from forebay.generations where generation = ${generation}`
  return row?.definition == null ? undefined : decodeView(row.definition)
}

const tryFreshness = (freshness: Context['freshness'], view: string): [string, ViewFreshness][] => {
  try {
    return [[view, freshness(view)]]
  } catch {
    return []
  }
}
