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
import type { RequestContext, Route } from '../platform/http.ts'
import { counter } from '../platform/metrics.ts'
import { connect, type Sql } from '../platform/postgres.ts'
import { present } from '../platform/present.ts'
import { connectRedis } from '../platform/redis.ts'
import { type Authenticate, configuredAuthenticator, type Identity } from './access/auth.ts'
import { deriveKeys, readSecret } from './access/secret.ts'
import { createVerdicts, fullVerdict, type Verdict } from './access/verdict.ts'
import { createAnswerCache } from './answer-cache/answer-cache.ts'
import type { Context, Reader } from './context.ts'
import { refusal } from './errors.ts'
import { followChanges } from './feed/feed.ts'
import { answerFreshness, freshnessHeaders } from './freshness/answer-freshness.ts'
import { askedByHeaders, stricter } from './freshness/asked.ts'
import { type Shown, type ViewFreshness, viewBasis, viewFreshness } from './freshness/freshness.ts'
import { createPrompt } from './freshness/prompt.ts'
import { startReplicas } from './freshness/replicas.ts'
import { createServing } from './freshness/serving.ts'
import { openStands } from './freshness/stand.ts'
import { countCrossings, readStatus } from './freshness/status.ts'
import { watchViews } from './freshness/view-metrics.ts'
import { createWait } from './freshness/wait.ts'
import { startWatch } from './freshness/watch.ts'
import { graphiqlRoutes } from './graphiql.ts'
import { graphqlRoute } from './graphql-route.ts'
import { startLease } from './lease.ts'
import { createPlanner, type Plan } from './plan.ts'
import { createFlights } from './read/flights.ts'
import { createLookupLoads } from './read/lookup-loads.ts'
import { createNearCache, usualNearCacheBytes } from './read/near-cache.ts'
import { createProjector } from './read/project.ts'
import { createReader, type ReaderParts } from './read/reader.ts'
import { replicaRun } from './read/replica-run.ts'
import { createRowCache } from './read/row-cache.ts'
import { createRowLoads } from './read/row-loads.ts'
import type { Statement } from './read/row-sql.ts'
import { createRunner, type Run, readPool } from './read/statements.ts'
import { rebuilding } from './rebuilding.ts'
import { graphqlSchema, rootsOf, sharedTypes } from './schema/schema.ts'
import { startGraphqlServer } from './server.ts'
import type { Steps } from './steps.ts'

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
  readonly authenticate: Authenticate
  /** Every view is kept and has a bound. */
  ready(): Promise<Readiness>
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

  /** The snapshot is taken before any row is read, so what it says holds for all of them. */
  const open = (identity: Identity, caller: RequestContext, hot: boolean): Context => {
    const { request, requestId, response } = caller
    const asked = askedByHeaders(request.headers, keys.position)
    let plan: Plan | undefined
    let waiting: Promise<Reader> | undefined
    /** The fields that the answer is about, where rows are read by key and no rule looks at others (C22). */
    const shown = (view: string): Shown => {
      const classes = verdictOf(identity).views.get(view)?.classes
      const unruled = classes?.every(({ rules }) => rules.length === 0)
      return unruled && plan && !plan.whole.has(view) ? plan.columns.get(view) : undefined
    }
    const gone = (left: () => void): (() => void) => {
      response.once('close', left)
      return () => response.off('close', left)
    }
    const stand = stands({ shown, gone })
    const { freshness, served, older, floor } = stand
    const verdict = verdictOf(identity)
    const { claims } = identity
    const keeping = hot ? answers.keepings({ verdict, claims, served, feeds: () => stand.seen()?.feeds }) : undefined
    /** Of what is served once it has been waited for. */
    const opened = ({ columns }: Plan): Reader => {
      for (const [view, fields] of columns) {
        freshness(view)
        const refused = rebuilding(served(view), { view, fields })
        if (refused) throw refused
      }
      const none: ReadonlySet<string> = new Set()
      return createReader(stand.reads(), {
        verdict,
        claims,
        columns: (view) => columns.get(view) ?? none,
        served,
        freshness,
        older,
        floor,
        feeds: stand.feeds,
        snapshot: stand.seen,
        signal: () => caller.gone,
        trace: keeping?.trace,
      })
    }
    return {
      identity,
      requestId,
      verdict,
      planned: (made) => {
        plan = made
      },
      personal: () => plan?.personal ?? true,
      served,
      freshness,
      older,
      wait: (variables) => {
        const made = plan
        if (!made) throw new Error('what is not planned was waited for')
        if (waiting) return waiting
        const ask = made.fresh ? stricter(asked, made.fresh(variables, keys.position)) : asked
        waiting = stand.settle(ask, made.columns.keys())?.then(() => opened(made))
        return waiting ?? opened(made)
      },
      met: stand.met,
      ...present({ keeping }),
      plan: () => {
        if (!plan) throw new Error('what is not planned was asked for its plan')
        return plan
      },
      touched: new Set(),
      now: () => clock.upper(),
      status: async () => {
        const snapshot = stand.seen()
        if (!snapshot) throw refusal('UNAVAILABLE', 'The store cannot be reached at the moment. Try again shortly.')
        const status = await readStatus(sql, snapshot, bases, clock.upper())
        return { ...status, crossTenant: countCrossings(run, crossings(model)) }
      },
    }
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

  const { lane } = answers
  const route = graphqlRoute(
    async (asked, request: RequestContext, passage) => {
      const identity = await authenticate(request.request.headers.authorization)
      const leave = lease.enter(watch.current()?.serving.catalog ?? 0)
      try {
        const given = await server.run(asked, open(identity, request, passage !== undefined && lane.isHot(passage)))
        if (passage) lane.learn(passage, identity, given)
        return given
      } finally {
        leave()
      }
    },
    options.admission ?? createAdmission(),
    lane,
  )
  return {
    routes: [route, ...(config.production ? [] : graphiqlRoutes())],
    authenticate,
    ready: async () => {
      const snapshot = watch.current()
      if (!snapshot) return { ready: false, reason: 'Postgres does not answer' }
      // One that waits for somebody to act keeps no other view from being asked for.
      const { views, outdated } = snapshot.serving
      if (outdated.length > 0)
        return {
          ready: false,
          reason: `${outdated.join(', ')}: another definition has taken the place of this folder's, which is not kept any more; start with the folder that ingest has`,
        }
      const waiting = [...bases.values()].filter((own) => {
        const basis = views.get(own.view.name)?.basis ?? own
        const { asOf, sources } = viewFreshness(snapshot, basis, clock.upper())
        return asOf === null && !sources.some(({ state }) => state === 'PAUSED')
      })
      const names = waiting.map(({ view }) => view.name).join(', ')
      return waiting.length === 0 ? { ready: true } : { ready: false, reason: `not caught up yet: ${names}` }
    },
    stop: async () => {
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
