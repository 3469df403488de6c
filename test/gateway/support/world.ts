/** A running gateway over a fresh database with the rows a test gives: real SQL, real tokens, real HTTP. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import { type Gateway, startGateway } from '../../../src/gateway/main.ts'
import type { Statement } from '../../../src/gateway/read/row-sql.ts'
import { formatFault, parseSchema } from '../../../src/model/load.ts'
import type { Column, Entity, Model } from '../../../src/model/model.ts'
import { columnName, columnSqlType, entityTable, ident } from '../../../src/model/names.ts'
import { sourcedColumns } from '../../../src/model/sourced.ts'
import { type CompiledView, compileView } from '../../../src/model/sql/compile-view.ts'
import { installModel } from '../../../src/operate/migrate/install.ts'
import { developmentKeys } from '../../../src/platform/dev-keys.ts'
import { serve } from '../../../src/platform/http.ts'
import { usualHttp } from '../../../src/platform/http-settings.ts'
import { usualJournal } from '../../../src/platform/journal-settings.ts'
import { connect, type Sql } from '../../../src/platform/postgres.ts'
import { type Database, freshDatabase } from '../../support/postgres.ts'

/** Entity → rows by field name, values as JSON has them. Absent fields are null. */
export type Rows = Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>
export type Asker = {
  readonly roles?: readonly string[]
  readonly tenant?: string | null
  readonly scope?: string
  readonly claims?: Readonly<Record<string, unknown>>
  /** When its token expires; 5m. */
  readonly expires?: string
}
export type Answer = {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: an answer's shape is the test's own knowledge
  readonly body: any
}
export type World = {
  readonly model: Model
  readonly database: Database
  readonly gateway: Gateway
  readonly url: string
  /** What was read since the last call. */
  statements(): readonly Statement[]
  token(asker: Asker): Promise<string>
  ask(
    query: string,
    asker: Asker,
    variables?: Readonly<Record<string, unknown>>,
    more?: { readonly headers?: Readonly<Record<string, string>>; readonly signal?: AbortSignal },
  ): Promise<Answer>
  /** Writes rows and brings all views up to date with them. */
  write(rows: Rows): Promise<void>
  views: ReadonlyMap<string, CompiledView>
  stop(): Promise<void>
}

export const readModel = async (folder: string): Promise<Model> => {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.graphql') && !name.endsWith('.test.graphql'))
  const files = await Promise.all(
    names.map(async (name) => ({ name, text: await readFile(join(folder, name), 'utf8') })),
  )
  const loaded = await parseSchema(files)
  if (!loaded.ok) throw new Error(loaded.faults.map(formatFault).join('\n'))
  return loaded.model
}

const literal = (column: Column, value: unknown): string | null => {
  if (value === undefined || value === null) return null
  if (Array.isArray(value)) return `{${value.map((item) => JSON.stringify(item)).join(',')}}`
  return typeof value === 'object' || (column.type.kind === 'scalar' && column.type.scalar === 'JSON')
    ? JSON.stringify(value)
    : String(value)
}
const insert = async (sql: Sql, entity: Entity, rows: Rows[string]): Promise<void> => {
  const sourced = sourcedColumns(entity)
  const columns = sourced.map((column) => ident(columnName(column.name)))
  const key = entity.key.map((name) => ident(columnName(name)))
  for (const row of rows) {
    const values = sourced.map((column) => literal(column, row[column.name]))
    const places = sourced.map((column, i) => `$${i + 1}::text::${columnSqlType(column)}`)
    await sql.unsafe(
      `insert into ${entityTable(entity)} (${columns.join(', ')}, _epoch, _version, _tie, _partition, _offset)
       values (${places.join(', ')}, 0, 1, 0, 0, 0)
       on conflict (${key.join(', ')}) do update set ${columns.map((column) => `${column} = excluded.${column}`).join(', ')}`,
      values,
    )
  }
}

/** Rewrites every row of the view from the entities. */
const refresh = async (sql: Sql, { nodes, recompute, table }: CompiledView): Promise<void> => {
  const keysOf = async (text: string) => {
    const [row] = await sql.unsafe<{ keys: string }[]>(
      `select coalesce(jsonb_agg(distinct k), '[]')::text as keys from (${text}) k`,
    )
    return row!.keys
  }
  for (const { rollup, part, keys } of nodes.toReversed()) {
    const statement = rollup?.contribute ?? part?.recompute
    if (statement !== undefined) await sql.unsafe(statement, [await keysOf(keys)])
  }
  const groups = `union all select jsonb_build_array(_group) from ${table.table}`
  await sql.unsafe(recompute, [await keysOf(`${nodes[0]!.keys} ${table.grouped ? groups : ''}`)])
}

