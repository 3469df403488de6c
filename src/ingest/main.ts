/** ingest: source ─► decode ─► apply ─► expand ─► recompute ─► publish. */
import type { Model } from '../model/model.ts'
import { type DatabaseClock, databaseClock } from '../platform/clock.ts'
import type { Config } from '../platform/config.ts'
import type { Readiness } from '../platform/health.ts'
import type { Route } from '../platform/http.ts'
import { connect, type Sql } from '../platform/postgres.ts'
import { present } from '../platform/present.ts'
import { connectRedis } from '../platform/redis.ts'
import { connectorsOf } from './connect/connectors-of.ts'
import { followOffsets } from './connect/offsets.ts'
import { type Connectors, watchConnectors } from './connect/source-moments.ts'
import { declaredBy, openCatalog, registerViews, unknownViews } from './generations.ts'
import { openIntake } from './intake.ts'
import { startMaintainer } from './maintain/maintainer.ts'
import { publisher } from './publish.ts'
import { declareRunning } from './rebuild/running.ts'
import { startRebuilds } from './rebuild/worker.ts'
import { walkEntities } from './reconcile/entities.ts'
import { proveByKeys } from './reconcile/prove-generation.ts'
import { startReconciler } from './reconcile/worker.ts'
import { startReplays } from './replay/worker.ts'
import { type Authenticate, ingestRoutes } from './routes.ts'
import { byKey, frozenOwner, plans, statementMs, unpublished } from './session-settings.ts'
import { startTrimming } from './source/journal-trim.ts'
import { startObserver } from './source/observe.ts'
import { watchPartitions } from './source/partition-metrics.ts'
import { listenForPrompts } from './source/prompted.ts'
import { watchSilence } from './source/silent-topics.ts'
import { startSweeper } from './sweep.ts'
import { startViewFloors } from './view-floors.ts'

export type IngestOptions = {
  /** `databaseUrl` must be set: maintenance opens a connection of its own, straight to the primary. */
  readonly config: Config & { readonly databaseUrl: string }
  readonly model: Model
  readonly sql: Sql
  /** Who may append to the journal over HTTP. */
  readonly authenticate?: Authenticate
  /** Called once when this process can't go on: another one has registered other views. */
  readonly failed: (error: Error) => void
}
export type Ingest = {
  readonly routes: readonly Route[]
  /** Connected to the log, and everything that was in it at the start is in the views, but for partitions that wait for somebody. */
  ready(): Promise<Readiness>
  stop(): Promise<void>
}

/** Records waiting beyond which maintenance holds back, so that a key changed often is recomputed once. */
const farBehind = 5_000
/** A comparison that takes longer is made of fewer keys. */
const compareMs = 5_000

