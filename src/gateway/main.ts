/** The gateway: authenticate → plan → wait → fetch → mask → respond. */
import { execute, type GraphQLSchema } from 'graphql'
import { LRUCache } from 'lru-cache'
import type { Model } from '../model/model.ts'
import { crossings } from '../model/sql/cross-tenant.ts'
import { decodeView, type StoredView } from '../model/stored-view.ts'
import { databaseClock } from '../platform/clock.ts'
import type { Config } from '../platform/config.ts'
import type { Readiness } from '../platform/health.ts'
import type { RequestContext, Route } from '../platform/http.ts'
import { counter } from '../platform/metrics.ts'
import { connect, type Sql } from '../platform/postgres.ts'
import { connectRedis } from '../platform/redis.ts'
import { type Authenticate, configuredAuthenticator, type Identity } from './access/auth.ts'
import { deriveKeys, readSecret } from './access/secret.ts'
import { createVerdicts, fullVerdict, type Verdict } from './access/verdict.ts'
import type { Context } from './context.ts'
import { refusal } from './errors.ts'
import { answerFreshness, freshnessHeaders } from './freshness/answer-freshness.ts'
import { aged, type Shown, type ViewFreshness, viewBasis, viewFreshness } from './freshness/freshness.ts'
import { createServing } from './freshness/serving.ts'
import { countCrossings, readStatus } from './freshness/status.ts'
import { watchViews } from './freshness/view-metrics.ts'
import { startWatch } from './freshness/watch.ts'
import { graphiqlRoutes } from './graphiql.ts'
import { graphqlRoute } from './graphql-route.ts'
import { startLease } from './lease.ts'
import { limits } from './limits.ts'
import { createPlanner, notRunning, type Plan } from './plan.ts'
import { createProjector } from './read/project.ts'
import { createReader, type ReaderParts } from './read/reader.ts'
import { createRowCache } from './read/row-cache.ts'
import { createRowLoads } from './read/row-loads.ts'
import type { Statement } from './read/row-sql.ts'
import { createRunner } from './read/statements.ts'
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
}
export type Gateway = {
  readonly routes: readonly Route[]
  readonly authenticate: Authenticate
  /** Every view is kept and has a bound. */
  ready(): Promise<Readiness>
  stop(): Promise<void>
}
const readPool = { max: 10, name: 'gateway reads', statementTimeoutMs: limits.statementMs } as const

const tenantless = counter({
  name: 'forebay_tenantless_reads_total',
  help: 'Reads that saw nothing because the token carries no tenant.',
  labels: ['view'],
})
/** Asking for freshness comes in a later step; until then a request that needs it is refused, not answered regardless. */
const askingHeaders = [
  'forebay-max-staleness',
  'forebay-after',
  'forebay-consistency',
  'forebay-on-stale',
  'forebay-wait',
]

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
  const watch = await startWatch(
    sql,
    createServing(model, bases, (generation) => loadDefinition(sql, generation)),
  )
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
  const parts: ReaderParts = {
    run,
    loads: createRowLoads(run, redis && createRowCache(redis, () => clock.upper())),
    keys,
    project: createProjector(model, keys.token),
    tenantless: (view) => tenantless.inc({ view }),
  }

  /** The snapshot is taken before any row is read, so what it says holds for all of them. */
  const open = (identity: Identity, requestId: string): Context => {
    const snapshot = watch.current()
    const known = new Map<string, ViewFreshness>()
    let plan: Plan | undefined
    /** The fields that the answer is about, where rows are read by key and no rule looks at others (C22). */
    const shown = (view: string): Shown => {
      const classes = verdictOf(identity).views.get(view)?.classes
      const unruled = classes?.every(({ rules }) => rules.length === 0)
      return unruled && plan && !plan.whole.has(view) ? plan.columns.get(view) : undefined
    }
    const freshness = (view: string): ViewFreshness => {
      if (!snapshot) throw refusal('UNAVAILABLE', 'The store cannot be reached at the moment. Try again shortly.')
      const basis = snapshot.serving.views.get(view)?.basis
      if (!basis) throw refusal('UNAVAILABLE', `${view} is not kept yet: no ingest process has registered it.`)
      let found = known.get(view)
      if (!found) {
        found = viewFreshness(snapshot, basis, clock.upper(), shown(view))
        known.set(view, found)
      }
      return found
    }
    return {
      identity,
      requestId,
      verdict: verdictOf(identity),
      planned: (made) => {
        plan = made
      },
      served: (view) => snapshot?.serving.views.get(view),
      freshness,
      older: (view, asOf) => known.set(view, aged(freshness(view), clock.upper(), asOf)),
      touched: new Set(),
      now: () => clock.upper(),
      status: async () => {
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
      for (const [view, fields] of plan.columns) {
        context.freshness(view)
        const refused = rebuilding(context.served(view), { view, fields })
        if (refused) throw refused
      }
      const none: ReadonlySet<string> = new Set()
      context.reader = createReader(parts, {
        verdict,
        claims: context.identity.claims,
        columns: (view) => plan.columns.get(view) ?? none,
        served: context.served,
        freshness: context.freshness,
        older: context.older,
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
    respond: ({ touched, freshness, now }) => {
      const views = new Map([...touched].flatMap((view) => tryFreshness(freshness, view)))
      const said = answerFreshness(views, now(), keys.position)
      return said
        ? { extensions: { freshness: said }, headers: freshnessHeaders(said) }
        : { extensions: {}, headers: [] }
    },
  }
  const server = await startGraphqlServer(full, steps)

  const route = graphqlRoute(async (asked, { request, requestId }: RequestContext) => {
    const identity = await authenticate(request.headers.authorization)
    const asking = askingHeaders.find((name) => request.headers[name] !== undefined)
    if (asking !== undefined) throw notRunning(`The header ${asking}`)
    const leave = lease.enter(watch.current()?.serving.catalog ?? 0)
    try {
      return await server.run(asked, open(identity, requestId))
    } finally {
      leave()
    }
  })
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
      await watch.stop()
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
