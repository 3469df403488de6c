/** `forebay start`, `ingest` and `gateway`: the halves, on one HTTP server, over one database. */
import { setTimeout as sleep } from 'node:timers/promises'
import { configuredAuthenticator } from '../gateway/access/auth.ts'
import { startGateway } from '../gateway/main.ts'
import { missingConnections } from '../ingest/feed/feeds-of.ts'
import { startIngest } from '../ingest/main.ts'
import { missingRegistry } from '../ingest/registry/open.ts'
import { statementMs } from '../ingest/session-settings.ts'
import type { Model } from '../model/model.ts'
import { type Config, ConfigError } from '../platform/config.ts'
import { startPostgres } from '../platform/embedded-postgres.ts'
import { type Checks, healthRoutes, type Readiness, readiness } from '../platform/health.ts'
import { type Route, serve } from '../platform/http.ts'
import { type Lifetime, supervise } from '../platform/lifetime.ts'
import { log } from '../platform/log.ts'
import { connect, placeOf, type Sql, untilReachable } from '../platform/postgres.ts'
import { present } from '../platform/present.ts'
import type { Upgrade } from '../platform/upgrade.ts'
import { prepareDatabase, startupCheck } from './migrate/install.ts'
import { readModel } from './read-model.ts'

export type Halves = { readonly ingest: boolean; readonly gateway: boolean }
export const both: Halves = { ingest: true, gateway: true }

export type Running = {
  /** As given, with the embedded database's address where there is one. */
  readonly config: Config
  readonly model: Model
  /** The database is the embedded one. */
  readonly embedded: boolean
  /** A pool of a few connections for whoever started this. */
  readonly sql: Sql
  readonly port: number
  ready(): Promise<Readiness>
}

/**
 * Starts what `halves` names and returns once it listens; queries may still be UNAVAILABLE until `ready`. `migrate`: brings the
 * database to the model first, otherwise it must fit already. Everything opened is closed by the lifetime.
 * Throws, with a message for the operator, when the schema has faults, the database can't be had or doesn't fit, or the port is taken.
 */
export const startForebay = async (
  given: Config,
  { resources, allow, fail }: Lifetime,
  { halves = both, migrate = true }: { readonly halves?: Halves; readonly migrate?: boolean } = {},
): Promise<Running> => {
  const model = await readModel(given.schema)
  const missing = halves.ingest
    ? [...missingConnections(model, given.connections ?? {}), ...missingRegistry(model, given.schemaRegistry)]
    : []
  if (missing.length > 0) throw new ConfigError(missing)
  const databaseUrl = given.databaseUrl ?? (await embed(given, { resources, fail }))
  const config = { ...given, databaseUrl }
  const pool = (name: string, max: number, statementTimeoutMs?: number): Sql => {
    const sql = connect(databaseUrl, { max, name, ...present({ statementTimeoutMs }) })
    resources.defer(() => sql.end({ timeout: 1 }))
    return sql
  }
  const sql = pool('operate', 3)
  await untilReachable(sql, databaseUrl, 10_000, (reason) => log.warn('postgres.waiting', { reason }))
  await (migrate ? prepareDatabase(sql, model, config.schema) : startupCheck(sql, model))

  const routes: Route[] = []
  const upgrades: Upgrade[] = []
  let leave = async (): Promise<void> => {}
  let leaving = false
  const checks: Record<string, () => Promise<Readiness>> = {
    process: async () => (leaving ? { ready: false, reason: 'asked to stop' } : { ready: true }),
  }
  // Kafka is written to by others; the journal takes records from whoever has a token.
  const authenticate = halves.gateway || !config.kafkaBrokers ? await configuredAuthenticator(config) : undefined
  if (halves.gateway) {
    const gateway = await startGateway({
      config,
      model,
      sql: pool('gateway', 3, statementMs),
      ...present({ authenticate }),
    })
    resources.defer(() => gateway.stop())
    routes.push(...gateway.routes)
    upgrades.push(...gateway.upgrades)
    leave = gateway.leave
    checks.gateway = gateway.ready
  }
  if (halves.ingest) {
    const ingest = await startIngest({
      config,
      model,
      sql: pool('ingest', 10, statementMs),
      failed: fail,
      ...present({ authenticate }),
    })
    resources.defer(() => ingest.stop())
    routes.push(...ingest.routes)
    checks.ingest = ingest.ready
  }
  const server = await serve({
    port: config.port,
    host: config.host,
    routes: [...healthRoutes(checks), ...routes],
    drainMs: 1_500,
    origins: config.http.origins,
    upgrades,
  })
  resources.defer(() => server.close())
  const { drainNoticeMs } = config.http
  allow(drainNoticeMs)
  // The first thing at the end: whoever sends requests here is told, and has the time to look, before none is taken any more.
  resources.defer(async () => {
    leaving = true
    server.leave()
    await sleep(drainNoticeMs)
    await leave()
  })
  return {
    config,
    model,
    embedded: given.databaseUrl === undefined,
    sql,
    port: server.port,
    ready: () => ready(checks),
  }
}