export const startIngest = async ({ config, model, sql, authenticate, failed }: IngestOptions): Promise<Ingest> => {
  const clock = databaseClock(sql)
  await clock.refresh()
  const declared = new Map([...declaredBy(model)].map(([hash, { table }]) => [hash, table.view]))
  const building = connect(config.databaseUrl, { max: 1, name: 'rebuild', settings: { jit: 'off' } })
  await declareRunning(building, declared.keys())
  const registerHere = (): Promise<void> => register(config.databaseUrl, model)
  await registerHere().catch(async (error: unknown) => {
    await building.end({ timeout: 1 })
    throw error
  })
  const catalog = await openCatalog(sql, model)
  const redis = config.redisUrl === undefined ? undefined : connectRedis(config.redisUrl)
  const maxLagMs = Math.min(10_000, ...[...model.views.values()].map((view) => view.maxLagMs))
  const intake = openIntake({
    config,
    model,
    sql,
    catalog,
    clock,
    maxLagMs,
    applied: ({ logged }) => {
      if (logged > 0) maintainer.wake()
    },
    failed,
  })
  const { source, pump } = intake
  const own = connect(config.databaseUrl, {
    max: 1,
    name: 'maintain',
    statementTimeoutMs: 5 * statementMs,
    settings: { ...plans, ...byKey, ...frozenOwner, ...(redis ? {} : unpublished) },
  })
  const maintainer = startMaintainer({
    sql: own,
    catalog,
    ...(redis ? { transport: 'LATER', published: publisher(redis, sql) } : { published: async () => {} }),
    behind: () => pump.backlog() > farBehind,
    outdated: (registered) => failed(new Error(unknownViews(registered))),
  })
  const connectors = connectorsOfSources(config, model, clock)
  const observer = startObserver({
    sql,
    clock,
    source,
    topics: intake.topics,
    maxLagMs,
    ...(connectors ? { sources: connectors.moments } : {}),
    // What comes over HTTP into the journal nobody captures.
    ...(source.kind === 'kafka' ? { heard: watchSilence(model) } : {}),
    entitiesOf: intake.entitiesOf,
  })
  const prompts = listenForPrompts(sql, observer)
  const metrics = watchPartitions({ sql, clock, assigned: pump.assigned })
  const spare = connect(config.databaseUrl, { max: 1, name: 'sweep', settings: plans })
  const sweeper = startSweeper({
    sql: spare,
    model,
    catalog,
    source,
    ttl: config.tombstoneTtl,
    swept: () => maintainer.wake(),
  })
  const floors = startViewFloors({ sql: spare, catalog, moved: () => maintainer.wake() })
  const again = connect(config.databaseUrl, { max: 1, name: 'replay', settings: plans })
  const replays = startReplays({
    sql: again,
    model,
    catalog,
    decoder: intake.decoder,
    schemas: intake.schemas,
    source,
    applied: () => maintainer.wake(),
  })
  const rebuilds = startRebuilds({
    sql: building,
    catalog,
    windowMs: config.rollbackWindowMs,
    logged: () => maintainer.wake(),
    prove: proveByKeys,
    folder: { declared, register: registerHere },
  })
  const beside = connect(config.databaseUrl, {
    max: 1,
    name: 'reconcile',
    statementTimeoutMs: compareMs,
    settings: { ...plans, ...byKey },
  })
  const reconciler = startReconciler({
    sql: beside,
    catalog,
    maintainer,
    entities: walkEntities({
      sql: beside,
      model,
      catalog,
      decoder: intake.decoder,
      connections: config.connections ?? {},
    }),
    share: config.reconcileShare,
    behind: () => pump.backlog() > farBehind,
  })
  const trimming = startTrimming(sql, config.journal.retention)
  await intake.start()

  return {
    routes: ingestRoutes({
      sql,
      model,
      kind: source.kind,
      room: config.journal.room,
      ...(authenticate ? { authenticate } : {}),
    }),
    ready: async () => {
      const trouble = source.status() ?? pump.trouble()
      if (trouble) return { ready: false, reason: trouble }
      const [state] = await sql<{ unobserved: number; filling: boolean }[]>`
        select (select count(*)::int from forebay.positions where frontier is null and state = 'RUNNING' and reason is null) as unobserved,
          exists (
            select from forebay.generations g where state = 'ACTIVE' and retired_at is null and (filled_at is null
              or exists (select from forebay.dirty d where d.generation = g.generation and d.origin is null))) as filling`
      if (state!.filling) return { ready: false, reason: 'views are being filled' }
      if (state!.unobserved > 0)
        return { ready: false, reason: `${state!.unobserved} partitions are not caught up yet` }
      // What is read by schemas at hand goes on.
      return { ready: true, ...present({ reason: intake.schemas.trouble() }) }
    },
    async stop() {
      await trimming.stop()
      await rebuilds.stop()
      await replays.stop()
      await reconciler.stop()
      await intake.stop()
      await sweeper.stop()
      await floors.stop()
      await maintainer.stop()
      await prompts.stop()
      await observer.stop()
      await connectors?.stop()
      await metrics.stop()
      redis?.end()
      await Promise.all([own, spare, again, building, beside].map((one) => one.end({ timeout: 1 })))
    },
  }
}

/** Undefined where nothing is said of where connectors keep their offsets, or of any of their sources. */
const connectorsOfSources = (config: Config, model: Model, clock: DatabaseClock): Connectors | undefined => {
  const {
    connectOffsets: topic,
    kafkaBrokers: brokers,
    kafkaSecurity: security,
    kafkaGroup: groupId = 'forebay',
  } = config
  if (topic === undefined || brokers === undefined) return undefined
  const connectors = connectorsOf(model, config.connections ?? {})
  if (connectors.length === 0) return undefined
  return watchConnectors(connectors, followOffsets({ brokers, ...present({ security }), topic, groupId }), clock)
}

/** Over a connection of its own, without a bound: to make an index takes as long as it takes. */
const register = async (databaseUrl: string, model: Model): Promise<void> => {
  const sql = connect(databaseUrl, { max: 1, name: 'register' })
  try {
    await registerViews(sql, model)
  } finally {
    await sql.end({ timeout: 1 })
  }
}