export const startWorld = async (options: {
  readonly model: Model
  readonly rows: Rows
  readonly redisUrl?: string
  /** Instead of a fresh one on the run's server. */
  readonly database?: Database
  readonly trustedDocuments?: readonly string[]
  readonly onlyTrusted?: boolean
  /** Replicas of it. */
  readonly readUrls?: readonly string[]
  /** Where the gateway finds the database, given where it is. */
  readonly through?: (url: string) => Promise<string>
}): Promise<World> => {
  const { model } = options
  const database = options.database ?? (await freshDatabase())
  const { sql } = database
  const dataDir = await mkdtemp(join(tmpdir(), 'forebay-gateway-'))
  await installModel(sql, model)
  const views = new Map([...model.views.values()].map((view) => [view.name, compileView(model, view)]))
  for (const { view, table, ddl, indexes } of views.values()) {
    for (const statement of [...ddl, ...indexes]) await sql.unsafe(statement)
    await sql`insert into forebay.generations (view, hash, filled_at) values (${view.name}, ${table.hash}, now())`
  }
  const write = async (rows: Rows): Promise<void> => {
    for (const [name, some] of Object.entries(rows)) await insert(sql, model.entities.get(name)!, some)
    for (const compiled of views.values()) await refresh(sql, compiled)
  }
  for (const topic of new Set([...model.entities.values()].map(({ source }) => source.topic))) {
    await sql`insert into forebay.positions (topic, partition, next_offset, frontier, observed_at, observed_end) values (${topic}, 0, 42, clock_timestamp() + interval '1 hour', clock_timestamp() + interval '1 hour', 42)`
  }
  await write(options.rows)

  const databaseUrl = (await options.through?.(database.url)) ?? database.url
  const gatewaySql = connect(databaseUrl, { max: 3, name: 'gateway test' })
  const statements: Statement[] = []
  const gateway = await startGateway({
    config: {
      schema: '',
      port: 0,
      host: '127.0.0.1',
      tombstoneTtl: 'P30D',
      rollbackWindowMs: 3_600_000,
      production: false,
      dataDir,
      quarantineCap: 1000,
      reconcileShare: 0.02,
      journal: usualJournal,
      http: usualHttp,
      secret: 'a secret that every run of the tests shares',
      databaseUrl,
      ...(options.redisUrl === undefined ? {} : { redisUrl: options.redisUrl }),
      ...(options.trustedDocuments === undefined ? {} : { trustedDocuments: options.trustedDocuments }),
      ...(options.onlyTrusted === undefined ? {} : { onlyTrusted: options.onlyTrusted }),
      ...(options.readUrls === undefined ? {} : { databaseReadUrls: options.readUrls }),
    },
    model,
    sql: gatewaySql,
    watchStatement: (statement) => statements.push(statement),
  })
  const server = await serve({ port: 0, routes: gateway.routes, upgrades: gateway.upgrades })
  const url = `http://127.0.0.1:${server.port}`
  const keys = await developmentKeys(dataDir)
  const token = ({ roles = [], tenant = 'acme', scope, claims, expires = '5m' }: Asker): Promise<string> =>
    new SignJWT({ roles, ...(tenant === null ? {} : { tenant }), ...(scope === undefined ? {} : { scope }), ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: keys.publicJwk.kid ?? '' })
      .setSubject('tester')
      .setIssuer(keys.issuer)
      .setAudience(keys.audience)
      .setExpirationTime(expires)
      .sign(keys.privateKey)
  return {
    model,
    database,
    gateway,
    url,
    views,
    statements: () => statements.splice(0),
    token,
    write,
    ask: async (query, asker, variables = {}, { headers = {}, signal } = {}) => {
      const response = await fetch(`${url}/graphql`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${await token(asker)}`, ...headers },
        ...(signal ? { signal } : {}),
        body: JSON.stringify({ query, variables }),
      })
      const text = await response.text()
      return { status: response.status, headers: response.headers, text, body: JSON.parse(text) }
    },
    stop: async () => {
      await gateway.leave()
      await server.close()
      await gateway.stop()
      await gatewaySql.end({ timeout: 1 })
      await database.drop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}