const embed = async (
  { dataDir }: Config,
  { resources, fail }: Pick<Lifetime, 'resources' | 'fail'>,
): Promise<string> => {
  const server = await startPostgres({ dataDir })
  let closing = false
  resources.defer(() => {
    closing = true
    return server.stop()
  })
  server.exited.then((reason) => {
    if (closing) return
    const why = reason === '' ? '' : ` (${reason})`
    fail(
      new Error(
        `The embedded Postgres in ${dataDir} ended by itself${why}. Start again: it recovers what was committed.`,
      ),
    )
  })
  return server.url
}

const ready = async (checks: Checks): Promise<Readiness> => {
  const { ready, parts } = await readiness(checks)
  const reasons = Object.entries(parts).flatMap(([name, part]) =>
    part.ready ? [] : [`${name}: ${part.reason ?? 'not ready'}`],
  )
  return ready ? { ready } : { ready, reason: reasons.join('; ') }
}

/** The verbs. Returns the exit code once stopped. */
export const runStart = (config: Config, halves: Halves): Promise<number> =>
  supervise(async (lifetime) => {
    const running = await startForebay(config, lifetime, { halves, migrate: halves.ingest && halves.gateway })
    process.stdout.write(`${banner(running, halves).join('\n')}\n`)
  })

/** What runs, where, with which real parts, and how to stop it. */
export const banner = ({ config, model, embedded, port }: Running, halves: Halves): readonly string[] => {
  const base = `http://${config.host === '0.0.0.0' ? 'localhost' : config.host}:${port}`
  const parts = [
    ['Postgres', embedded ? `embedded, in ${config.dataDir}` : placeOf(config.databaseUrl ?? '')],
    ['Log', config.kafkaBrokers ? `Kafka at ${config.kafkaBrokers.join(', ')}` : 'the built-in journal'],
    ...(config.schemaRegistry?.urls.length
      ? [['Schemas', `registry at ${config.schemaRegistry.urls.map((url) => new URL(url).host).join(', ')}`]]
      : []),
    ['Cache', config.redisUrl ? `Redis at ${placeOf(config.redisUrl)}` : 'in process'],
    [
      'Tokens',
      config.jwksUrl
        ? `verified by ${config.jwksUrl}`
        : 'development keys; make one with: forebay token --role … --tenant …',
    ],
  ]
  const urls = [
    ...(halves.gateway ? [['GraphQL', `${base}/graphql`]] : []),
    ...(halves.gateway && !config.production ? [['GraphiQL', `${base}/graphiql`]] : []),
    ...(halves.ingest && !config.kafkaBrokers ? [['Journal', `POST ${base}/ingest/<topic>`]] : []),
    ['Health', `${base}/healthz  ${base}/readyz  ${base}/metrics`],
  ]
  return [
    `Forebay: ${halves.ingest && halves.gateway ? 'both halves' : halves.ingest ? 'ingest' : 'gateway'}, ${model.entities.size} entities, ${model.views.size} views`,
    ...[...urls, ...parts].map(([name = '', text = '']) => `  ${name.padEnd(9)} ${text}`),
    'Stop with Ctrl-C.',
  ]
}
